"""Which options decide what a result is like, and with which ones a run was started before."""

import dataclasses
import json

import pytest

from appion.base.cli.options import constructParser, parseArguments
from appion.base.cli.runoptions import checkRunOptions, constructRunOptions
from appion.base.cli.script import constructScriptRun
from appion.base.failures import ConfigurationFailure
from appion.base.records.runfolder import runOptionsPath
from appion.base.store.path import savePathData
from appion.base.store.runoptions import saveRunOptions
from appion.base.store.script import saveScriptRun
from appion.ctfestimation.cli import options as ctf
from appion.motioncorrection.cli import options as motion

COMMON = {action.dest for action in constructParser("program.py").actions}
MOTION = "--session=s", "--align"
PHASE = "--session=s", "--phaseplate"
PARSERS = {
    "motioncor2.py": (motion, motion.constructMotionCorrectionParser, MOTION),
    "makeDDAlignMotionCor3.py": (motion, motion.constructMotionCorrectionParser, MOTION),
    "ctffind4.py": (ctf, ctf.constructCtffindParser, (*PHASE, "--sample_thickness")),
    "ctffind5.py": (ctf, ctf.constructCtffindParser, (*PHASE, "--sample_thickness")),
    "gctffind.py": (ctf, ctf.constructGctffindParser, PHASE),
    "gctf.py": (ctf, ctf.constructGctfParser, (*PHASE, "--do_local_refine")),
}


def parse(program, *words):
    _, construct, usual = PARSERS[program]
    parser = construct(program)
    return parser, parseArguments(parser, [*usual, *words])


def changeOption(parser, args, dest, file):
    """Return another possible value of an option."""
    action = next(action for action in parser.actions if action.dest == dest)
    value = getattr(args, dest)
    if dest == "gpuids":
        return "0,1"
    if dest in ("gainfile", "framepath", "tempdir"):
        return str(file if dest == "gainfile" else file.parent)
    if action.nargs == 0:
        return not value
    if isinstance(value, str):
        return f"{value}b"
    if isinstance(value, float):
        return value * (1.1 if dest == "bin" else 0.9)
    return action.type(1) if value is None else value + 1


@pytest.mark.parametrize("program", PARSERS)
def test_every_option_is_known_to_shape_results_or_not(program, tmp_path):
    """An option that is new has to be put on one side, and on the right one."""
    room, _, _ = PARSERS[program]
    parser, args = parse(program)
    own = {action.dest for action in parser.actions} - COMMON - parser.extensions - parser.ineffective.keys()
    assert own == parser.shaping | (room.INDIFFERENT & own)
    assert not room.SHAPING & room.INDIFFERENT
    assert not parser.shaping & (COMMON | parser.extensions | parser.ineffective.keys())
    (tmp_path / "gain.mrc").touch()
    before = constructOptions(room, args, parser)
    for dest in sorted(own - {"align"}):
        changed = parseArguments(parser, PARSERS[program][2])
        setattr(changed, dest, changeOption(parser, args, dest, tmp_path / "gain.mrc"))
        differs = constructOptions(room, changed, parser) != before
        assert differs == (dest in parser.shaping), dest


def constructOptions(room, args, parser):
    """Return what results depend on: the record without what makes no difference."""
    options = room.constructOptions(args, parser)
    return dataclasses.replace(options, gpuids=()) if room is motion else options


def start(tmp_path, *words, job=5, program="motioncor2.py"):
    """Record a start in the database alone, as classic does."""
    parser, args = parse(program, f"--rundir={tmp_path}", f"--runname={tmp_path.name}", *words)
    saveScriptRun(constructScriptRun(args, parser, program), job, savePathData(tmp_path))


def check(tmp_path, *words, program="motioncor2.py"):
    parser, args = parse(program, f"--rundir={tmp_path}", f"--runname={tmp_path.name}", *words)
    checkRunOptions(args, parser, [program])


@pytest.fixture
def run(anydatabase, tmp_path):  # noqa: ARG001
    (tmp_path / ".appion").mkdir()
    return tmp_path


def test_options_of_the_record(run, caplog):
    parser, args = parse("motioncor2.py", "--Patchrows=5", "--Bft_local=100", "--totaldose=50")
    saveRunOptions(run, "motioncor2.py", constructRunOptions(args, parser))
    check(run, "--totaldose=50.0", "--Bft_local", "1e2", "--Patchrows=5", "--gpuids=1", "--no-wait", "--preset=enn")
    with pytest.raises(ConfigurationFailure) as refused:
        check(run, "--Bft_local=100.0", "--doseweight")
    assert refused.value.reason == (
        f"run {run.name} has results of other options: --Patchrows 5, now 0; --doseweight off, now on; "
        "--totaldose 50.0, now not given"
    )
    assert "another --runname and --rundir" in refused.value.remedy
    assert not caplog.records


def test_option_that_an_older_record_does_not_know_had_its_default(run):
    parser, args = parse("motioncor2.py")
    options = constructRunOptions(args, parser)
    del options["Tol"]
    saveRunOptions(run, "motioncor2.py", options)
    check(run, "--Tol=0.5")
    with pytest.raises(ConfigurationFailure, match=r"--Tol 0\.5, now 0\.4"):
        check(run, "--Tol=0.4")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"program": "motioncor2.py"}', '{"program": "motioncor2.py", "opt'])
def test_record_that_cannot_be_read(run, text):
    runOptionsPath(run).write_text(text)
    with pytest.raises(ConfigurationFailure, match=r"options\.json cannot be read.*move it away"):
        check(run)


def test_options_of_the_script_tables(run, caplog):
    check(run)
    assert f"run {run.name} has results and no record" in caplog.text
    caplog.clear()
    start(run, "--Patchrows=7", job=None)  # without --commit
    start(run, "--Patchrows=5", "--square", "--refimgid=7")
    start(run, "--Patchrows=5", "--square", "--refimgid=7", "--limit=3", "--no-wait")
    check(run, "--refimgid=7", "--square", "--Patchrows=5")
    with pytest.raises(ConfigurationFailure) as refused:
        check(run, "--Patchrows=7", "--Iter=8")
    assert refused.value.reason.endswith(
        "options: --Iter 7, now 8; --Patchrows 5, now 7; --refimgid 7, now not given; --square on, now off"
    )
    assert not caplog.records
    saveRunOptions(run, "another.py", {"Patchrows": 9})  # of another program: as if there were none
    start(run, "--Patchrows=6", "--square", "--refimgid=7", job=6)
    check(run, "--Patchrows=5", "--refimgid=7", "--square")
    assert "was started with --Patchrows 5 and 6: which of them" in caplog.text
    with pytest.raises(ConfigurationFailure, match="--Patchrows 5 and 6, now 7"):
        check(run, "--Patchrows=7", "--refimgid=7", "--square")


def test_record_is_readable_by_people(run):
    saveRunOptions(run, "ctffind4.py", {"resmax": 4.0})
    assert json.loads(runOptionsPath(run).read_text()) == {"program": "ctffind4.py", "options": {"resmax": 4.0}}
