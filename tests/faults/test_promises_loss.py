"""P3, P4 and P7: the daemon, its workers and its Dask die; nothing is lost or stored twice, and no image is blamed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter

import pytest
from django.apps import apps

import sinedon
from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.attempts import readAttempts
from sinedon.models import appiondata
from tests.base.fakes import fast, inline
from tests.faults.daemon import constructStep, makeFolders
from tests.faults.test_daemon import Daemon, checkStoredOnce, makeExposures, writeMovies
from tests.faults.test_daemon_kill import checkOnce, count, finish, readNotes, rng, start
from tests.faults.test_slurm_pool import slurmdaemon
from tests.services.waiting import waitFor

__all__ = ["fast", "inline", "rng", "slurmdaemon"]


def readContent(folder, name) -> Counter:
    """All rows that have to do with the session `name` in `folder`, without ids and times of writing.

    A reference stands for the content of the row that it refers to, so that only what the ids mean is compared.
    """
    labels = ("leginondata", "projectdata", "appiondata")
    models = [model for label in labels for model in apps.all_models[label].values()]
    tables = {model: readTable(model) for model in models if sinedon.hasTable(model)}
    texts: dict[tuple, str] = {}

    def describe(model, def_id):
        """What a row says, with what the rows say that it refers to."""
        if (model, def_id) not in texts:
            row = tables.get(model, {}).get(def_id)
            texts[model, def_id] = "" if row is None else describeRow(model, row)
        return texts[model, def_id]

    def describeRow(model, row):
        values = []
        for field, value in row.items():
            if field.is_relation and value:
                value = describe(field.related_model, value)
            values.append(f"{field.name}={value}")
        return f"{model.__name__}({', '.join(values)})"

    found = (describe(model, def_id) for model, rows in tables.items() for def_id in rows)
    return Counter(text.replace(str(folder), "FOLDER").replace(name, "NAME") for text in found if str(folder) in text)


def readTable(model):
    """Rows of a table by id: fields and values without ids and times."""
    fields = [field for field in model._meta.concrete_fields if not field.primary_key and field.name != "def_timestamp"]
    names = [field.attname for field in fields]
    return {row[0]: dict(zip(fields, row[1:], strict=True)) for row in model.objects.values_list("pk", *names)}


@pytest.mark.usefixtures("mariadatabase")
def test_P3_killed_daemon_leaves_the_database_of_an_undisturbed_one(tmp_path, rng):
    """Killed three times while it works, then left alone; nothing that was computed is computed again."""
    folders = tmp_path / "killed", tmp_path / "undisturbed"
    made = makeExposures(folders[0], 12)
    writeMovies(made)
    daemon = Daemon(folders[0], made)
    for _ in range(3):
        before, process = daemon.readLedger(), daemon.start("--no-wait", seconds=0.2)
        waitFor(lambda before=before, it=process: daemon.readLedger() != before or it.poll() is not None)
        time.sleep(rng.uniform(0, 1))
        process.kill()
        process.wait()
    journal = {int(path.stem) for path in (daemon.rundir / ".appion" / "journal").glob("*.json")}
    before = daemon.readLedger()
    done = {pair.source_id for pair in appiondata.ApDDAlignImagePairData.objects.all()}
    daemon.finish("--no-wait")
    checkStoredOnce(made, daemon)
    after = daemon.readLedger()
    names = dict(zip(made.image_ids, made.filenames, strict=True))
    for image_id in journal | done:
        line = f"start {names[image_id]}.frames.mrc"
        assert after[line] == before[line], f"{names[image_id]} was computed again"

    other = makeExposures(folders[1], 12, name="26mar20b")
    writeMovies(other)
    Daemon(folders[1], other).finish("--no-wait")
    content = readContent(folders[1], other.name)
    assert sum("ApDDAlignImagePairData" in text for text in content) == 24
    assert readContent(folders[0], made.name) == content


@pytest.mark.usefixtures("fast", "inline")
def test_P3_killed_fifty_times_at_random_and_restarted(tmp_path, rng):
    """The loop with real files and real programs, in a process that is killed a moment after it gets going."""
    number = 250
    makeFolders(tmp_path)

    def runDaemon():
        return runLoop(
            constructStep(tmp_path, number, 0), tmp_path / "run", LoopOptions(wait=False, workers=2),
            isDatabaseAway=lambda _: False, reconnect=lambda: None,
        )  # fmt: skip

    for _ in range(50):
        before = len(readNotes(tmp_path))
        child = os.fork()
        if not child:
            try:
                runDaemon()
            finally:
                os._exit(0)
        waitFor(lambda before=before, child=child: len(readNotes(tmp_path)) > before or hasEnded(child))
        time.sleep(rng.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert runDaemon().counts["done"] == number
    checkOnce(tmp_path, number)


def hasEnded(child) -> bool:
    """Whether a child process has ended; it can still be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@pytest.mark.parametrize("way", ["exit", "kill", "segfault"])
