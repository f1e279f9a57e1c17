"""A rehearsal on a site's ground: what it makes is its own, and goes without a trace of it or of anything else."""

import dataclasses
import itertools
import os
import shutil
import signal
import subprocess
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import appion
import sinedon
from appion.demo import ground, removal
from appion.demo import main as demo
from appion.demo.clean import cleanUp, measureFiles
from appion.demo.ground import checkDatabases, prepareGround
from appion.demo.leginon import runSession
from appion.demo.movies import KINDS, SMALL
from appion.demo.processes import DemoError
from appion.demo.recipe import FILE, Recipe
from appion.demo.removal import SHARED
from appion.demo.tables import deleteRows
from sinedon.models import appiondata, leginondata, projectdata
from sinedon.rows import insertRow
from tests.demo.site import dumpTables, makeDecoys, makeRealSession

TINY = dataclasses.replace(SMALL, shape=(64, 96), positions=4)


@pytest.fixture
def site(anydatabase, tmp_path, monkeypatch):  # noqa: ARG001 (its databases are set up)
    """A folder for rehearsals beside a real session and sessions that look like a rehearsal's."""
    monkeypatch.setitem(KINDS, "small", TINY)
    makeRealSession(tmp_path / "real")
    makeDecoys()
    folder = tmp_path / "rehearsals"
    folder.mkdir()
    return folder


def rehearseAlone(folder):
    """A rehearsal without daemons; some rows as they would write them."""
    home, recipe = prepareGround(folder, Recipe(5, 0.0), "ap1")
    plan = recipe.constructPlan(home)
    runSession(plan)
    session = leginondata.SessionData.objects.get(name=plan.session)
    image, other = leginondata.AcquisitionImageData.objects.filter(session=session)[:2]
    path = sinedon.insertRow(appiondata.ApPathData, path=str(plan.rundir))
    job = sinedon.insertRow(appiondata.ApAppionJobData, path=path, session=session)
    run = sinedon.insertRow(appiondata.ApDDStackRunData, runname="ddstack1", session=session, path=path)
    progrun = sinedon.insertRow(appiondata.ScriptProgramRun, runname="ddstack1", rundir=path, job=job)
    sinedon.insertRow(appiondata.ScriptParamValue, value="1", progrun=progrun)
    sinedon.insertRow(appiondata.ApDDAlignImagePairData, source=image, result=other, ddstackrun=run)
    sinedon.insertRow(appiondata.ApCtfData, image=other, defocus1=1e-6)
    sinedon.insertRow(leginondata.ViewerImageStatus, session=session, image=image, status="hidden")
    sinedon.insertRow(leginondata.ObjIceThicknessData, image=image, thickness=30.0)
    return plan


def testWhatARehearsalMadeGoesAndNothingElse(site, capsys):
    before = dumpTables()
    first, second = rehearseAlone(site), rehearseAlone(site)
    both = dumpTables()
    assert all(both[table].items() >= rows.items() for table, rows in before.items())
    assert cleanUp(None, None, False) == 1
    with pytest.raises(DemoError, match="choose one with --session"):
        cleanUp(None, None, True)
    with pytest.raises(DemoError, match="no rehearsal made that"):
        cleanUp("26mar19a", site, True)
    assert dumpTables() == both
    assert cleanUp(first.session, None, True) == 0
    assert not first.folder.exists()
    assert second.folder.exists()
    assert leginondata.SessionData.objects.filter(name=second.session).exists()
    assert cleanUp(None, site, True) == 0
    assert dumpTables() == before
    assert list(site.iterdir()) == []
    assert cleanUp(None, site, True) == 0
    assert "nothing here was made by a rehearsal" in capsys.readouterr().out


def testRowsThatAreAnothersAsWellStay(site, capsys):
    plan = rehearseAlone(site)
    own = leginondata.AcquisitionImageData.objects.filter(session__name=plan.session).first()
    real = leginondata.AcquisitionImageData.objects.filter(session__name="26mar19a").first()
    mixed = sinedon.insertRow(appiondata.ApDDAlignImagePairData, source=real, result=own)
    path = appiondata.ApPathData.objects.get(path=str(plan.rundir))
    run = appiondata.ScriptProgramRun.objects.exclude(rundir=path).get()
    sinedon.updateRow(appiondata.ScriptProgramRun, run.def_id, appion_path=path)
    assert cleanUp(None, None, True) == 0
    assert "STAYS" in capsys.readouterr().out
    assert appiondata.ApDDAlignImagePairData.objects.filter(pk=mixed.def_id).exists()
    assert appiondata.ApPathData.objects.filter(pk=path.def_id).exists()
    assert not leginondata.SessionData.objects.filter(name=plan.session).exists()


