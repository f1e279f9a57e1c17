"""A Dask scheduler that is there already: workers are found there, looked at and used, never started or ended.

A thread of its own asks it every few seconds and dials anew when it is lost, so that the daemon waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from distributed import Client, Future, Security
from distributed.protocol.pickle import dumps

from appion.base.calc.outage import Outage
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure, Failure, InfrastructureFailure
from appion.base.workers.elsewhere.address import CERTIFICATES, findScheduler
from appion.base.workers.elsewhere.look import EXPOSURE, PATIENCE, Look, Parcel, enrol, retire, withhold
from appion.base.workers.elsewhere.roll import Roll
from appion.base.workers.scaling import Demand
from appion.base.workers.starting import followCauses
from appion.base.workers.supply import Supply, askWorkers

logger = logging.getLogger(__name__)

#: Seconds for a connection, and for an answer of the scheduler.
CONNECT, ANSWER = 10.0, 30.0

#: Seconds for the connection to close at the end.
FAREWELL = 5.0


class Elsewhere(Supply):
    """The workers of a scheduler elsewhere.

    Args:
        kind: its address, or the path of a scheduler file.
        look: what a worker must see.
    """

    own = False

    def __init__(self, kind: str, look: Look):
        self._kind, self._look = kind, look
        self.badge = f"appion-{look.belonging.word[:12]}"
        self.roll = Roll()
        self._client: Client | None = None
        self._up = False
        self._demand = Demand()
        self._fatal: ConfigurationFailure | None = None
        self._call: Future | None = None  # what has a cluster that scales by itself start a worker
        self._away = Outage(setting("pause"), setting("pause_max"))
        self._news: deque[dict[str, Any]] = deque(maxlen=1000)
        self._suspects: set[str] = set()  # hosts on which something failed that was not the image's fault
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="appion-elsewhere", daemon=True)

    # -- what the daemon's thread calls ----------------------------------------------------------------------------

    def connect(self) -> Client:
        if not self.isUp() or self._client is None:
            raise InfrastructureFailure(f"the scheduler {self._kind} is not there", "it is tried again")
        return self._client

    def isUp(self) -> bool:
        return self._up and self._client is not None and self._client.status == "running"

    def isReady(self) -> bool:
        if self._thread.ident is None:
            self._thread.start()
        if self._fatal is not None:
            raise self._fatal
        return self.isUp() and bool(self.roll.fit)

    def listWorkers(self) -> list[str]:
        return list(self.roll.fit)

    def countBusy(self) -> int:
        return sum(self.roll.fit.values())

    def isWaiting(self, key: str) -> bool:
        return key not in self.findHolders([key])

    def findHolders(self, keys: Iterable[str]) -> dict[str, str]:
        wanted = set(keys)
        with contextlib.suppress(Exception, asyncio.CancelledError):
            processing = self._ask(lambda client: client.scheduler.processing(workers=None))
            return {key: address for address, held in processing.items() for key in held if key in wanted}
        return {}

    def submit(
        self, client: Client, key: str, _reads: str, others: list[str], function: Callable[..., Any], *arguments: Any
    ) -> Future:
        return client.submit(
            pickle.loads, dumps(Parcel(self.badge, function, arguments)), key=key, pure=False, retries=0,
            workers=others or None, allow_other_workers=bool(others), resources={EXPOSURE: 1, self.badge: 1},
        )  # fmt: skip

    def holdBack(self, client: Client) -> dict[str, list[str]]:
        return askWorkers(client, withhold, self.badge)

    def tell(self, demand: Demand) -> None:
        self._demand = demand

    def noteOutcome(self, node: str, trouble: str) -> None:
        if trouble:
            self._suspects.add(node)

    def takeNews(self) -> list[dict[str, Any]]:
        return [self._news.popleft() for _ in range(len(self._news))]

    def describe(self) -> dict[str, Any]:
        trouble = self.roll.describe()
        if (away := self._away.describe()) is not None:
            since = time.strftime("%H:%M:%S", time.localtime(away["since"]))
            trouble = [f"the scheduler {self._kind} is not there since {since}: {away['reason']} (tried again in "
                       f"{away['next_try']:.0f} s; what runs on its workers goes on there)"]  # fmt: skip
        return {"planned": self.roll.count, "trouble": trouble or self._describeEmpty()}

    def _describeEmpty(self) -> list[str]:
        """Say that there is no worker, if there should be one."""
        if self.roll.empty is None or time.monotonic() - self.roll.empty <= PATIENCE or not self._demand.backlog:
            return []
        return [f"the scheduler {self._kind} has no worker: have some started there"]

    def findLiveJobs(self) -> set[str] | None:
        return self.roll.listLive(time.monotonic()) if self.isUp() else None

    def end(self, client: Client | None, at_once: bool) -> None:  # noqa: ARG002
        """Let go of the scheduler; what runs on its workers goes on there."""
        self._ending.set()
        if self.isUp() and self._client is not None:
            askWorkers(self._client, retire, self.badge)
            self._disconnect()
        if self._thread.ident is not None:
            self._thread.join(FAREWELL if self._away.began is None else 0.0)

    # -- what its own thread does ----------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._ending.is_set():
            pause = setting("elsewhere.poll")
            try:
                self._visit()
            except Exception as error:
                self._lose(error)
                pause = max(0.1, self._away.until - time.monotonic())
            self._ending.wait(pause)
        self._disconnect()

    def _visit(self) -> None:
        """Dial if need be, see which workers there are, and look at the new ones. Raises what keeps it from that."""
        if self._client is None:
            self._client = dial(*self._findScheduler())
        elif self._client.status != "running":
            raise InfrastructureFailure("the connection broke")
        workers = self._ask(lambda client: client.scheduler.identity(n_workers=-1))["workers"]
        now = time.monotonic()
        self.roll.update(workers, self.badge, now)
        if self._away.clear():
            self._news.append({"what": "scheduler back", "reason": self._kind})
        suspects, self._suspects = self._suspects, set()
        if looked_at := [*self.roll.listStrangers(now), *self.roll.findOn(suspects)]:
            self._enrol(looked_at)
        self._callForWorkers()
        if not self._up:
            self._up = True
            self.onWorker()

    def _findScheduler(self) -> tuple[str, Security | None]:
        """The address to dial, and by which certificates."""
        return findScheduler(self._kind)

    def _ask(self, question: Callable[[Any], Any], patience: float = ANSWER) -> Any:
        """What the scheduler answers. Raises TimeoutError: nothing; OSError and others: it is lost."""
        client = self._client
        if client is None:
            raise InfrastructureFailure("there is no connection")

        async def ask() -> Any:
            return await asyncio.wait_for(question(client), patience)

        return client.sync(ask)

    def _enrol(self, addresses: list[str]) -> None:
        """Look whether workers are fit, all at one time."""
        how = {"workers": addresses, "on_error": "return", "asynchronous": True}
        try:
            answers = self._ask(lambda client: client.run(enrol, self._look, self.badge, **how), PATIENCE + ANSWER)
        except TimeoutError:
            answers = dict.fromkeys(addresses, TimeoutError("it does not answer"))
        now, before = time.monotonic(), set(self.roll.fit)
        for address in addresses:
            news = self.roll.note(address, answers.get(address), now)
            if news:
                logger.warning("a worker is not used: %s", news)
                self._news.append({"what": "worker unfit", "worker": address, "reason": news})
        self._takeBack(before - self.roll.fit.keys())
        if self.roll.fit:
            self.proven = True
            self.onWorker()
        elif not self.proven and self.roll.unfit:
            self._refuse(self.roll.constructFailure(self._kind))

    def _takeBack(self, addresses: set[str]) -> None:
        """Have what workers hold that are not fit any more come back; without the badge they would keep it for ever."""
        client = self._client
        if client is None or not addresses:
            return
        processing = self._ask(lambda client: client.scheduler.processing(workers=sorted(addresses)))
        held = [key for keys in processing.values() for key in keys if key in client.futures]
        client.cancel([Future(key, client) for key in held])

    def _callForWorkers(self) -> None:
        """Have a cluster that scales by what is to be done start a worker where there is none; it can do no more."""
        if self.roll.count or not self._demand.backlog:
            self._call = None
        elif self._call is None and self._client is not None:
            self._call = self._client.submit(int, key=f"call-for-workers-{self.badge}-{time.time()}", pure=False)

    def _lose(self, error: Exception) -> None:
        """Note why there is no scheduler, and be ready to dial anew."""
        self._disconnect()
        failure = explainLoss(error)
        if isinstance(failure, ConfigurationFailure):
            self._refuse(failure)
        if self._away.fail(failure.reason):
            logger.warning("the scheduler %s is not there, trying again: %s", self._kind, failure.reason)
            self._news.append({"what": "scheduler away", "reason": failure.reason})
            self.onWorker()

    def _refuse(self, failure: ConfigurationFailure) -> None:
        """End the run, unless there was a fit worker before: then it may be mended while the run goes on."""
        if not self.proven:
            self._fatal = failure
            self.onWorker()

    def _disconnect(self) -> None:
        self._up, self._call = False, None
        client, self._client = self._client, None
        self.roll = Roll()
        if client is not None:
            with contextlib.suppress(Exception, asyncio.CancelledError):
                client.close(timeout=FAREWELL)


def dial(address: str, security: Security | None) -> Client:
    """Return a connection to a scheduler.

    Raises:
        InfrastructureFailure, OSError, ImportError: see :func:`explainLoss`.
    """
    try:
        return Client(address, security=security, timeout=CONNECT, set_as_default=False, name="appion")
    except OSError:
        knock(address, security)
        raise


def knock(address: str, security: Security | None) -> None:
    """Raise what the system says of a connection; Dask tries again and again, and then tells that it took too long."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=CONNECT) as plain:
        if security is None:
            return
        context = security.get_connection_args("client")["ssl_context"]
        with context.wrap_socket(plain, server_hostname=parts.hostname) as closed, contextlib.suppress(TimeoutError):
            closed.recv(1)  # who does not like our certificate says so only now


def explainLoss(error: Exception) -> Failure:
    """Why there is no connection: what only a person can change, or what may be otherwise later."""
    if isinstance(error, Failure):
        return error
    causes = [one for one in followCauses(error) if not isinstance(one, asyncio.CancelledError)]
    of_tls = [one for one in causes if isinstance(one, ssl.SSLError) or "ssl" in str(one).lower()]
    of_tls = [one for one in of_tls if "eof" not in str(one).lower()]  # it went away in the middle
    of_system = [one for one in causes if isinstance(one, OSError) and one.errno and not isinstance(one, TimeoutError)]
    cause = (of_tls or of_system or causes)[-1]  # Dask tries again until its time is over, whatever the system says
    told = " ".join((str(cause) if isinstance(cause, OSError) else f"{type(cause).__name__}: {cause}").split())
    if isinstance(cause, TimeoutError):
        return InfrastructureFailure("it does not answer")
    if of_tls:
        return ConfigurationFailure(f"the scheduler and this daemon do not trust each other's certificates: {told}",
                                    CERTIFICATES)  # fmt: skip
    if isinstance(error, ImportError):
        return ConfigurationFailure(f"the scheduler has other packages: {told}", "install the same versions of Dask")
    return InfrastructureFailure(told)