def test_P4_lost_workers_cost_one_more_run_of_what_they_had_and_blame_no_image(tmp_path, way):
    """Of 80 exposures four take a worker with them, two a moment after they are done."""
    code, out, err = finish(start(tmp_path, 80, 0.01, f"die={way}"), timeout=300)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, 80, lost=4)
    deaths = len(list((tmp_path / "deaths").iterdir()))
    assert deaths == 4
    started = count(tmp_path, "start")
    assert started.total() <= 80 + 2 * deaths, "the one it had is run once more, and the one being fetched at most"
    assert max(started.values()) <= 3
    failed = [event for event in readEvents(tmp_path) if event["what"] in ("failed", "set aside")]
    assert {(event["what"], event["class"], event["attempt"]) for event in failed} <= {("failed", "infrastructure", 0)}
    assert max(Counter(event["image"] for event in failed).values()) <= 3
    assert readAttempts(tmp_path / "run") == {}


def test_P4_worker_that_does_not_answer_any_more_is_replaced(tmp_path, monkeypatch):
    """A stopped process is not gone, but says nothing: Dask's own patience, five minutes, is made short here."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "5s")
    code, out, err = finish(start(tmp_path, 22, 0.01, "die=stop"), timeout=300)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, 22, lost=1)
    assert count(tmp_path, "start")[20] >= 2
    assert {event["class"] for event in readEvents(tmp_path) if "class" in event} == {"infrastructure"}


def readEvents(folder):
    return [json.loads(line) for line in (folder / "run/.appion/events.jsonl").read_text().splitlines()]


def listWorkers(notes) -> set[str]:
    """Processes that began an exposure."""
    return {words[2] for words in notes if words[0] == "start"}


def checkDaskLost(folder, number, losses):
    """All done and stored once; what was lost was submitted again, to new workers, and no exposure is blamed.

    Nothing may have been lost: all that was handed out may have had its record by then.
    """
    checkOnce(folder, number, lost=2 * losses)
    notes = readNotes(folder)
    lost = [place for place, words in enumerate(notes) if words[0] == "lose"]
    assert len(lost) == losses
    for place in lost:
        if int(notes[place][1]) < number:
            assert listWorkers(notes[place:]) - listWorkers(notes[:place])
    events = readEvents(folder)
    assert {event["class"] for event in events if "class" in event} <= {"infrastructure"}
    assert "set aside" not in {event["what"] for event in events}
    assert max(count(folder, "start").values()) <= 1 + losses


def test_P7_lost_scheduler_and_cluster_are_replaced(tmp_path):
    code, out, err = finish(start(tmp_path, 60, 0.1, "lose=15"), timeout=300)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkDaskLost(tmp_path, 60, 4)


def test_P7_lost_scheduler_and_cluster_are_replaced_on_slurm(slurmdaemon, tmp_path):
    code, out, err = finish(start(tmp_path, 40, 0.3, "lose=14"), timeout=300)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkDaskLost(tmp_path, 40, 2)
    waitFor(lambda: not slurmdaemon.listJobs())
