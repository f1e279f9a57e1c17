"""Telling: a program without a shell, a service through apprise, and nothing secret or hostile on the way."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from appion.base.calc.alarmmessage import constructLink, constructMessage, describeMessage, tame
from appion.base.calc.alarmrules import parseReceivers, parseRules
from appion.base.failures import ConfigurationFailure
from appion.base.programs.appriser import hideParts
from appion.base.programs.tell import checkReceivers, tellReceiver
from appion.base.records.alarm import BEGINS, Reading, Receiver
from appion.base.retrieve.alarms import readService

HOSTILE = "$(touch /tmp/x)`id`;<script>alert(1)</script>{0} %s @everyone <!channel> [x](http://evil)\x1b[2J\nlines\u202e"
LONG = 120


def makeMessage(session=HOSTILE, text=HOSTILE, address="https://em/appion"):
    (rule,) = parseRules([{"name": "end", "ended": True}])
    about = {"session": session, "run": f"/data/{session}/run", "step": "motioncorrection", "host": "em1"}
    return constructMessage(rule, BEGINS, Reading(1.0, 0.0, True, False, text), about, address, 1e9, 1e9)


def python(code, *words):
    return Receiver("a", (sys.executable, "-c", code, *words))


def test_a_program_gets_the_message_as_json_and_no_shell_sees_a_name(tmp_path):
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    told, message = tmp_path / "a; touch b", makeMessage()
    assert tellReceiver(python(code, str(told)), message, LONG) == ""
    text = told.read_text()
    assert json.loads(text) == message
    assert json.loads(text)["session"] == HOSTILE
    assert text.isascii()
    assert "\x1b" not in text
    assert text.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a; touch b"]


@pytest.mark.parametrize(("code", "said"), [
    ("", ""),
    ("import sys; sys.stdin.close(); print('never read')", ""),
    ("import sys; print('first', flush=True); sys.exit('\\x1b[2Jlast\\n\\n')", r"exit code 1: \x1b[2Jlast"),
    ("import sys; sys.stdout.buffer.write(bytes(range(256))); sys.exit(7)", "exit code 7: "),
    ("import os; os.kill(os.getpid(), 9)", "was ended by signal 9"),
    ("print('x' * 1000); raise SystemExit(1)", "exit code 1: " + "x" * 200),
])  # fmt: skip
def test_how_a_program_ended_is_told_in_one_line(code, said):
    found = tellReceiver(python(code), makeMessage(), LONG)
    assert found.startswith(said)
    assert found.isprintable()
    assert len(found) < 300


def test_a_program_that_hangs_is_ended_and_one_that_is_gone_is_named():
    assert tellReceiver(python("import time; time.sleep(3600)"), makeMessage(), 1) == "it did not end within 1 s"
    assert "/no/such/program" in tellReceiver(Receiver("a", ("/no/such/program",)), makeMessage(), LONG)


def test_names_are_data_for_people_too():
    assert makeMessage()["unit"] == ""
    title, text = describeMessage(makeMessage())
    assert title.startswith("appion ")
    assert title.endswith(": ALARM: end")
    for said in (title, *text.split("\n")[:2]):
        assert said.isprintable()
        assert not set("<>@[]`$*{}|&#!\"\\") & set(said)
    assert text.split("\n")[2] == makeMessage()["link"]
    assert set(makeMessage()["link"]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%:/._~-")
    assert len(tame("x" * 10_000)) < 400
    said = "drift 10.0 Å (median), 3.1 times; 5.0 e/Å², the session's 50 %"
    assert tame(said) == said


@pytest.mark.parametrize(("session", "link"), [
    ("26nov22a", "/session/26nov22a/"), ("a/../b", "/session/a%2F..%2Fb/"), ("..", "/"), ("", "/"),
    ("ä?#", "/session/%C3%A4%3F%23/"), ("\udc80", "/session/%3F/"),
])  # fmt: skip
def test_links(session, link):
    assert constructLink("https://em/appion", session) == f"https://em/appion{link}"
    assert constructLink("", session) == ""


@pytest.fixture
def service():
    """A web service that notes what it is told, and refuses it where the path says so."""
    told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(403 if "refuse" in self.path else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_service_is_told_by_way_of_apprise_wherever_its_address_stands(service, tmp_path, monkeypatch):
    host, told = service
    path = tmp_path / "where"
    path.write_text(f"json://{host}/hunter2\nmore\n")
    monkeypatch.setenv("ALARM_SECRET", f"json://{host}/hunter2")
    receivers = parseReceivers([
        {"apprise": f"json://{host}/hunter2"}, {"apprise": f"file:{path}"}, {"apprise": "env:ALARM_SECRET"},
    ])  # fmt: skip
    checkReceivers(receivers)
    assert told == []
    for receiver in receivers:
        assert tellReceiver(receiver, makeMessage(), LONG) == ""
    title, text = describeMessage(makeMessage())
    assert [(one["title"], one["message"]) for one in told] == [(title, text)] * 3


def test_a_service_that_refuses_or_is_not_there_is_named_without_its_address(service):
    host, _ = service
    said = tellReceiver(Receiver("a", service=f"json://user:hunter2@{host}/refuse/token22"), makeMessage(), LONG)
    assert said.startswith("exit code 1: JSON: ")
    assert "403" in said
    gone = tellReceiver(Receiver("a", service="json://user:hunter2@127.0.0.1:9/token22"), makeMessage(), LONG)
    assert gone.startswith("exit code 1: JSON: ")
    for secret in ("hunter2", "token22"):
        assert secret not in said + gone
    assert hideParts("no hunter2 at host", "json://me:hunter2@host") == "no ... at ..."
    assert hideParts("p ss/ rd", "json://p%20ss%2F%20rd@h") == ".../..."


@pytest.mark.parametrize(("service", "said"), [
    ("nosuch://hunter2", "apprise nosuch: exit code 2: apprise does not know such an address"),
    ("env:NO_SUCH_VARIABLE", "the variable 'NO_SUCH_VARIABLE' is not set"),
    ("file:/no/such/file", "/no/such/file cannot be read: No such file or directory"),
    ("file:/dev/null", "/dev/null is empty"),
])  # fmt: skip
def test_what_is_wrong_with_an_address_is_told_without_it(service, said):
    with pytest.raises(ConfigurationFailure, match=r"^appion\.alarms\.receivers: ") as raised:
        checkReceivers(parseReceivers([{"apprise": service}]))
    assert said in raised.value.reason
    assert raised.value.remedy
    assert "hunter2" not in str(raised.value)


def test_an_address_is_one_line(tmp_path):
    path = tmp_path / "where"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigurationFailure, match="it is no text"):
        readService(Receiver("a", service=f"file:{path}"))
