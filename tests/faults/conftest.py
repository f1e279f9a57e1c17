"""Services that a test may break."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

import sinedon
from tests.faults.test_daemon_kill import endStarted
from tests.services.mariadb import MariaDB


@pytest.fixture
def server(mariadb) -> Iterator[MariaDB]:
    """The database server, which runs again after the test, whatever happened to it."""
    port = mariadb.port
    yield mariadb
    if mariadb.process.poll() is None:
        mariadb.process.send_signal(signal.SIGCONT)
    else:
        mariadb.start(port=port)
    sinedon.closeConnections()


@pytest.fixture(autouse=True)
def noDaemonLeft() -> Iterator[None]:
    """A test that fails leaves no daemon behind, which would be held against one that comes after it."""
    yield
    endStarted()
