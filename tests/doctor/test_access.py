"""`appion doctor` sees who else may read, write, lock or call what is ours."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from appion.base.records.runfolder import lockPath
from appion.base.store.lock import acquireLock
from appion.base.store.scratch import calcScratchRoot
from appion.doctor.access import checkAccess, checkConfigFiles, listPorts
from tests.base.store.test_lock import FLOCK
from tests.stranger import asRoot, makeShared, runAsStranger, startStranger


def listFindings(findings):
    return [(finding.level, f"{finding.text} -> {finding.remedy}") for finding in findings]


@pytest.mark.parametrize(("text", "mode", "level"), [
    ("[global]\npasswd: a\n", 0o644, "TO DO"), ("[global]\npasswd: a\n", 0o640, "well"),
    ("[leginondata]\npassword: a\n", 0o604, "TO DO"), ("passwd a", 0o644, "TO DO"),
    ("[global]\npasswd:\nengine: sqlite\n", 0o644, None)])
def test_files_with_a_password(tmp_path, monkeypatch, text, mode, level):
    monkeypatch.setenv("SINEDON_CFG_PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    (tmp_path / "sinedon.cfg").write_text(text)
    (tmp_path / "sinedon.cfg").chmod(mode)
    found = listFindings(checkConfigFiles())
    assert [one for one, _ in found] == ([level] if level else [])
    assert not found or f"mode {mode:04o}" in found[0][1]


def test_temporary_folders_without_a_sticky_bit(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    monkeypatch.delenv("SINEDON_CFG_PATH", raising=False)
    tmp_path.chmod(0o777)
    assert listFindings(checkConfigFiles())[0][1].endswith(f"chmod +t {tmp_path}")
    tmp_path.chmod(0o1777)
    assert listFindings(checkConfigFiles()) == []


def test_a_run_folder(tmp_path):
    assert listFindings(checkAccess(tmp_path)) == []
    acquireLock(tmp_path).release()
    assert [level for level, _ in listFindings(checkAccess(tmp_path))] == ["well"]
    (tmp_path / ".appion" / "journal").mkdir()
    (tmp_path / ".appion" / "journal").chmod(0o777)
    (tmp_path / ".appion" / "tls").mkdir(mode=0o755)
    lockPath(tmp_path).chmod(0o644)
    (_, first), (_, second), (_, third) = listFindings(checkAccess(tmp_path))
    assert f"everybody may write {tmp_path}/.appion/journal -> chmod -R o-w {tmp_path}" in first
    assert f"-> chmod 700 {tmp_path}/.appion/tls" in second
    assert "may be locked by everybody (mode 0644)" in third


@asRoot
def test_what_a_stranger_did(monkeypatch):
    with makeShared() as shared:
        monkeypatch.setattr("tempfile.tempdir", str(shared))
        run = shared / "run1"
        run.mkdir(mode=0o755)
        acquireLock(run).release()
        assert runAsStranger("mkdir $1", calcScratchRoot(run, shared)).returncode == 0
        for folder, mode in ((run / ".appion", 0o755), (lockPath(run), 0o644)):
            folder.chmod(mode)
        with startStranger(FLOCK, lockPath(run), "-s"):
            texts = "\n".join(text for _, text in listFindings(checkAccess(run)))
        assert f"{calcScratchRoot(run, shared)} is a folder of user" in texts
        assert f"{lockPath(run)} is locked by" in texts
        assert "and that is no daemon" in texts


def test_ports(tmp_path):
    program = ("import socket, subprocess, sys, time\nfrom appion.base.store.lock import acquireLock\n"
               "lock = acquireLock(sys.argv[1])\n"
               "child = 'import socket; s = socket.create_server((\"127.0.0.1\", 0)); '\n"
               "child += 'print(s.getsockname()[1], flush=True); input()'\n"
               "subprocess.Popen([sys.executable, '-c', child], stdin=subprocess.PIPE)\n"
               "time.sleep(600)\n")  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True) as daemon:
        port = int(daemon.stdout.readline())
        try:
            assert listPorts(daemon.pid) == [("127.0.0.1", port)]
            (*_, (_, said)) = listFindings(checkAccess(tmp_path))
            assert f"the daemon and its workers listen at 127.0.0.1:{port}" in said
        finally:
            daemon.kill()
    with socket.create_server(("::", 0), family=socket.AF_INET6) if socket.has_ipv6 else socket.create_server(
        ("", 0)
    ) as server:
        found = {port: address for address, port in listPorts(os.getpid())}
        assert found[server.getsockname()[1]] in ("::", "0.0.0.0")
