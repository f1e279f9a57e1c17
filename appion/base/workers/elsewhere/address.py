"""Which scheduler, and by which certificates: what can be wrong with it before anybody is asked."""

from __future__ import annotations

import json
import os
import ssl
from typing import Any
from urllib.parse import urlsplit

import dask.config
from distributed import Security

from appion.base.config import setting
from appion.base.failures import ConfigurationFailure, InfrastructureFailure

TLS, PLAIN = "tls", "tcp"

#: What Dask's settings call the files of a client, and what they are to `Security`.
FILES = {"ca-file": "tls_ca_file", "client.cert": "tls_client_cert", "client.key": "tls_client_key"}

#: What is to be done about certificates.
CERTIFICATES = ("give those of its operator as distributed.comm.tls.ca-file, distributed.comm.tls.client.cert "
                "and distributed.comm.tls.client.key")  # fmt: skip


def isElsewhere(kind: str) -> bool:
    """Whether a value of `appion.cluster` is an address, or the path of a scheduler file."""
    return "://" in kind or kind.endswith(".json")


def checkElsewhere(kind: str) -> None:
    """Raise ConfigurationFailure if a value of `appion.cluster` is none, or what goes with it does not fit."""
    if "://" in kind:
        constructClientSecurity(checkAddress(kind, "setting appion.cluster"))
    elif not os.path.isabs(kind):
        raise ConfigurationFailure(f"setting appion.cluster is {kind!r}", "write the whole path of the scheduler file")
    elif setting("stage") == "none" and os.path.exists(kind):
        constructClientSecurity(readAddress(kind))
    if setting("stage") != "none":
        raise ConfigurationFailure(
            f"setting appion.stage is {setting('stage')!r}, but the workers of {kind} are not this run's alone",
            "with a scheduler elsewhere write none",
        )


def findScheduler(kind: str) -> tuple[str, Security | None]:
    """The address to dial, and by which certificates. Raises ConfigurationFailure, InfrastructureFailure: see below."""
    address = readAddress(kind)
    return address, constructClientSecurity(address)


def readAddress(kind: str) -> str:
    """Return the address of the scheduler; what is in a scheduler file may be another one each time it starts.

    Raises:
        ConfigurationFailure: it is none that is talked to. InfrastructureFailure: the file is not there or not whole.
    """
    if "://" in kind:
        return checkAddress(kind, "setting appion.cluster")
    try:
        with open(kind) as file:
            address = json.load(file)["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = error.strerror if isinstance(error, OSError) else f"no address is in it ({type(error).__name__})"
        raise InfrastructureFailure(f"the scheduler file {kind} cannot be read: {told}") from error
    return checkAddress(str(address), f"the address in {kind}")


def checkAddress(address: str, what: str) -> str:
    """Return an address if it is one that is talked to. Raises ConfigurationFailure: it is not."""
    try:
        parts = urlsplit(address)
        whole = bool(parts.hostname and parts.port)
    except ValueError:
        whole = False
    if not whole or parts.scheme not in (TLS, PLAIN):
        raise ConfigurationFailure(f"{what} is {address!r}", "write tls://HOST:PORT")
    if parts.scheme == PLAIN and not setting("elsewhere.unencrypted"):
        raise ConfigurationFailure(
            f"{what} is {address!r}: whoever reaches that scheduler can run code as its workers' user",
            "have it started with certificates (tls://), or set appion.elsewhere.unencrypted where nobody else can",
        )
    return address


def constructClientSecurity(address: str) -> Security | None:
    """Return the certificates by which the daemon and a scheduler know each other; None: it wants none.

    Raises:
        ConfigurationFailure: one is not set, not there, or not what it should be.
    """
    if urlsplit(address).scheme == PLAIN:
        return None
    given = {name: dask.config.get(f"distributed.comm.tls.{name}", None) for name in FILES}
    given["client.key"] = given["client.key"] or given["client.cert"]  # one file may hold both
    if missing := [f"distributed.comm.tls.{name}" for name, file in given.items() if not file]:
        raise ConfigurationFailure(f"{address} wants certificates, and {', '.join(missing)} is not set", CERTIFICATES)
    for name, file in given.items():
        if "\n" not in str(file) and not os.access(str(file), os.R_OK):
            raise ConfigurationFailure(f"distributed.comm.tls.{name} is {file}, which cannot be read", CERTIFICATES)
    options: dict[str, Any] = {FILES[name]: file for name, file in given.items()}
    security = Security(require_encryption=True, **options)
    try:
        security.get_connection_args("client")
    except (ssl.SSLError, OSError, ValueError) as error:
        files = ", ".join(str(file) for file in given.values() if "\n" not in str(file))
        raise ConfigurationFailure(f"the certificates cannot be used ({files}): {error}", CERTIFICATES) from error
    return security
