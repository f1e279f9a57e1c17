"""The script tables, column by column: a run can be repeated from them, and a rerun adds no row."""

import os
import shlex
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sinedon
from appion.base.cli.options import constructParser, parseArguments, readVersion
from appion.base.cli.script import constructParameters, constructScriptRun, constructUsage
from appion.base.retrieve import host
from appion.base.store.path import savePathData
from appion.base.store.script import saveScriptRun
from appion.motioncorrection.cli.options import PROGRAM, constructMotionCorrectionParser
from sinedon.models import appiondata

TABLES = (appiondata.ScriptProgramName, appiondata.ScriptUserName, appiondata.ScriptHostName, appiondata.ApPathData,
          appiondata.ScriptProgramRun, appiondata.ScriptParamName, appiondata.ScriptParamValue)
WORDS = ("--session=26mar19a", "--projectid=1", "--runname=run1", "--rundir=/r/run1", "--no-wait", "--commit",
         "--description=two words", "--jobid=7", "--jobtype=x", "--queue=q", "--bin=2", "--align", "--expid=4",
         "--no-keepstack")


def save(job_id=None, words=WORDS):
    parser = constructMotionCorrectionParser("motioncor2.py")
    args = parseArguments(parser, words)
    return saveScriptRun(constructScriptRun(args, parser, PROGRAM), job_id, savePathData("/r/run1"))


def readOnly(model):
    row = model.objects.values().get()
    row.pop("def_timestamp")
    return row


@pytest.fixture
def user(monkeypatch):
    monkeypatch.setattr("appion.base.cli.script.readUser",
                        lambda: {"name": "ada", "uid": 7, "gid": 8, "fullname": "Ada"})
    monkeypatch.setattr("appion.base.cli.script.readShell", lambda: "bash")


@pytest.mark.usefixtures("anydatabase", "user")
def test_every_row_of_a_run():
    run_id = save(job_id=5)
    program, person, machine = (readOnly(model) for model in TABLES[:3])
    assert program["name"] == "makeDDAlignMotionCor2_UCSF"
    assert {key: person[key] for key in ("name", "uid", "gid", "fullname")} == host.readUser() | {
        "name": "ada", "uid": 7, "gid": 8, "fullname": "Ada"}
    assert {key: value for key, value in machine.items() if key != "def_id"} == host.readHost()
    paths = dict(appiondata.ApPathData.objects.values_list("path", "def_id"))
    package = next(path for path in paths if path != "/r/run1")
    assert os.path.isfile(os.path.join(package, "base", "loop.py"))
    assert readOnly(appiondata.ScriptProgramRun) == {
        "def_id": run_id, "runname": "run1", "revision": readVersion(), "progname_id": program["def_id"],
        "username_id": person["def_id"], "hostname_id": machine["def_id"], "rundir_id": paths["/r/run1"], "job_id": 5,
        "appion_path_id": paths[package], "unixshell": "bash"}
    rows = appiondata.ScriptParamValue.objects.values_list("paramname__name", "value", "usage", "progrun_id")
    values = {name: (value, usage) for name, value, usage, _ in rows}
    assert {run for *_, run in rows} == {run_id}
    assert set(appiondata.ScriptParamName.objects.values_list("progname_id", flat=True)) == {program["def_id"]}
    expected = {
        "rundir": ("/r/run1", "--outdir=/r/run1"), "expid": ("4", "--expId=4"), "commit": ("True", "--commit"),
        "description": ("two words", "--description='two words'"), "wait": ("False", "--no-wait"),
        "bin": ("2.0", "--bin=2.0"), "keepstack": ("False", "--no-keepstack"), "continue": ("True", "--continue"),
        "tiltangle": ("all", "--tiltangle=all"), "gainfile": ("", "--gainfile="), "sessionname": ("26mar19a",
        "--session=26mar19a")}
    assert {dest: values[dest] for dest in expected} == expected
    for dest in ("jobid", "jobtype", "queue", "dry_run", "help", "version", "limit", "reverse", "norejects"):
        assert dest not in values, "no row: not classic's, without a value, or off without a way to write it"


@pytest.mark.usefixtures("anydatabase", "user")
def test_a_rerun_adds_no_row_and_few_queries():
    first = save()
    counts = [model.objects.count() for model in TABLES]
    assert appiondata.ScriptProgramRun.objects.get().job_id is None
    with sinedon.countQueries() as rerun:
        assert save() == first
    assert [model.objects.count() for model in TABLES] == counts
    assert rerun.count < 30
    assert save(words=(*WORDS, "--limit=3")) == first
    assert appiondata.ScriptParamValue.objects.count() == counts[-1] + 1


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
def test_a_recorded_run_can_be_repeated(text):
    words = ["--session=s", f"--description={text}", "--no-commit", "--limit=3", "--no-rejects"]
    parser = constructParser("p")
    args = parseArguments(parser, words)
    usage = [usage for _, usage in constructParameters(args, parser).values()]
    assert parseArguments(parser, shlex.split(" ".join(usage))) == args


def test_values_that_need_no_quotes_have_none():
    parser = constructParser("p")
    assert constructUsage(parser, "rundir", "/a/b_c-d.e,f:g") == "--outdir=/a/b_c-d.e,f:g"
    assert constructUsage(parser, "description", "it costs $1; rm x") == "--description='it costs $1; rm x'"


def test_facts_of_the_host_without_its_files(monkeypatch):
    monkeypatch.setattr(host, "readText", lambda _path: "")
    monkeypatch.setattr(host.subprocess, "run", raiseMissing)
    monkeypatch.setattr(socket, "gethostbyaddr", raiseMissing)
    facts = host.readHost()
    assert facts["name"] == os.uname().nodename
    assert [facts[key] for key in ("ip", "distro", "memory", "cpu_vendor", "gpu_vendor")] == [None] * 5
    assert facts["nproc"] == os.cpu_count()


def test_memory_is_counted_in_whole_gibibytes(monkeypatch):
    monkeypatch.setattr(host, "readText", lambda path: "MemTotal:       131923412 kB" if "meminfo" in path else "")
    assert host.readHost()["memory"] == 125


def raiseMissing(*_, **__):
    raise FileNotFoundError("nothing here")


def test_a_user_without_an_entry(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4242424)
    monkeypatch.delenv("USER", raising=False)
    assert host.readUser()["name"] == "4242424"
    assert host.readShell() is None
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert host.readUser() == {"name": "unknown"}
    assert host.readShell() is None
