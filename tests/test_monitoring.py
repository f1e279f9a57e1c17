"""docs/monitoring: rules that Prometheus understands, and no name in them or in the dashboard that is not exported."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from appion.base.calc.alarmrules import NUMBERS
from appion.base.controller.report import Spent
from appion.base.controller.state import Phase
from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure, NotReady
from appion.base.records.series import COLUMNS
from appion.base.store.metrics import OUTAGES, constructMetrics
from tests.base.store.test_metrics import parseMetrics

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "monitoring"
RULES, TRIAL, DASHBOARD = (FOLDER / f"appion-{name}" for name in ("alerts.yml", "alerts-test.yml", "dashboard.json"))
METRIC = re.compile(r"\b(appion_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=|!=|=~|!~)\s*"((?:[^"\\]|\\.)*)"')
#: Labels whose values are not ours.
FREE = {"run", "session", "step", "rule", "reason", "cluster", "host", "version"}


def exportAll():
    """The samples of a status in which there is everything that one may have."""
    spent = Spent()
    spent.add(1.0)
    kinds = [kind.kind for kind in (ImageFailure, InfrastructureFailure, ConfigurationFailure, NotReady)]
    status = {
        "rundir": "/r", "program": "motioncorrection", "session": "s", "version": "1", "host": "h", "state": "running",
        "started": 1.0, "heartbeat": 2.0, "counts": {phase.value: 1 for phase in Phase},
        "events": {"stored": 1, "alarm": 1}, "failed_attempts": dict.fromkeys(kinds, 1),
        "seconds": {part: spent.describe() for part in ("reading", "computing", "storing")},
        "rate_per_hour": 1.0, "arriving_per_hour": 1.0, "behind": {"count": 1, "minutes": 1.0},
        "numbers": {which: dict.fromkeys(NUMBERS, 1.0) for which in ("last", "last_20")}, "alarms": {"far": True},
        "workers": {"cluster": "slurm", "planned": 1, "in_sight": 1, "jobs": {"pending": 1}, "pending": [["why", 1]],
                    "excluded": 1, "outages": {"sbatch": True}}, **dict.fromkeys(OUTAGES),
    }  # fmt: skip
    return parseMetrics(constructMetrics(status))


def listExpressions():
    """(where, expression) of all rules and panels."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from ((rule["alert"], rule["expr"]) for rule in group["rules"])
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])


@pytest.fixture(scope="module")
def exported():
    """Of each metric the labels and their values."""
    found = {}
    for name, labels in exportAll():
        has = found.setdefault(name, {})
        for label, value in labels:
            has.setdefault(label, set()).add(value)
    return found


@pytest.fixture(scope="module")
def promtool():
    program = shutil.which("promtool")
    if program is None and os.environ.get("CI"):
        pytest.fail("promtool is not installed: apt-get install prometheus")
    return program or pytest.skip("promtool is not installed: apt-get install prometheus")


def run(promtool, *words, cwd=FOLDER):
    return subprocess.run([promtool, *map(str, words)], cwd=cwd, text=True, capture_output=True, timeout=300)


@pytest.mark.parametrize(("where", "expression"), list(listExpressions()))
def test_every_name_and_label_is_exported(exported, where, expression):
    metrics = METRIC.findall(expression)
    assert metrics, where
    for name, matchers in metrics:
        assert name in exported, f"{where}: no run exports {name}"
        for label, sign, value in MATCHER.findall(matchers):
            assert label in exported[name], f"{where}: {name} has no label {label}"
            if label not in FREE and sign in ("=", "!="):
                assert value in exported[name][label], f"{where}: {label} of {name} is never {value}"


def test_words_for_people_use_labels_that_are_there(exported):
    common = {"run", "step", "session"}
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            has = set(exported[METRIC.search(rule["expr"])[1]]) | common
            assert set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))) <= has, rule["alert"]
            assert rule["annotations"].keys() == {"summary", "description"}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            has = {label for name, _ in METRIC.findall(target["expr"]) for label in exported[name]}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= has, panel["title"]


def test_prometheus_takes_the_rules(promtool):
    checked = run(promtool, "check", "rules", RULES)
    assert checked.returncode == 0, checked.stderr
    tried = run(promtool, "test", "rules", TRIAL)
    assert tried.returncode == 0, tried.stderr


def test_prometheus_takes_what_the_dashboard_asks(promtool, tmp_path):
    asked = [expression.replace("$session", ".*").replace("$run", ".*") for _, expression in listExpressions()]
    rules = [{"record": f"panel_{number}", "expr": expression} for number, expression in enumerate(asked)]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = run(promtool, "check", "rules", path)
    assert checked.returncode == 0, checked.stderr


def test_the_dashboard_is_one():
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 15
    cells = [(x, y) for panel in panels for place in [panel["gridPos"]]
             for x in range(place["x"], place["x"] + place["w"])
             for y in range(place["y"], place["y"] + place["h"])]  # fmt: skip
    assert len(set(cells)) == len(cells), "panels lie on each other"
    assert max(x for x, _ in cells) == 23
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(panels)))
    assert used == variables == {"datasource", "session", "run"}
    shown = {found for _, expression in listExpressions() for found in re.findall(r'number="(\w+)"', expression)}
    assert {"drift", "ctf_resolution", "confidence", "astigmatism", "ice_ring", "seconds_to_result"} <= shown
    assert shown <= COLUMNS.keys()


def test_the_guide_names_metrics_that_are_exported(exported):
    text = (FOLDER.parent / "administrator.md").read_text()
    assert {name for name, _ in METRIC.findall(text.partition("## Metrics")[2])} <= exported.keys()