def testADatabaseThatIsGoneNeedsNoCleaning(site):
    before = dumpTables()
    rehearseAlone(site)
    sinedon.updateRow(projectdata.processingdb, projectdata.processingdb.objects.latest("def_id").def_id,
                      appiondb="ap_gone")  # fmt: skip
    assert cleanUp(None, None, True) == 0
    after = dumpTables()
    assert {table for table in before if after[table] != before[table] and table[0] != "appiondata"} == set()


def testFoldersWithoutTheFileOfARehearsalStay(site):
    plan = rehearseAlone(site)
    other = site / "demo26nov26y"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    (plan.folder / FILE).rename(site / "kept.json")
    assert cleanUp(None, site, True) == 0
    assert (plan.image_path / f"{plan.exposures[0].filename}.mrc").exists()
    shutil.copy(site / "kept.json", other / FILE)  # of a folder of another name
    assert cleanUp(None, site, True) == 0
    assert (other / "thesis.tex").exists()
    (site / "kept.json").rename(plan.folder / FILE)
    assert cleanUp(None, site, True) == 0
    assert not plan.folder.exists()


def testWhereverItIsBrokenOffItCanBeCleaned(site, anydatabase, monkeypatch):
    """Killed at any row that it inserts, and cleaning killed at any table: what is left is found and removed."""
    before = dumpTables()
    for last in (0, 1, 2, 3, 4, 9, 20) if anydatabase.engine == "sqlite" else (3,):
        with monkeypatch.context() as broken:
            broken.setattr(sinedon, "insertRow", breakOff(insertRow, last))
            with pytest.raises(KeyboardInterrupt):
                rehearseAlone(site)
        assert cleanUp(None, site, True) == 0
        assert dumpTables() == before
        assert list(site.iterdir()) == []
    plan = rehearseAlone(site)
    tables = 0
    while plan is not None:
        with monkeypatch.context() as broken:
            broken.setattr(removal, "deleteRows", breakOff(deleteRows, 1))
            try:
                assert cleanUp(None, site, True) == 0
                plan = None
            except KeyboardInterrupt:
                tables += 1
    assert tables > 15
    assert dumpTables() == before


def breakOff(function, after):
    """Return the function, which works so many times and is then interrupted."""
    count = itertools.count()

    def call(*args, **kwargs):
        if next(count) >= after:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return call


def testNamesAreTakenOnce(site, monkeypatch):
    monkeypatch.setattr(ground.time, "localtime", lambda: ground.time.strptime("2026-11-26", "%Y-%m-%d"))
    for name in ("demo26nov26A", "demo26nov26b"):
        sinedon.insertRow(leginondata.SessionData, name=name)
    (site / "demo26nov26c").mkdir()
    assert prepareGround(site, Recipe(5, 0.0), "ap1")[1].session == "demo26nov26d"
    for letter in "abcdefghijklmnopqrstuvwxyz":
        sinedon.insertRow(leginondata.SessionData, name=f"demo26nov26{letter}", comment="taken")
    with pytest.raises(DemoError, match="all names"):
        prepareGround(site, Recipe(5, 0.0), "ap1")


@pytest.mark.usefixtures("site")
def testInstrumentsAndCalibrationsAreItsOwn(site):
    before = {row.def_id for row in leginondata.InstrumentData.objects.all()}
    plan = rehearseAlone(site)
    new = leginondata.InstrumentData.objects.exclude(def_id__in=before)
    assert {(row.hostname, row.hidden) for row in new} == {(f"appion-demo-{plan.session}", True)}
    calibration = leginondata.PixelSizeCalibrationData.objects.get(session__name=plan.session)
    assert {calibration.tem_id, calibration.ccdcamera_id} == {row.def_id for row in new}


@pytest.mark.usefixtures("classicdatabase")
def testNothingIsCreatedThatIsMissing(mariadb, tmp_path):
    before = mariadb._readColumns()
    with pytest.raises(DemoError, match=r"which Appion database.*ap1"):
        checkDatabases(None)
    with pytest.raises(DemoError, match=r"no table .*NormImageData"):
        checkDatabases("ap1")
    with pytest.raises(DemoError, match="is not a folder"):
        ground.checkFolder(tmp_path / "nowhere")
    assert mariadb._readColumns() == before


