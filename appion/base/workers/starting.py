"""Starting a cluster: open files enough for it, and why it did not start, in the words of the innermost cause."""

from __future__ import annotations

import errno
import os
import re
import resource
import socket
import ssl
from collections.abc import Iterator

import dask.config

from appion.base.config import setting
from appion.base.failures import ConfigurationFailure, Failure, InfrastructureFailure

#: Open files that a daemon needs beside those of its workers, and for each worker.
FILES, WORKER_FILES = 100, 16

#: As many are asked for, where the system gives them, if there are too few.
MANY_FILES = 4096

ULIMIT = "raise the limit of open files: ulimit -n 4096 in the shell, LimitNOFILE=4096 in a unit of systemd"

TLS = "give the certificates (distributed.comm.tls), or take out tls and distributed.comm.require-encryption"


def ensureFiles(workers: int) -> None:
    """Raise this process's limit of open files if it is too low for so many workers.

    Raises:
        ConfigurationFailure: the system does not allow as many.
    """
    needed = FILES + WORKER_FILES * workers
    soft, hard = (_toNumber(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    if soft >= needed:
        return
    if hard < needed:
        raise ConfigurationFailure(f"{hard} files may be open at one time, {workers} workers need {needed}", ULIMIT)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(needed, MANY_FILES)), hard))


def _toNumber(limit: int) -> int:
    return 2**30 if limit == resource.RLIM_INFINITY else limit


def constructStartFailure(error: BaseException) -> Failure:
    """Why a cluster did not start, and what to do: what only a person can change, or what may be otherwise later."""
    chain = list(followCauses(error))
    cause = chain[-1]
    text = f"{type(cause).__name__}: {cause}" if not isinstance(cause, OSError) else str(cause)
    text = f"the workers cannot be started: {' '.join(text.split())}"
    number = cause.errno if isinstance(cause, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return InfrastructureFailure(text, ULIMIT)
    if number == errno.EADDRINUSE:
        return InfrastructureFailure(
            text, f"end what has the port (see ss -ltnp), or name no port in {findSection()}.scheduler-options"
        )
    if number == errno.EADDRNOTAVAIL or isinstance(cause, socket.gaierror):
        return ConfigurationFailure(
            text, f"the host in {findSection()}.scheduler-options, or in appion.dashboard, must be this one"
        )
    if isinstance(cause, ssl.SSLError) or re.search(r"\bTLS\b|\bssl|encrypt|certificate", str(cause), re.IGNORECASE):
        return ConfigurationFailure(text, TLS)
    if isinstance(cause, FileNotFoundError) and (missing := findMissingCertificates()):
        return ConfigurationFailure(f"{text}: {', '.join(missing)}", TLS)
    if isinstance(cause, (TypeError, ValueError)):
        return ConfigurationFailure(
            text, f"correct {findSection()} (scheduler-options, interface) or appion.dashboard"
        )
    return InfrastructureFailure(text, f"look into logs/dask.log of the run folder; {os.uname().nodename} tries again")


def findSection() -> str:
    """Where the site's settings of jobs are."""
    kind = setting("cluster")
    return f"jobqueue.{kind if kind != 'local' else 'slurm'}"


def followCauses(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, the innermost last."""
    following: BaseException | None = error
    seen: set[int] = set()
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def findMissingCertificates() -> list[str]:
    """Files that Dask's configuration names for TLS and that are not there."""
    settings = dask.config.get("distributed.comm.tls", {}) or {}
    files = [settings.get("ca-file"), *(one for role in ("scheduler", "worker", "client")
                                        for one in (settings.get(role) or {}).values())]  # fmt: skip
    return sorted({str(file) for file in files if file and "\n" not in str(file) and not os.path.exists(str(file))})
