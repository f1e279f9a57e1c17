"""Rules and receivers as the settings have them: what is wrong is named with its place, its value and a remedy."""

from __future__ import annotations

import re
import sys

import pytest

from appion.base.calc.alarmrules import NUMBERS, parseAddress, parseReceivers, parseRules
from appion.base.failures import ConfigurationFailure
from appion.base.records.alarm import Receiver, Rule


@pytest.mark.parametrize(("table", "rule"), [
    ({"name": "far", "number": "drift", "above": 30}, Rule("far", "drift", 30.0, clear=27.0)),
    ({"name": "far", "number": "drift", "last": 5, "above_session": 2.0},
     Rule("far", "drift", 2.0, session=True, clear=1.8, last=5)),
    ({"name": "bad fit", "number": "confidence", "below": 0.5, "clear": 0.6}, Rule("bad fit", "confidence", 0.5, True,
                                                                                   clear=0.6)),
    ({"name": "still", "nothing_stored": 30}, Rule("still", "nothing_stored", 30.0, clear=27.0)),
    ({"name": "aside", "set_aside": 10, "clear": 0}, Rule("aside", "set_aside", 10.0)),
    ({"name": "disk", "free_space": 50}, Rule("disk", "free_space", 50.0, True, clear=55.0)),
    ({"name": "end", "ended": True}, Rule("end", "ended")),
    ({"name": "end", "ended": "unexpected"}, Rule("end", "ended", unexpected=True)),
])  # fmt: skip
def test_rules(table, rule):
    (found,) = parseRules([table])
    assert found.clear == pytest.approx(rule.clear)
    assert {**vars(found), "clear": 0} == {**vars(rule), "clear": 0}


@pytest.mark.parametrize(("table", "said"), [
    ("drift > 30", "number 1 is 'drift > 30' (write a table"),
    ({"number": "drift", "above": 30}, "number 1: name is None (write a name"),
    ({"name": "<b>", "number": "drift", "above": 30}, "name is '<b>'"),
    ({"name": "a"}, "number 1 (a) has none of them (give it one of number, nothing_stored"),
    ({"name": "a", "set_aside": 1, "free_space": 2}, "has set_aside and free_space"),
    ({"name": "a", "number": "drfit", "above": 30}, "number is 'drfit' (did you mean drift?)"),
    ({"name": "a", "number": "stage_x", "above": 30}, "number is 'stage_x' (there are seconds_to_result, drift,"),
    ({"name": "a", "number": "__class__", "above": 30}, "number is '__class__' (there are"),
    ({"name": "a", "number": "drift"}, "has no limit (give it one of above, below, above_session"),
    ({"name": "a", "number": "drift", "above": 3, "below": 1}, "has above and below"),
    ({"name": "a", "number": "drift", "above": "30"}, "above is '30' (write a number)"),
    ({"name": "a", "number": "drift", "above": float("nan")}, "above is nan"),
    ({"name": "a", "number": "drift", "above": True}, "above is True"),
    ({"name": "a", "number": "drift", "above_session": 0}, "above_session is 0 (write how many times"),
    ({"name": "a", "number": "drift", "above": 3, "last": 0}, "last is 0 (write a whole number from 1"),
    ({"name": "a", "number": "drift", "above": 3, "last": 2.5}, "last is 2.5"),
    ({"name": "a", "number": "drift", "above": 3, "clear": 4}, "clear is 4 (write a number below the limit, 3)"),
    ({"name": "a", "number": "drift", "below": 3, "clear": 2}, "clear is 2 (write a number above the limit, 3)"),
    ({"name": "a", "number": "drift", "abvoe": 3}, "unknown word 'abvoe' (did you mean above?)"),
    ({"name": "a", "set_aside": -1}, "set_aside is -1 (write a number that is not negative)"),
    ({"name": "a", "set_aside": 1, "last": 3}, "last does not go with set_aside (leave last out)"),
    ({"name": "a", "ended": False}, "ended is False (write true, or unexpected)"),
    ({"name": "a", "ended": 1}, "ended is 1"),
])  # fmt: skip
def test_what_is_wrong_with_a_rule(table, said):
    with pytest.raises(ConfigurationFailure, match=re.escape(said)) as raised:
        parseRules([table])
    assert str(raised.value).startswith("appion.alarms.rules, number 1")
    assert raised.value.remedy


def test_no_two_rules_have_a_name_in_common():
    with pytest.raises(ConfigurationFailure, match=r"number 2: name is 'a', as of another one"):
        parseRules([{"name": "a", "ended": True}, {"name": "a", "set_aside": 1}])
    assert "drift" in NUMBERS
    assert not {"image", "stage_x", "exposed", "spectrum", "astigmatism_axis"} & set(NUMBERS)


def test_receivers():
    found = parseReceivers([
        {"command": [sys.executable, "-c", "pass"]}, {"apprise": "env:WHERE"}, {"apprise": "file:/etc/where"},
        {"apprise": "mailto://user:pass@host"}, {"apprise": "json://host/token", "name": "ours"},
    ])  # fmt: skip
    assert found[0].command == (sys.executable, "-c", "pass")
    assert [one.name for one in found[1:]] == ["apprise env:WHERE", "apprise file:/etc/where", "apprise mailto", "ours"]
    assert found[3] == Receiver("apprise mailto", service="mailto://user:pass@host")


@pytest.mark.parametrize(("tables", "said"), [
    (["mailto://user:hunter2@host"], "number 1 is no receiver (write {command: [PROGRAM"),
    ([{}], "number 1 is no receiver"),
    ([{"command": ["true"], "apprise": "json://hunter2"}], "number 1 is no receiver"),
    ([{"command": "tell; rm -rf /"}], "command is 'tell; rm -rf /' (write a list of texts"),
    ([{"command": []}], "command is []"),
    ([{"command": ["no such program"]}], "no such program is no program on this host (write the whole path"),
    ([{"apprise": "file:where"}], "apprise is 'file:where' (write the whole path"),
    ([{"apprise": "hunter2"}], "apprise is no address of a service"),
    ([{"apprise": ["hunter2"]}], "apprise is no text"),
    ([{"apprise": "json://hunter2", "to": "me"}], "unknown word 'to'"),
    ([{"apprise": "json://hunter2"}, {"apprise": "json://hunter22"}], "number 2 is called apprise json, as another"),
])  # fmt: skip
def test_what_is_wrong_with_a_receiver(tables, said):
    with pytest.raises(ConfigurationFailure, match=re.escape(said)) as raised:
        parseReceivers(tables)
    assert "hunter2" not in str(raised.value)


def test_addresses_of_the_page():
    assert parseAddress(None) == parseAddress("") == ""
    assert parseAddress("https://em.example.org/appion/") == "https://em.example.org/appion"
    for wrong in ("em.example.org", "javascript:alert(1)", "https://", "http://[", "https://em/?q", "https://em/a b"):
        with pytest.raises(ConfigurationFailure, match=r"appion\.alarms\.address"):
            parseAddress(wrong)
