"""A cluster that cannot be started says why, in the words of the innermost cause, and what to do."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import subprocess
import sys

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure, InfrastructureFailure
from appion.base.workers.starting import constructStartFailure, ensureFiles
from tests.base.workers.slurm.test_cluster import SETTINGS

#: Dask leaves sockets open where it did not start: tried in a process of its own.
TRY = """
import json, sys, pathlib, dask.config, dask_jobqueue
from appion.base.failures import Failure
from appion.base.workers.cluster import constructCluster, redirectDaskLogs
with redirectDaskLogs(pathlib.Path(sys.argv[1])):
    for settings in json.loads(sys.argv[2]):
        try:
            with dask.config.set(settings):
                constructCluster((), 1, pathlib.Path(sys.argv[1]))
        except Failure as failure:
            print(json.dumps([failure.kind, failure.reason, failure.remedy]), flush=True)
"""


def tryEach(folder, *settings):
    """What each of these settings has been told to be wrong with."""
    done = subprocess.run([sys.executable, "-c", TRY, str(folder), json.dumps(settings)],
                          capture_output=True, text=True, timeout=600)  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(settings), (told, done.stderr)
    assert not any("failed to start" in reason for _, reason, _ in told)
    return told


@pytest.mark.usefixtures("slurmcluster")
def test_jobs_need_a_scheduler_that_starts(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = [{"port": port}, {"host": "192.0.2.1"}, {"prot": 1}, {"protocol": "tcp"}]
        told = tryEach(tmp_path, *(SETTINGS | {"jobqueue.slurm.scheduler-options": one} for one in options),
                       SETTINGS | {"jobqueue.slurm.interface": "ib0"},
                       SETTINGS | {"distributed.comm.tls.ca-file": "/none/ca.pem"})  # fmt: skip
    kinds, reasons, remedies = zip(*told, strict=True)
    assert kinds == ("infrastructure", *["configuration"] * 5), told
    words = ("Address already in use", "Cannot assign requested address", "'prot'", "encryption", "'ib0'", "TLS")
    assert all(word in reason for word, reason in zip(words, reasons, strict=True)), reasons
    words = ("ss -ltnp", "scheduler-options", "scheduler-options", "certificates", "nodes", "certificates")
    assert all(word in remedy for word, remedy in zip(words, remedies, strict=True)), remedies


def test_workers_of_this_machine_need_one_too(tmp_path):
    local = {"appion.cluster": "local"}
    encrypted, dashboard = tryEach(tmp_path, local | {"distributed.comm.tls.ca-file": "/none/ca.pem"},
                                   local | {"appion.dashboard": "no such host:1"})  # fmt: skip
    assert encrypted[0] == dashboard[0] == "configuration"
    assert "TLS" in encrypted[1] + encrypted[2]
    assert "appion.dashboard" in dashboard[2]


def test_what_may_be_otherwise_later_is_not_a_matter_of_settings():
    for number, words in ((errno.EMFILE, "ulimit -n"), (errno.ENFILE, "LimitNOFILE"), (errno.EADDRINUSE, "ss -ltnp")):
        try:
            try:
                raise OSError(number, os.strerror(number))
            except OSError as inner:
                raise RuntimeError("Cluster failed to start: Scheduler failed to start.") from inner
        except RuntimeError as error:
            failure = constructStartFailure(error)
        assert isinstance(failure, InfrastructureFailure)
        assert os.strerror(number) in failure.reason
        assert words in failure.remedy


def test_certificates_that_are_not_there_are_named():
    with dask.config.set({"distributed.comm.tls": {"ca-file": "/none/ca.pem", "worker": {"cert": "/none/cert.pem"}}}):
        failure = constructStartFailure(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert isinstance(failure, ConfigurationFailure)
    assert "/none/ca.pem, /none/cert.pem" in failure.reason


@pytest.mark.parametrize(("limits", "words"), [("-Sn 40", "4096"), ("-n 40", "40 files may be open at one time")])
def test_the_limit_of_open_files_is_raised_or_told_of(limits, words):
    code = (
        "import resource; from appion.base.workers.starting import ensureFiles\n"
        "try: ensureFiles(8); print(min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0]))\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(["bash", "-c", f'ulimit {limits}; exec "$@"', "bash", sys.executable, "-c", code],
                          capture_output=True, text=True, timeout=600, cwd=os.getcwd())  # fmt: skip
    assert words in done.stdout, done.stderr


def test_a_limit_that_is_high_enough_is_left_alone():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    ensureFiles(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
