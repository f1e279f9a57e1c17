"""The status of a run as metrics for Prometheus: a file in the run folder and, where a port is set, over HTTP.

Format: Prometheus' text exposition format 0.0.4, which the textfile collector of its node exporter reads, too. Every
sample has the labels `run` (path of the run folder, so that no two daemons have the same series), `step` and `session`.
Times of exposures are a summary: programs take from a second to an hour, which no set of buckets suits, and its sum
and count add up over runs as those of a histogram do.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from appion.base.calc.plain import makePlain
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.records.series import COLUMNS
from appion.base.store.files import writeAtomically

logger = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: What status.json may tell the trouble of, and the name it has in `appion_outage`.
OUTAGES = {"database": "database", "polling": "polling", "storing": "storing", "paused": "submission",
           "stalled": "stalled", "unwritable": "rundir"}  # fmt: skip

Sample = tuple[str, dict[str, Any], float | None]  # what follows the metric's name, labels, value


def metricsPath(rundir: Path | str) -> Path:
    """Where the metrics of a run are kept."""
    return Path(rundir) / ".appion" / "metrics.prom"


def saveMetrics(rundir: Path | str, text: str) -> None:
    """Replace the metrics of a run."""
    writeAtomically(metricsPath(rundir), text)


def constructMetrics(status: Mapping[str, Any]) -> str:
    """The text of all metrics of one status, as it stands in status.json; what is not known yet is left out."""
    common = {"run": status["rundir"], "step": status["program"], "session": status["session"]}
    lines = []
    for name, kind, text, samples in describeMetrics(status):
        known = [(suffix, labels, float(value)) for suffix, labels, value in samples if value is not None]
        if known:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{suffix}{formatLabels(common | labels)} {value!r}" for suffix, labels, value in known]
    return "\n".join(lines) + "\n"


def describeMetrics(status: Mapping[str, Any]) -> Iterator[tuple[str, str, str, list[Sample]]]:
    """Name, type, help and samples of each metric."""
    workers, behind = status.get("workers", {}), status["behind"]
    yield "appion_info", "gauge", "What runs where.", [
        ("", {"version": status["version"], "host": status["host"], "cluster": workers.get("cluster", "")}, 1)]
    yield "appion_up", "gauge", "1 while the daemon runs, 0 after it ended.", [("", {}, status.get("state") != "ended")]
    yield "appion_start_timestamp_seconds", "gauge", "When the daemon started.", [("", {}, status["started"])]
    yield "appion_heartbeat_timestamp_seconds", "gauge", "Its last sign of life.", [("", {}, status["heartbeat"])]
    yield "appion_exposures", "gauge", "Exposures by what they are doing; their sum is all there are.", [
        ("", {"phase": phase}, number) for phase, number in status["counts"].items()]
    yield "appion_events_total", "counter", "What happened since the start, as in the events of the run.", [
        ("", {"what": what}, number) for what, number in sorted(status["events"].items())]
    yield "appion_failures_total", "counter", "Failed attempts since the start by class of failure.", [
        ("", {"class": kind}, number) for kind, number in sorted(status["failed_attempts"].items())]
    yield "appion_exposure_seconds", "summary", "What an exposure took on its worker; quantiles of the last fifty.", [
        *describeSpent(status["seconds"]["computing"])]
    yield "appion_part_seconds", "summary", "The same for what it takes to read ahead, compute and store it.", [
        sample for part, spent in status["seconds"].items() for sample in describeSpent(spent, part=part)]
    yield "appion_done_per_hour", "gauge", "Exposures done per hour, within the last half.", [
        ("", {}, status["rate_per_hour"])]
    yield "appion_arriving_per_hour", "gauge", "New exposures per hour, within the last half.", [
        ("", {}, status["arriving_per_hour"])]
    yield "appion_behind_exposures", "gauge", "Exposures that are neither done nor set aside.", [
        ("", {}, behind["count"])]
    yield "appion_behind_seconds", "gauge", "For how long the oldest of them has been known.", [
        ("", {}, 60 * behind["minutes"])]
    yield "appion_result", "gauge", "Numbers of stored exposures: the last one's, and medians of the last.", [
        ("", {"number": name, "unit": COLUMNS[name].unit, "of": which}, value)
        for which, numbers in status.get("numbers", {}).items()
        for name, value in numbers.items() if name in COLUMNS and COLUMNS[name].median]
    yield "appion_alarm", "gauge", "1 while there is the alarm of a rule in the settings.", [
        ("", {"rule": rule}, active) for rule, active in status.get("alarms", {}).items()]
    yield "appion_workers", "gauge", "Workers that there are to be, and that are there.", [
        ("", {"state": state}, workers.get(state)) for state in ("planned", "in_sight")]
    yield "appion_outage", "gauge", "1 while something does not answer or keeps exposures from being handed out.", [
        *(("", {"what": what}, bool(status.get(key))) for key, what in OUTAGES.items()),
        *(("", {"what": what}, flag) for what, flag in workers.get("outages", {}).items())]
    yield "appion_jobs", "gauge", "Jobs by what they are doing, those missing in the scheduler's last list included.", [
        ("", {"state": state}, number) for state, number in workers.get("jobs", {}).items()]
    yield "appion_jobs_pending", "gauge", "Jobs that wait, by the reason that the scheduler gives.", [
        ("", {"reason": reason}, number) for reason, number in workers.get("pending", ())]
    yield "appion_nodes_excluded", "gauge", "Nodes that are not used because programs fail there again and again.", [
        ("", {}, workers.get("excluded"))]


def describeSpent(spent: Mapping[str, Any], **labels: str) -> Iterator[Sample]:
    """The samples of a summary; a part that never was has none."""
    if spent["count"]:
        yield from (("", {**labels, "quantile": share}, value) for share, value in spent["quantiles"].items())
        yield "_sum", labels, spent["sum"]
        yield "_count", labels, spent["count"]


def formatLabels(labels: Mapping[str, Any]) -> str:
    """Labels in braces; values may be any text. One without a value is as good as none, so it is left out."""
    pairs = []
    for name, value in labels.items():
        text = "\n".join(map(makePlain, str(value).split("\n")))
        text = text.encode("utf-8", "replace").decode()  # a path may hold bytes that are no text
        text = text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        pairs += [f'{name}="{text}"'] if text else []
    return f"{{{','.join(pairs)}}}"


@contextlib.contextmanager
def serveMetrics(read: Callable[[], str]) -> Iterator[int | None]:
    """Answer GET /metrics with what `read` returns, where `appion.metrics_port` is set; yields the port in use.

    A port that cannot be had is said in the log and no more: the metrics are in the file, and a second daemon on the
    same machine is as good as the first.

    Raises:
        ConfigurationFailure: the setting is no port.
    """
    port, address = setting("metrics_port"), setting("metrics_address")
    if port is None:
        yield None
        return
    if port != int(port) or port > 65535:
        raise ConfigurationFailure(f"setting appion.metrics_port is {port!r}", "a whole number up to 65535, or null")
    try:
        server = ThreadingHTTPServer((address, int(port)), _constructHandler(read))
    except OSError as error:
        logger.warning("no metrics over HTTP: %s port %d: %s (appion.metrics_port)", address, port, error)
        yield None
        return
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.5,), name="metrics", daemon=True)
    thread.start()
    logger.info("metrics: http://%s:%d/metrics", *server.server_address[:2])
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _constructHandler(read: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # a client that says nothing

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404, "only /metrics is here")
                return
            body = read().encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """A request every few seconds is nothing to log."""

    return Handler
