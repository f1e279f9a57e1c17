"""`appion web`: one process that answers all questions."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Any

import waitress
from waitress import wasyncore

import sinedon
from appion.base.calc.plain import PlainFormatter
from appion.base.cli.screen import show
from appion.base.config import checkSettings, setting
from appion.base.failures import ConfigurationFailure
from appion.base.records.series import BETTER, PROBLEMS
from appion.base.store.systemd import READY, STOPPING, calcLongestPause, takeSystemd, tellAlive, tellSystemd
from appion.web.wsgi import constructApplication, findPrefix

log = logging.getLogger(__name__)

#: Seconds for which Django keeps connections that are asked for by every page.
KEPT = 60

#: Seconds for which the server waits for a question before it looks after itself.
TURN = 1.0

#: Names of a machine by which it means itself alone.
LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


def serve(address: str | None = None, port: int | None = None) -> int:
    """Answer until a signal comes.

    Raises:
        ConfigurationFailure: a setting is wrong, a database cannot be opened, or the port is taken.
    """
    takeSystemd()
    checkSettings()
    setupLog()
    for problem in PROBLEMS:
        log.warning("%s", problem)
    address = setting("web.address") if address is None else address
    number = checkPort(setting("web.port") if port is None else port)
    checkCuration()
    checkLimits()
    try:
        sinedon.setup()
    except sinedon.errors.SinedonError as error:
        raise ConfigurationFailure(str(error)) from error
    for alias in ("leginondata", "projectdata"):
        limitConnection(alias)
    sinedon.closeConnections()
    sockets: dict[int, Any] = {}
    server = constructServer(address, number, sockets)
    host = f"[{address}]" if ":" in address else address
    show(f"http://{host}:{server.effective_port}{findPrefix()}/")
    if address not in LOCAL:
        show("Whoever reaches this address sees every session: is there a proxy with a login in front of it?")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, stop)
    tellSystemd(READY)
    answer(server, sockets)
    return 0


def answer(server: Any, sockets: dict[int, Any]) -> None:
    """Answer until a signal comes, with a sign of life for systemd at each turn."""
    try:
        while sockets:
            wasyncore.loop(min(TURN, calcLongestPause()), map=sockets, count=1)
            tellAlive()
    except (SystemExit, KeyboardInterrupt):
        tellSystemd(STOPPING)
        server.task_dispatcher.shutdown()


def constructServer(address: str, port: int, sockets: dict[int, Any]) -> Any:
    """Return a server that listens, and put what it listens to into `sockets`; nothing is answered before it runs.

    Raises:
        ConfigurationFailure: the port or the address cannot be had.
    """
    try:
        return waitress.create_server(
            constructApplication([f"[{address}]" if ":" in address else address]), map=sockets, host=address, port=port,
            threads=max(1, int(setting("web.threads"))), ident=None, url_prefix=findPrefix(),
            max_request_body_size=2**16, clear_untrusted_proxy_headers=False,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise ConfigurationFailure(f"cannot listen at {address}, port {port}: {what}", "give another --port") from error


def stop(*_: Any) -> None:
    """End in good order."""
    raise SystemExit(0)


def checkPort(port: float) -> int:
    """Return a port that is one. Raises ConfigurationFailure."""
    if port != int(port) or not 0 <= port <= 65535:
        raise ConfigurationFailure(f"port {port}", "a whole number up to 65535; 0: any free one")
    return int(port)


def checkCuration() -> None:
    """Raise ConfigurationFailure if people could judge images without anybody knowing who they are."""
    if setting("web.curation") and not setting("web.proxy"):
        raise ConfigurationFailure("appion.web.curation is true, but there is no appion.web.proxy",
                                   "name the address of the proxy that asks people to log in")  # fmt: skip


def checkLimits() -> None:
    """Raise ConfigurationFailure for a limit of a number that has no better and worse, or that is no number."""
    for name, limit in setting("web.limits").items():
        if name not in BETTER:
            raise ConfigurationFailure(f"appion.web.limits has {name}", f"there may be {', '.join(BETTER)}")
        if isinstance(limit, bool) or not isinstance(limit, (int, float)):
            raise ConfigurationFailure(f"appion.web.limits: {name} is {limit!r}", "write a number")


def limitConnection(alias: str) -> None:
    """Have Django close connections to a database that have not been used for a while, and try them before use."""
    from django.db import connections

    connections.settings[alias] |= {"CONN_MAX_AGE": KEPT, "CONN_HEALTH_CHECKS": True}


def setupLog() -> None:
    """Send messages to standard error; a line of a log is one line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    for name, level in (("appion", logging.INFO), ("sinedon", logging.INFO), ("django", logging.ERROR),
                        ("waitress", logging.ERROR)):  # fmt: skip
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(level)
