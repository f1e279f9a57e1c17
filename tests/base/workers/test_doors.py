"""Nobody but the daemon and its workers gets in, and nobody else is listened to."""

from __future__ import annotations

import datetime
import os
import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import dask.config
import psutil
import pytest
from cryptography.x509 import load_pem_x509_certificate
from distributed import Client

from appion.base.workers.cluster import constructCluster, redirectDaskLogs
from appion.base.workers.doors import chooseFolder, constructDashboard, constructSecurity, saveSecurity
from appion.base.workers.pool import Pool
from tests.base.workers.slurm.test_cluster import SETTINGS
from tests.stranger import asRoot, makeShared, runAsStranger

#: Prints "in" if it gets in, at an address, with the files of a key.
ATTACK = """
import os, sys
from distributed import Client, Security
address, *files = sys.argv[1:]
names = ("tls_ca_file", "tls_client_cert", "tls_client_key")
security = Security(require_encryption=True, **dict(zip(names, files))) if files else None
with Client(address, timeout=60 if files else 5, security=security) as client:
    if client.run_on_scheduler(os.getuid) == os.getuid():
        print("in", end="")
"""


def listListeners():
    """The addresses at which this process and its children listen."""
    here = psutil.Process()
    return {
        connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def breakIn(address, key=None):
    """Whether another process has code run by the scheduler, with the key in a folder if it has one."""
    files = [str(key / f"{what}.pem") for what in ("ca_file", "cert", "key")] if key else []
    return subprocess.run([sys.executable, "-c", ATTACK, address, *files], capture_output=True, text=True,
                          timeout=600).stdout == "in"  # fmt: skip


@asRoot
def test_nothing_is_imported_from_where_somebody_else_may_write(monkeypatch, tmp_path):
    """Dask has Python import from a folder in /tmp, before all others, whoever made it."""
    with makeShared() as shared:
        monkeypatch.setattr("tempfile.tempdir", str(shared))
        monkeypatch.setenv("TMPDIR", str(shared))
        theirs = [shared / "dask-scratch-space", shared / f"appion-dask-{os.getuid()}"]
        for folder in theirs:
            assert runAsStranger("umask 0; mkdir $1 $1/dask-scratch-space", folder).returncode == 0
        with (
            redirectDaskLogs(tmp_path / "logs"),
            constructCluster(workers=1) as cluster,
            Client(cluster) as client,
        ):
            client.wait_for_workers(1, timeout=600)
            (worker,) = client.run(lambda dask_worker: [dask_worker.local_directory, *sys.path]).values()
            scheduler = client.run_on_scheduler(lambda: list(sys.path))
        found = [Path(path) for path in (*worker, *scheduler) if path.startswith(str(shared))]
        assert found
        for path in found:
            assert not any(path.is_relative_to(folder) for folder in theirs), path
        # in the shared folder there is only one more, and nobody else may look into it
        (own,) = set(shared.iterdir()) - set(theirs)
        assert (own.stat().st_uid, own.stat().st_mode & 0o777) == (0, 0o700)


def test_the_site_chooses_where_dask_has_its_files(tmp_path):
    with dask.config.set({"temporary-directory": str(tmp_path / "a")}):
        assert chooseFolder() == str(tmp_path / "a" / f"appion-dask-{os.getuid()}")
    own = chooseFolder(str(tmp_path / "b"))
    assert own == str(tmp_path / "b" / f"appion-dask-{os.getuid()}")
    assert chooseFolder(f"{own}/dask-scratch-space") == f"{own}/dask-scratch-space"


def checkDoors(pool, folder):
    """No stranger, with or without a key, gets in."""
    address = pool._cluster.scheduler.address
    assert not breakIn(re.sub("^tls", "tcp", address))
    assert not breakIn(address)
    for name, security, opens in (("forged", constructSecurity(), False), ("true", pool._cluster.security, True)):
        saveSecurity(security, folder / name)
        assert breakIn(address, folder / name) is opens
    for worker in list(pool._cluster.scheduler.workers):
        assert worker.startswith("tls://")
        with pytest.raises(ssl.SSLError):
            greet(worker)


def greet(address):
    """What somebody gets to read who knows TLS but has no key."""
    host, port = address.removeprefix("tls://").split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=10) as plain, context.wrap_socket(plain) as door:
        door.sendall(b"anybody there?")
        return door.recv(100)


def test_workers_of_this_machine_are_out_of_reach(tmp_path):
    before = listListeners()
    with redirectDaskLogs(tmp_path):
        pool = Pool(lambda: constructCluster((), 2), 2, "test")
        try:
            pool.start()
            checkDoors(pool, tmp_path / "keys")
            assert listListeners() - before <= {"127.0.0.1"}
            ports = [one.laddr.port for one in psutil.Process().net_connections("tcp") if one.status == "LISTEN"]
            assert not pool._cluster.scheduler.services, ports  # no web page
        finally:
            pool.close()


@pytest.mark.usefixtures("slurmcluster")
def test_jobs_bring_their_key_from_a_closed_folder(tmp_path):
    rundir = tmp_path / "my run"
    with redirectDaskLogs(tmp_path), dask.config.set(SETTINGS):
        pool = Pool(lambda: constructCluster((0,), None, rundir), 1, "test")
        try:
            pool.start()
            checkDoors(pool, tmp_path / "keys")
            folder = rundir / ".appion" / "tls"
            assert folder.stat().st_mode & 0o777 == 0o700
            assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
            script = pool._cluster.job_script()
            assert "PRIVATE KEY" not in script
            assert str(folder) in script
        finally:
            pool.close()
    assert not folder.exists()


def test_a_new_start_has_a_new_key(tmp_path):
    one, other = constructSecurity(), constructSecurity()
    assert one.tls_worker_key != other.tls_worker_key
    first, second = (saveSecurity(security, tmp_path / "tls") for security in (one, other))
    assert first.tls_worker_key == second.tls_worker_key
    assert Path(second.tls_worker_key).read_text() == other.tls_worker_key


def test_files_of_a_key_are_not_written_through_links(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "key.pem").symlink_to(victim)
    saveSecurity(constructSecurity(), tmp_path / "tls")
    assert victim.read_text() == "precious"


def test_a_key_is_valid_where_clocks_are_wrong():
    certificate = load_pem_x509_certificate(constructSecurity().tls_ca_file.encode())
    now, year = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=365)
    assert certificate.not_valid_before_utc < now - year
    assert certificate.not_valid_after_utc > now + year


def test_pages_are_for_this_machine_unless_a_host_is_named():
    assert constructDashboard(None) == {"dashboard": False, "dashboard_address": None}
    assert constructDashboard(":8787")["dashboard_address"] == "127.0.0.1:8787"
    assert constructDashboard("0.0.0.0:0")["dashboard_address"] == "0.0.0.0:0"
