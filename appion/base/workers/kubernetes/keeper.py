"""Looks after the pods: makes the cluster, grows it with the backlog, shrinks it to nothing, tells what is wrong.

Each round looks at the pods when it is time to, then scales. A pod that is lost is replaced by Kubernetes itself.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from appion.base.calc.outage import Outage
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure, Failure
from appion.base.workers.bounds import readBounds
from appion.base.workers.elsewhere.roll import Roll
from appion.base.workers.kubernetes.api import KubernetesError, explainRefusal
from appion.base.workers.kubernetes.estate import Estate
from appion.base.workers.kubernetes.manifest import NAME_LABEL
from appion.base.workers.kubernetes.pods import Pod, countPods, describeWaits, isAllStuck
from appion.base.workers.scaling import Demand, Hold, calcChange, calcNeed

logger = logging.getLogger(__name__)

#: Seconds between two rounds, and pods asked for in one of them.
INTERVAL, BURST = 1.0, 4

#: Seconds that pods may be away before it is asked what Kubernetes warns of.
PATIENCE = 15.0

TITLE = "Kubernetes"


class Keeper:
    """Rounds of one cluster, all in one thread.

    Args:
        getRoll: returns the workers that Dask has.
        retire: has Dask give nothing more to workers of these names.
        refuse: is told what only a person can change.

    Attributes:
        demand: what the daemon's thread says. doomed: workers whose pods it wants ended.
        news, snapshot: what it may read: events, and facts for the status.
        replicas: workers there are to be.
        pods: as last listed, by name.
    """

    def __init__(
        self,
        estate: Estate,
        getRoll: Callable[[], Roll],
        retire: Callable[[list[str]], None],
        refuse: Callable[[ConfigurationFailure], None],
    ):
        self.estate, self._getRoll, self._retire, self._refuse = estate, getRoll, retire, refuse
        self.demand = Demand()
        self.doomed: set[str] = set()
        self.news: deque[dict[str, Any]] = deque(maxlen=10000)
        self.snapshot: dict[str, Any] = {}
        self.replicas = 0
        self.pods: dict[str, Pod] = {}
        self.places: dict[str, tuple[str, str]] = {}  # node and pod of each worker, also after its end
        self._bounds = readBounds()
        self._hold = Hold(self._bounds.hold)
        first, longest = setting("pause"), setting("pause_max")
        self._making, self._asking = Outage(first, longest), Outage(first, longest)
        self._starting, self._stuck = Outage(0.0, 0.0), Outage(0.0, 0.0)
        self._seen: set[str] = set()  # workers that Dask had at some time
        self._gone: set[str] = set()  # those that were removed, whose pods may be listed for a while
        self._names: set[str] = set()  # those that Dask had at the last round
        self._told = 0  # how many Kubernetes was last asked for
        self._poll, self._next_look = setting("jobs.poll"), 0.0
        self._short: float | None = None  # since when pods are away that say nothing of themselves
        self._broken = ""

    # -- what others ask -------------------------------------------------------------------------------------------

    def isIdle(self) -> bool:
        """Whether there is no worker, and there is to be none."""
        return not self.replicas and not calcNeed(self.demand, self._bounds)

    def isSchedulerReady(self) -> bool:
        """Whether the scheduler's pod runs, as last heard of."""
        return any(pod.ready for pod in list(self.pods.values()) if pod.part == "scheduler")

    def round(self) -> None:
        """One round. An error is told, and the next round comes."""
        try:
            target = self._hold.update(time.monotonic(), calcNeed(self.demand, self._bounds))
            if self._ensure(target):
                self._look()
                if self.isSchedulerReady():  # before, Dask's operator may not have made what it scales
                    self._bringTo(target)
            self._broken = ""
        except (KubernetesError, OSError, Failure) as error:
            self._noteRefusal(error)
        except Exception as error:
            if not self._broken:
                logger.exception("looking after the pods failed; trying again")
            self._broken = f"{type(error).__name__}: {error}"
        self.snapshot = self._describe()

    def _tell(self, what: str, **fields: Any) -> None:
        self.news.append({"what": what, **fields})

    # -- that there is a cluster -----------------------------------------------------------------------------------

    def _ensure(self, target: int) -> bool:
        """Make the cluster if there is none; returns whether there is one."""
        if self.estate.name or self._making.isPaused():
            return bool(self.estate.name)
        left = self.estate.removeStrangers()
        for own, reason in ((False, "left by an earlier daemon"), (True, "left by a try that failed")):
            if clusters := [name for name in left if (name in self.estate.tried) is own]:
                self._tell("pods removed", clusters=clusters, reason=reason)
        number = min(target, BURST)
        self.estate.make(number)
        self.replicas, self._told, self.pods = number, number, {}
        self._short = time.monotonic()
        self._tell("cluster made", cluster=self.estate.name, workers=number)
        if self._making.clear():
            logger.info("%s takes the workers again", TITLE)
            self._tell("making works again")
        return True

    def _noteRefusal(self, error: Exception) -> None:
        """Take in that Kubernetes says no, or nothing."""
        told = str(error) or type(error).__name__
        failure = explainRefusal(error) if isinstance(error, KubernetesError) else error
        gone = self.estate.name and isinstance(error, KubernetesError) and error.status == 404  # somebody removed it
        if isinstance(failure, ConfigurationFailure) and not gone:
            self._refuse(failure)
        if not self.estate.name:
            if self._making.fail(told):
                logger.warning("%s does not take the workers; trying again: %s", TITLE, told)
                self._tell("making fails", reason=told)
        elif self._asking.fail(told):
            logger.warning("%s does not say how pods are, all is left as it is: %s", TITLE, told)
            self._tell("asking fails", reason=told)

    # -- what became of the pods -----------------------------------------------------------------------------------

    def _look(self) -> None:
        """List the pods when it is time to, and tell what is new."""
        now, names = time.monotonic(), set(self._getRoll().names.values())
        if names != self._names:
            self._names = names
            self._askSoon()
        if now < self._next_look or self._asking.isPaused():
            return
        self._next_look = now + self._poll
        pods = {pod.name: pod for pod in self.estate.listPods() if pod.worker not in self._gone}
        if not any(pod.part == "scheduler" for pod in pods.values()) and not self.estate.isThere():
            self._lose()
            return
        if self._asking.clear():
            self._tell("asking works again")
        self._noteLosses(pods)
        self.pods = pods
        self._noteWorkers()
        self._noteWaits(now)

    def _noteWorkers(self) -> None:
        """Take in which pods have a worker, and ask soon again while some have none."""
        for pod in self.pods.values():
            if pod.worker and (pod.node or pod.worker not in self.places):
                self.places[pod.worker] = pod.node, pod.name
        there = self._there()
        for worker in sorted(there - self._seen):
            node, name = self.places[worker]
            self._tell("pod works", pod=name, host=node)
        self._seen |= there
        if len(there) < self.replicas or not self.isSchedulerReady():
            self._askSoon()

    def _there(self) -> frozenset[str]:
        """The workers that Dask has, of those whose pods are known."""
        names = set(self._getRoll().names.values())
        return frozenset(pod.worker for pod in self.pods.values() if pod.worker in names)

    def _lose(self) -> None:
        """Somebody removed the cluster: another one is made."""
        logger.warning("the DaskCluster %s was removed by somebody; making another", self.estate.name)
        self._tell("cluster lost", cluster=self.estate.name, reason="somebody removed it")
        self.estate.forget()
        self.replicas, self._told, self.pods = 0, 0, {}

    def _noteLosses(self, pods: dict[str, Pod]) -> None:
        """Tell of pods that run no more, and of containers that ended and were started again."""
        for name in self.pods | pods:
            before, pod = self.pods.get(name), pods.get(name)
            if before is not None and before.state == "lost":
                continue
            if pod is None:
                reason = f"{TITLE} knows it no more"
            elif pod.state == "lost":
                reason = pod.words
            elif pod.died and pod.restarts > (before.restarts if before else 0):
                reason = pod.died
            else:
                continue
            node = pod.node if pod else before.node if before else ""
            logger.warning("pod %s is lost: %s", name, reason)
            self._tell("pod lost", pod=name, host=node, reason=reason)

    def _noteWaits(self, now: float) -> None:
        """Say once why pods do not work, once that a person is needed, and once that they do again."""
        working = self._there()
        waits, stuck = describeWaits(self.pods.values(), working), isAllStuck(self.pods.values(), working)
        silent = len(working) < self.replicas or not self.isSchedulerReady()
        self._short = (self._short or now) if silent and not waits else None
        if self._short is not None and now - self._short > PATIENCE:
            words, stuck = self.estate.readWarning()
            if not words and not self.pods:
                words = "no pod was made, and nobody says why: does Dask's operator run?"
            waits = [(words, [], stuck)] if words else []
        reason = "; ".join(f"{words}{f' (pod {names[0]})' if names else ''}" for words, names, _ in waits[:3])
        self._note(self._starting, reason, "pods wait", "pods wait no more", "pods do not work yet")
        remedy = f"see: kubectl describe pods -n {self.estate.api.namespace} -l {NAME_LABEL}={self.estate.name}"
        self._note(self._stuck, f"{reason} ({remedy})" if stuck else "", "pods are stuck", "pods can start again",
                   "no pod can start before somebody does something")  # fmt: skip

    def _note(self, outage: Outage, reason: str, begins: str, ends: str, told: str) -> None:
        if not reason:
            if outage.clear():
                self._tell(ends)
        elif reason != outage.reason:
            outage.fail(reason)
            logger.warning("%s: %s", told, reason)
            self._tell(begins, reason=reason)

    # -- what is to become of them ---------------------------------------------------------------------------------

    def _bringTo(self, target: int) -> None:
        """Ask for more workers, or remove some that have nothing to do."""
        self._endDoomed()
        roll = self._getRoll()
        busy = {roll.names.get(address, ""): busy for address, busy in list(roll.fit.items())}
        known = {pod.worker for pod in self.pods.values() if pod.part == "worker" and pod.state != "lost"}
        idle = sorted(worker for worker in known if busy.get(worker) is False)
        waiting = sorted(worker for worker in known if worker not in self._seen)
        change = calcChange(target, self.replicas, len(idle), len(waiting), self._calcBurst(len(waiting)),
                            dormant=target <= self._bounds.minimum)  # fmt: skip
        self._remove(idle[: change.retire], waiting[-change.cancel :] if change.cancel else [])
        if change.submit:
            self.replicas += change.submit
            self._tell("pods asked for", number=change.submit)
        if self.replicas != self._told:
            self.estate.scale(self.replicas)
            self._told = self.replicas
            self._askSoon()

    def _remove(self, idle: list[str], waiting: list[str]) -> None:
        """Remove the pods of workers that have nothing to do, and of those that are not there yet."""
        if idle:
            self._retire(idle)
        for worker in (*idle, *waiting):
            self.estate.removeWorker(worker)
            self._gone.add(worker)
            self.replicas -= 1
        if idle or waiting:
            names = [name for name, pod in self.pods.items() if pod.worker in self._gone]
            self.pods = {name: pod for name, pod in self.pods.items() if pod.worker not in self._gone}
            self._tell("pods removed", pods=names, reason="nothing to do")

    def _endDoomed(self) -> None:
        """End the pods of workers that do not come back."""
        doomed, self.doomed = self.doomed, set()
        for pod in self.pods.values():
            if pod.worker in doomed and pod.state != "lost":
                self.estate.restartPod(pod.name)

    def _calcBurst(self, waiting: int) -> int:
        """How many may be asked for now: while some do not start, one at a time."""
        if self._asking.began is not None or self._broken:
            return 0
        room = max(0, self._bounds.maximum - self.replicas)
        if self._starting.began is not None:
            return 0 if waiting or len(self.pods) <= self.replicas else min(room, 1)
        return min(room, BURST)

    def _askSoon(self) -> None:
        self._next_look = min(self._next_look, time.monotonic() + min(self._poll, 2 * INTERVAL))

    def _describe(self) -> dict[str, Any]:
        """For the status: pods there are, why they wait, and what a person should know."""
        working = self._there()
        outages = {
            "making": (self._making, f"{TITLE} does not take the workers"),
            "asking": (self._asking, f"{TITLE} does not say how pods are"),
            "stuck": (self._stuck, "no pod can start before somebody does something"),
            "pods": (self._starting, "pods do not work yet"),
        }
        shown = [what for what in outages if what != "pods" or self._stuck.began is None]
        trouble = [
            f"{outages[what][1]} since {time.strftime('%H:%M:%S', time.localtime(outages[what][0].began))}: "
            f"{outages[what][0].reason}"
            for what in shown
            if outages[what][0].began is not None
        ]
        jobs, pending = countPods(self.pods.values(), working)
        return {
            "jobs": jobs,
            "pending": pending,
            "outages": {what: outage.began is not None for what, (outage, _) in outages.items()},
            "stuck": self._stuck.describe(),
            "refused": self._making.describe(),
            "scheduler": TITLE,
            "trouble": trouble + ([f"looking after the pods fails: {self._broken}"] if self._broken else []),
        }
