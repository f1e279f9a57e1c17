"""A password stands in sinedon.cfg: nothing that runs, fails, is asked or is left behind shows it."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from traceback import format_exception

import dask.config
import pytest

import sinedon
from appion.base.programs.environment import constructEnvironment
from appion.cli import main as appion
from appion.doctor.slurm import constructWorkerScript
from appion.motioncorrection.cli.main import main as motioncor2
from sinedon.errors import SinedonError
from sinedon.models.appiondata import ApDDAlignImagePairData
from tests.faults.test_daemon import Daemon, makeExposures, writeMovies

WORD = "hunter2hunter2"
SECRETS = ("se%cret", "se%%cret", "PRIVATE KEY")


def listProcesses(root: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def searchProcesses(root: int) -> None:
    for pid in listProcesses(root):
        for what in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                search(f"{what} of process {pid}", Path(f"/proc/{pid}/{what}").read_bytes())


def search(what: object, content: bytes | str) -> None:
    text = content if isinstance(content, bytes) else content.encode()
    for secret in SECRETS:
        assert secret.encode() not in text, f"{what} shows {secret}"


def searchFolder(folder: Path) -> None:
    """Look for secrets in all files, and for what everybody may write."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            assert not path.stat().st_mode & 0o002, f"{path} may be written by everybody"
        if path.is_file():
            search(path, path.read_bytes())


@pytest.mark.usefixtures("mariadatabase")
def test_nothing_shows_the_password(mariadb, tmp_path, capsys):
    """A run, one that fails because the server is another one, and everything that can be asked."""
    made = makeExposures(tmp_path, 2)
    config = Path(os.environ["SINEDON_CFG_PATH"]) / "sinedon.cfg"
    useGrants(mariadb, config)
    writeMovies(made, broken=1)
    daemon = Daemon(tmp_path, made, attempts=1)
    daemon.env |= {"LEGINON_DB_PASSWORD": WORD}
    program = tmp_path / "motioncor2"
    program.write_text(program.read_text().replace("#!/bin/sh\n", "#!/bin/sh\nset > $FAKE_LEDGER.variables\n"))
    before = os.umask(0)  # whoever starts it is careless
    try:
        process = daemon.start("--no-wait", seconds=0.2)
        while process.poll() is None:
            searchProcesses(process.pid)
            time.sleep(0.1)
        assert process.returncode == 0, daemon.readLog()
    finally:
        os.umask(before)
    ask(capsys, daemon.rundir, made.image_ids[0])
    motioncor2(["--print-config", "--session=any"])
    search("--print-config", "".join(capsys.readouterr()))
    stored = set(ApDDAlignImagePairData.objects.values_list("source_id", flat=True))
    assert stored == {made.image_ids[1]}, "the rights in the guide are enough"
    assert WORD not in Path(f"{daemon.ledger}.variables").read_text()
    search("what was printed", (daemon.folder / "daemon.txt").read_bytes())
    searchFolder(daemon.rundir)
    right = config.read_text()
    config.write_text(right.replace("port: ", "port: 1"))
    assert daemon.start("--no-wait").wait(600)
    search("the log without a server", daemon.readLog())
    for change in (("user: ", "user: x"), ("db: leginondb", "db: no"), ("port: ", "port: x")):
        config.write_text(right.replace(*change))
        with pytest.raises(Exception) as caught:  # noqa: PT011 (whatever it is)
            sinedon.setup()
        search(change, "".join(format_exception(caught.value)))
    appion(["doctor"])
    search("doctor", "".join(capsys.readouterr()))
    searchFolder(daemon.rundir)


def useGrants(mariadb, config: Path) -> None:
    """Have the databases used by an account with the rights that the administrator's guide gives, and no others."""
    guide = (Path(__file__).parents[2] / "docs" / "administrator.md").read_text()
    (block,) = re.findall(r"^```sql\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    statements = block.replace("%.example.org", "127.0.0.1").replace("'secret'", f"'{SECRETS[0]}'").splitlines()
    mariadb.execute("DROP USER IF EXISTS 'appion'@'127.0.0.1'", *statements)
    config.write_text(config.read_text().replace(f"user: {mariadb.user}", "user: appion"))
    assert SECRETS[1] in config.read_text()


def ask(capsys, rundir, image_id) -> None:
    """Look at everything that `appion` prints of a run."""
    for words in (("status", rundir), ("status", rundir, "--json"), ("failures", rundir), ("explain", rundir, image_id),
                  ("doctor", f"--rundir={rundir}")):  # fmt: skip
        appion(list(map(str, words)))
        search(words, "".join(capsys.readouterr()))


@pytest.mark.parametrize("text", [
    f"[global]\nhost: a\npasswd {WORD}\n", f"passwd: {WORD}\n", f"[global]\npasswd: a%{WORD}\n",
    f"[global]\npasswd: a%({WORD})s\n", f"[global]\npasswd: {WORD}\npasswd: {WORD}\n", f"[global\npasswd {WORD}\n",
    f"[global]\npasswd: \xe4{WORD}\n", f"[global]\nhost: 127.0.0.1\nport: 1\npasswd {WORD}:\n[leginondata]\ndb: a\n"
    "[projectdata]\ndb: b\n[appiondata]\n"])  # fmt: skip
def test_a_broken_file_is_described_without_what_is_in_it(tmp_path, monkeypatch, caplog, capsys, text):
    (tmp_path / "sinedon.cfg").write_bytes(text.encode("latin-1"))
    monkeypatch.setenv("SINEDON_CFG_PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    with pytest.raises(SinedonError) as caught:  # also that nothing answers at port 1
        sinedon.setup()
    traceback = "".join(format_exception(caught.value))
    assert WORD not in traceback + caplog.text + "".join(capsys.readouterr())


def test_programs_do_not_get_what_is_secret():
    theirs = {"MYSQL_PWD": "a", "DB_PASSWORD": "b", "GITHUB_TOKEN": "c", "aws_secret_access_key": "d"}
    assert constructEnvironment("motioncor2", None, {**theirs, "PWD": "/"}) == {"PWD": "/", "LC_ALL": "C"}


def test_the_job_script_of_a_worker(tmp_path, monkeypatch):
    """What sbatch is given can be read by everybody who may ask Slurm for it."""
    monkeypatch.setenv("SINEDON_CFG_PATH", str(tmp_path))
    monkeypatch.setenv("DB_PASSWORD", WORD)
    (tmp_path / "sinedon.cfg").write_text(f"[global]\npasswd: {WORD}\n")
    settings = {"jobqueue.slurm.walltime": "10:00:00", "jobqueue.slurm.memory": "1GB", "appion.cluster": "slurm",
                "appion.motioncorrection.executable": "motioncor-cpu"}  # fmt: skip
    with dask.config.set(settings):
        script = constructWorkerScript()
    assert "dask_worker" in script
    assert WORD not in script
    search("the script", script)
