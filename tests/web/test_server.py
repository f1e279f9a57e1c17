"""The command `appion web` as it runs at a site: in a process of its own, behind a proxy or not."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys

import pytest

from appion.web.security import POLICY
from sinedon.models import leginondata
from tests.services.mariadb import Limited
from tests.web.rows import Session
from tests.web.serving import ROOT, TIMEOUT, runServer


@pytest.fixture
def session(database, tmp_path, monkeypatch) -> Session:
    assert database.projectid == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Session(tmp_path, 5)
    made.correct(made.exposures[:4])
    made.saveStatus("motion", total=5)
    return made


def testAnswersUntilASignalComes(session):
    with runServer() as server:
        page = server.ask()
        assert (page.status, page.headers["Content-Security-Policy"]) == (200, POLICY)
        assert "Server" not in page.headers
        assert server.ask("static/site.css").status == 200
        found = json.loads(server.ask(session.url("series.json")).content)
        assert found["order"] == session.exposures
        taken = session.take(1)
        session.correct(taken)
        for _ in range(TIMEOUT):
            news = json.loads(server.ask(f"{session.url('series.json')}?since={found['cursor']}").content)
            if news["states"] == ["corrected"]:
                break
        assert (news["full"], news["order"]) == (False, taken)
        assert server.ask(Host="evil.example.org").status == 400
        assert server.ask("session/../../etc/passwd").status == 404
        server.process.terminate()
        assert server.process.wait(TIMEOUT) == 0


def testProxyTellsWhoAsks(session):
    """Only that of the address that is set: by which name, whether encrypted, and who has logged in."""
    exposure, address = session.exposures[0], session.url(f"exposure/{session.exposures[0]}/").lstrip("/")
    proxied = {"X_Forwarded_Host": "appion.example.org", "X_Forwarded_Proto": "https", "Remote_User": "ada",
               "X_Forwarded_For": "192.0.2.7"}  # fmt: skip
    settings = {"hosts": '["appion.example.org"]', "curation": "true", "prefix": "/live"}
    with runServer(**settings, proxy="127.0.0.1") as server:
        assert server.address.endswith("/live/")
        page = server.ask(address, **proxied)
        assert b"ada" in page.content
        assert b"/live/session/26nov22a/exposure/" in page.content
        assert b'href="/live/static/site.css"' in page.content
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        token = page.content.partition(b'name="csrfmiddlewaretoken" value="')[2].partition(b'"')[0]
        form, where = b"csrfmiddlewaretoken=" + token, f"{address}hide"
        assert server.ask(where, form, Cookie=cookie, Origin="https://evil.example.org", **proxied).status == 403
        done = server.ask(where, form, Cookie=cookie, Origin="https://appion.example.org", **proxied)
        assert (done.status, done.headers["Location"].startswith("/live/session/")) == (302, True)
        assert b"Show again" in server.ask(address, **proxied).content
    assert leginondata.ViewerImageStatus.objects.filter(image_id=exposure, status="hidden").exists()
    with runServer(**settings, proxy="192.0.2.9") as server:
        page = server.ask(address, **proxied)
        assert (page.status, b"ada" in page.content, b"csrfmiddlewaretoken" in page.content) == (200, False, False)


def runCommand(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "bin" / "appion", "web", *words]
    return subprocess.run(command, env=os.environ | environment, text=True, capture_output=True, timeout=TIMEOUT)


def testWhatIsWrongIsSaidAtOnce(session, tmp_path):
    assert session.exposures
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for words, environment, said in (
            (["--port", port], {}, f"cannot listen at 127.0.0.1, port {port}"),
            (["--port", "70000"], {}, "port 70000"),
            (["--port", "0"], {"SINEDON_CFG_PATH": str(tmp_path / "nowhere"), "HOME": str(tmp_path)}, "sinedon.cfg"),
            (["--port", "0"], {"DASK_APPION__WEB__CURATION": "true"}, "appion.web.proxy"),
            (["--port", "0"], {"DASK_APPION__WEB__LIMITS": '{"drifts": 3}'}, "appion.web.limits has drifts"),
            (["--port", "0"], {"DASK_APPION__WEB__CURATE": "true"}, "did you mean appion.web.curation?"),
        ):
            done = runCommand(*words, **environment)
            assert done.returncode == 2
            assert said in done.stderr
            assert "Traceback" not in done.stderr


@pytest.fixture
def reader(mariadatabase, mariadb):
    """A user of the server who may read what the administrator's guide says, whom a server that is started now is."""
    user = Limited(mariadb)
    guide = (ROOT / "docs" / "administrator.md").read_text()
    rights = re.findall(r"^  GRANT (.*) TO 'appionweb'", guide, re.MULTILINE)
    assert len(rights) == 3
    for right in rights:
        user.grant(right)
    (mariadatabase.folder / "sinedon.cfg").write_text(user.constructConfig())
    yield user
    user.drop()


def testAnAccountThatMayOnlyReadIsEnough(reader, mariadb, tmp_path, monkeypatch):
    """Nothing is written; a database that is away is said to be, and read again when it is back."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Session(tmp_path, 3)
    made.correct(made.exposures)
    made.estimate(made.exposures[:1], lines=False)
    made.saveStatus("motion", total=3)
    with runServer(proxy="127.0.0.1", curation="true") as server:
        page = server.ask(made.url())
        assert page.status == 200
        found = json.loads(server.ask(made.url("series.json")).content)
        assert found["states"] == ["done", "corrected", "corrected"]
        assert json.loads(server.ask("facility.json").content)["rows"][0]["session"] == made.made.name
        exposure = made.url(f"exposure/{made.exposures[0]}/").lstrip("/")
        page = server.ask(exposure, Remote_User="ada")
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        token = page.content.partition(b'name="csrfmiddlewaretoken" value="')[2].partition(b'"')[0]
        refused = server.ask(f"{exposure}hide", b"csrfmiddlewaretoken=" + token, Cookie=cookie, Remote_User="ada")
        assert refused.status == 500
        assert b"may not write the table of Leginon" in refused.content
        assert b"GRANT" not in refused.content
        reader.lock()
        away = server.ask(made.url("series.json"))
        assert away.status == 503
        assert set(json.loads(away.content)) == {"error", "remedy"}
        assert mariadb.password.encode() not in away.content
        reader.unlock()
        assert json.loads(server.ask(made.url("series.json")).content)["order"] == made.exposures
