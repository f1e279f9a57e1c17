"""What `appion doctor` says of alarms."""

from __future__ import annotations

import dask.config
import pytest

from appion.doctor.alarms import checkAlarms
from appion.doctor.finding import NOTE, TODO, WELL, runCheck

RULE = {"name": "far", "number": "drift", "above": 30}


@pytest.fixture
def find():
    """A function that sets rules and receivers and returns what is found."""
    before = dask.config.get("appion.alarms")

    def look(rules, receivers=()):
        dask.config.set({"appion.alarms": {**before, "rules": rules, "receivers": list(receivers)}})
        return [(finding.level, str(finding)) for finding in runCheck("alarms", checkAlarms)]

    yield look
    dask.config.set({"appion.alarms": before})


def test_what_is_asked_for_is_told(find):
    assert find([]) == [(WELL, "well   alarms      none are asked for (appion.alarms.rules)")]
    ((level, text),) = find([RULE])
    assert level == NOTE
    assert "nobody is told of them" in text
    ((level, text),) = find([RULE], [{"command": ["true"]}, {"apprise": "json://localhost/hunter2"}])
    assert level == WELL
    assert "far: told to command true, apprise json" in text


@pytest.mark.parametrize(("rule", "receiver", "said"), [
    ({"name": "far"}, {"command": ["true"]}, "give it one of number"),
    (RULE, {"apprise": "nosuch://hunter2"}, "apprise does not know such an address"),
    (RULE, {"apprise": "file:/no/such/file"}, "cannot be read: No such file"),
])  # fmt: skip
def test_what_cannot_be_is_to_do(find, rule, receiver, said):
    ((level, text),) = find([rule], [receiver])
    assert level == TODO
    assert said in text
    assert "hunter2" not in text


def test_a_secret_that_everybody_may_read_is_to_do(find, tmp_path):
    path = tmp_path / "where"
    path.write_text("json://localhost/hunter2")
    path.chmod(0o644)
    (level, text), *_ = find([RULE], [{"apprise": f"file:{path}"}])
    assert level == TODO
    assert f"chmod 640 {path}" in text
    path.chmod(0o640)
    assert [level for level, _ in find([RULE], [{"apprise": f"file:{path}"}])] == [WELL]