def testADiskThatIsTooSmallIsSaid(tmp_path, monkeypatch):
    plan = Recipe(10, 1.0, "k3").constructPlan(tmp_path)
    assert 4e9 < ground.calcSpace(plan) < 8e9
    monkeypatch.setattr(ground.shutil, "disk_usage", lambda _: SimpleNamespace(free=3e9))
    with pytest.raises(DemoError, match=r"10 exposures take about \d GB, and 3 GB are free"):
        ground.checkSpace(tmp_path, plan)


@pytest.mark.usefixtures("mariadatabase")
def testAnAppionDatabaseThatIsNotCompleteIsRefused(mariadb):
    mariadb.execute("DROP TABLE ApCtfData", "ALTER TABLE ApPathData DROP COLUMN path", database="ap1")
    with pytest.raises(DemoError, match=r"column path of table ApPathData.*sinedon init --appiondb ap1"):
        checkDatabases("ap1")
    with pytest.raises(sinedon.errors.ConnectionFailure, match="sinedon init --appiondb ap_demo"):
        checkDatabases("ap_demo")


@pytest.mark.parametrize("argv", [
    ["--movie", "k3"], ["--clean"], ["--yes"], ["--config", "x"], ["--config", "x", "--clean", "--movie", "k3"],
    ["--config", "x", "--dir", "y", "--for", "soon"], ["--config", "x", "--dir", "y", "--for", "1h", "--every", "0"],
    ["--config", "x", "--dir", "y", "--frames", "2"], ["--config", "x", "--dir", "y", "--yes"],
])  # fmt: skip
def testWrongOptionsOfARehearsalEndWithTwo(argv):
    with pytest.raises(SystemExit) as ended:
        demo.main(argv)
    assert ended.value.code == 2


@pytest.mark.parametrize("options", [["--config", "nowhere"], ["--motion-options=--bin=2"], ["--ctf", "ctffind9.py"],
                                     ["--motion-options='"]])  # fmt: skip
