"""Closed doors between daemon and workers: connections are encrypted, both ends known, and nobody else is listened to.

Whoever can talk to Dask's scheduler can run code as its user. So each start makes a key of its own, which only the
daemon and its workers have; schedulers and workers listen on the one address at which they are called, and serve no web
page unless one is asked for.
"""

from __future__ import annotations

import datetime
import os
import tempfile
from pathlib import Path
from typing import Any

import dask.config
from distributed import Scheduler, Security, Worker
from distributed.comm.addressing import get_address_host
from distributed.utils import get_ip

from appion.base.failures import ConfigurationFailure
from appion.base.store.ownfolder import openOwnFolder
from appion.base.workers.starting import TLS

PROTOCOL = "tls://"
ROLES = ("scheduler", "worker", "client")

#: A key is made for one start of the workers. It is good for as long as a daemon may run, and where a clock is wrong.
VALID = datetime.timedelta(days=3650)


def constructSecurity() -> Security:
    """A key and certificate in memory for all that belongs to one cluster; or the site's, where it has set some.

    Dask's own `Security.temporary` gives one that is not valid yet where a clock is behind, and for a year only.

    Raises:
        ConfigurationFailure: the site has set some of its own, but not all.
    """
    if dask.config.get("distributed.comm.tls.ca-file", None):
        security = Security(require_encryption=True)
        wanted = [(role, what) for role in ROLES for what in ("cert", "key")]
        if missing := [f"{role}.{what}" for role, what in wanted if not getattr(security, f"tls_{role}_{what}")]:
            raise ConfigurationFailure(f"TLS: distributed.comm.tls is set without {', '.join(missing)}", TLS)
        return security
    certificate, key = constructCertificate()
    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        **{f"tls_{role}_cert": certificate for role in ROLES},
        **{f"tls_{role}_key": key for role in ROLES},
    )


def constructCertificate() -> tuple[str, str]:
    """A new certificate that signs itself, and its private key, both as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "appion")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - VALID, now + VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


def saveSecurity(security: Security, folder: Path) -> Security:
    """Write what workers elsewhere need into a folder that only this user may read; returns it with the files' names.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    names = {}
    for what, text in security.get_tls_config_for_role("worker").items():
        if what == "ciphers":
            continue
        path = Path(text)
        if "\n" in text:
            path = folder / f"{what}.pem"
            path.unlink(missing_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
        names["tls_ca_file" if what == "ca_file" else f"tls_worker_{what}"] = str(path)
    return Security(require_encryption=True, **names)


def constructDashboard(address: str | None) -> dict[str, Any]:
    """Options of a scheduler for its web page at ``[HOST]:PORT``, on this machine alone unless a host is named.

    None: it serves no page.
    """
    if address is None:
        return {"dashboard": False, "dashboard_address": None}
    host, _, port = address.rpartition(":")
    return {"dashboard": True, "dashboard_address": f"{host or '127.0.0.1'}:{port}"}


def chooseFolder(given: str | None = None) -> str:
    """Return where Dask may have its small files, from which it also has Python import: a folder of this user alone.

    Dask's own choice is ``dask-scratch-space`` in the folder for temporary files, whoever made that.

    Args:
        given: the site's choice, or what this function returned before.

    Raises:
        ConfigurationFailure, OSError: see :func:`appion.base.store.ownfolder.openOwnFolder`.
    """
    name = f"appion-dask-{os.getuid()}"
    place = Path(given or dask.config.get("temporary-directory", None) or tempfile.gettempdir())
    if any(part.startswith(name) for part in place.parts):
        return os.fspath(place)
    return os.fspath(openOwnFolder(place.absolute() / name))


class ClosedScheduler(Scheduler):
    """Listens for workers alone, on one address; serves pages only if it is told an address for them."""

    def __init__(self, *arguments: Any, **options: Any):
        if not options.get("host") and not options.get("interface"):
            options["host"] = get_ip()
        with dask.config.set({"temporary-directory": chooseFolder()}):
            super().__init__(*arguments, **options)

    def start_http_server(self, routes: Any, dashboard_address: Any, *options: Any, **named: Any) -> None:
        if dashboard_address is not None:
            super().start_http_server(routes, dashboard_address, *options, **named)


class ClosedWorker(Worker):
    """Listens on the one address at which its scheduler is reached, and serves no pages."""

    def __init__(self, scheduler_ip: Any = None, *arguments: Any, **options: Any):
        if scheduler_ip and not options.get("host") and not options.get("interface"):
            options["host"] = get_ip(get_address_host(scheduler_ip))
        options["local_directory"] = chooseFolder(options.get("local_directory"))
        super().__init__(scheduler_ip, *arguments, **options)

    def start_http_server(self, routes: Any, dashboard_address: Any, *options: Any, **named: Any) -> None:
        """Nothing is served."""