def testWhatCannotBeComparedIsRefused(options, sqlitedatabase, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SINEDON_CFG_PATH", str(sqlitedatabase.folder))
    before = dumpTables()
    assert demo.main(["--config", str(sqlitedatabase.folder), "--dir", str(tmp_path), "--appiondb=ap1", *options]) == 2
    assert "appion demo: " in capsys.readouterr().err
    assert dumpTables() == before


def testSlurmThatWouldTakeNoJobIsSaidBeforeAnythingIsWritten(sqlitedatabase, tmp_path):
    (sqlitedatabase.folder / "appion.yaml").write_text("appion: {cluster: slurm}\n")
    before = dumpTables()
    command = [f"{sysconfig.get_path('scripts')}/appion", "demo", f"--config={sqlitedatabase.folder}",
               f"--dir={tmp_path}", "--appiondb=ap1"]  # fmt: skip
    environment = os.environ | {"PATH": "/nowhere"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert "TO DO  Slurm" in done.stdout
    assert "appion doctor --config" in done.stderr
    assert dumpTables() == before


SETTINGS = {
    "appion": {
        "cluster": "slurm", "poll": 1, "status_interval": 1, "slurm": {"maximum": 2, "poll": 1, "latency": 1},
        "motioncorrection": {"settle": 1, "executable": "motioncor-cpu"},
        "ctfestimation": {"settle": 0.5}, "ctffind": {"executable": "ctffind-cpu"},
    },
    "jobqueue": {"slurm": {"memory": "3500MB", "job-cpu": 2, "interface": "lo", "walltime": "08:00:00"}},
}  # fmt: skip


@pytest.mark.usefixtures("mariadatabase")
def testARehearsalOnSlurmAndMariaDB(mariadb, slurmcluster, tmp_path):
    """All of it, as a facility would: the command, the report, what is left, and nothing of it after --clean."""
    makeRealSession(tmp_path / "real")
    makeDecoys()
    before = dumpTables()
    config, folder = tmp_path / "site", tmp_path / "rehearsals"
    config.mkdir()
    folder.mkdir()
    (config / "sinedon.cfg").write_text(mariadb.constructConfig())
    (config / "appion.yaml").write_text(yaml.safe_dump(SETTINGS))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SINEDON", "DASK"))}
    environment |= {"HOME": str(tmp_path), "SLURM_CONF": slurmcluster.environment["SLURM_CONF"]}

    def rehearse(*options):
        return subprocess.run(
            [f"{sysconfig.get_path('scripts')}/appion", "demo", f"--config={config}", f"--dir={folder}", *options],
            env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    done = rehearse("--appiondb=ap1", "--exposures=5", "--every=1", "--frames=8")
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-3000:]}"
    assert "PROBLEM" not in done.stdout
    for text in ("5 of 5 exposures taken, 4 corrected, 4 with CTF, 0 with something amiss", "motion correction: 4 expo",
                 "CTF estimation: ", "per hour while it works", "doctor --size: ", "--clean --session="):  # fmt: skip
        assert text in done.stdout
    (home,) = folder.iterdir()
    assert {path.name for path in home.iterdir()} >= {"demo.txt", "demo.png", "microscope.log"}
    assert projectdata.projects.objects.filter(name=f"APPION DEMO {home.name} - safe to delete").exists()
    during = dumpTables()
    assert all(during[table].items() >= rows.items() for table, rows in before.items())

    listed = rehearse("--clean")
    assert listed.returncode == 1, listed.stderr
    assert "nothing has been removed" in listed.stdout
    assert dumpTables() == during
    assert rehearse("--clean", "--yes").returncode == 0
    assert list(folder.iterdir()) == []
    after = dumpTables()
    for (alias, table), rows in before.items():
        assert after[alias, table].items() >= rows.items()
        new = [row for def_id, row in after[alias, table].items() if def_id not in rows]
        assert not new or table in SHARED or [str(row[-1]) for row in new] == [str(Path(appion.__file__).parent)], table


def testDaemonsMayBeStartedByHand(sqlitedatabase, tmp_path):
    """Nobody starts them here: after a while without any progress it ends, and says so."""
    done = subprocess.run(
        [f"{sysconfig.get_path('scripts')}/appion", "demo", f"--config={sqlitedatabase.folder}", f"--dir={tmp_path}",
         "--appiondb=ap1", "--by-hand", "--patience=4s", "--exposures=5", "--every=0", "--frames=4"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "to be started by hand\n  motioncor2.py --runname" in done.stdout
    assert "nothing got done for 4 s" in done.stderr
    assert "of 5 exposures taken, 0 corrected" in done.stdout


def testCtrlCEndsItCleanlyAndItIsReported(sqlitedatabase, tmp_path):
    """Microscope and daemons are gone, what there is is told, and it can be cleaned up."""
    before = dumpTables()
    steps = ("motioncorrection", "ctfestimation", "ctffind")
    settings = {"appion": {name: SETTINGS["appion"][name] for name in steps}}
    (sqlitedatabase.folder / "appion.yaml").write_text(yaml.safe_dump(settings))
    folder = tmp_path / "rehearsals"
    folder.mkdir()
    command = [f"{sysconfig.get_path('scripts')}/appion", "demo", f"--config={sqlitedatabase.folder}",
               f"--dir={folder}"]  # fmt: skip
    process = subprocess.Popen(
        [*command, "--appiondb=ap1", "--exposures=50", "--every=4", "--frames=4"], cwd=tmp_path, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line)
        if "corrected 1" in line:
            break
    (home,) = folder.iterdir()
    refused = subprocess.run([*command, "--clean", "--yes"], capture_output=True, text=True, timeout=600)
    process.send_signal(signal.SIGINT)
    said.append(process.communicate(timeout=600)[0])
    assert (refused.returncode, "still goes on" in refused.stderr) == (2, True), refused.stderr
    text = "".join(said)
    assert process.returncode == 130, text
    assert "of 50 exposures taken" in text
    assert "PROBLEM: drift" not in text
    assert not [line for line in Path("/proc").glob("[0-9]*/cmdline") if readCommand(line).count(str(home))]
    assert subprocess.run([*command, "--clean", "--yes"], capture_output=True, timeout=600).returncode == 0
    after = dumpTables()
    assert list(folder.iterdir()) == []
    assert {table for table in before if after[table] != before[table]} <= {
        ("appiondata", table) for table in (*SHARED, "ApPathData")
    }


def readCommand(path):
    """Return a process's command line, empty if it has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def testFilesThatGoWhileTheyAreCountedAreNoError(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "link").symlink_to("a")
    look = os.lstat

    def lookLate(path):
        if path == str(tmp_path / "b"):
            os.unlink(path)
        return look(path)

    monkeypatch.setattr(os, "lstat", lookLate)
    assert measureFiles(tmp_path) == [5]
