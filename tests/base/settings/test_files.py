"""Broken files of Dask's folders: one line with file and line, exit code 2; a run can be looked at all the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.settings.files import checkFiles, listFiles, listFolders
from tests.base.running import run as runOnce

ROOT = Path(__file__).parents[3]

BROKEN = {
    "a.yaml": (b"appion:\n  poll: 7\n bad: [1\n", 3),
    "b.yml": (b"distributed:\n\tworker: 1\n", 2),
    "c.YAML": (b"a: 1\nb: *nothing\n", 2),
    "d.json": (b'{"a": 1,\n "b" 2}\n', 2),
    "e.yaml": (b"# fine\n- a list\n", 1),
    "f.yaml": (b"a: 1\nb: 2\nc: caf\xe9\n", 3),
    "g.yaml": (b"a: 1\nb: \x07\n", 2),
    "h.yaml": (b"a: !!python/object:os.system {}\n", 1),
    "i.yaml": (b"a: {1: 2\n", 2),
}


def run(*words, folder, variable="DASK_CONFIG"):
    environment = {**os.environ, variable: str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("name", BROKEN)
def test_each_way_to_be_broken_names_file_and_line(tmp_path, name):
    text, line = BROKEN[name]
    (tmp_path / "good.yaml").write_text("appion: {}\n")
    (tmp_path / name).write_bytes(text)
    (tmp_path / "broken.txt").write_text("a: [")
    with pytest.raises(ConfigurationFailure) as error:
        checkFiles([str(tmp_path)])
    told = re.match(rf"{re.escape(str(tmp_path / name))}, line (\d+)", error.value.reason)
    assert told, error.value
    assert int(told[1]) == line
    assert "\n" not in str(error.value)


def test_the_folders_are_those_that_dask_reads(monkeypatch, tmp_path):
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path / "own.yaml"))
    (tmp_path / "own.yaml").write_text("a: 1")
    assert set(map(Path, listFiles(listFolders()))) >= {tmp_path / "own.yaml"}
    check = "import dask.config as d, appion.base.settings.files as f; assert set(d.paths) == set(f.listFolders())"
    done = run(sys.executable, "-c", check, folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("variable", ["DASK_CONFIG", "DASK_ROOT_CONFIG"])
@pytest.mark.parametrize("command", [("ctffind4.py", "--session=x"), ("makeDDAlignMotionCor2_UCSF.py", "--session=x"),
                                     ("gctf.py", "--session=x"), ("appion", "doctor"),
                                     ("runJob.py", "gctf.py", "--rundir=run")])  # fmt: skip
def test_a_command_says_it_in_one_line(tmp_path, command, variable):
    (tmp_path / "dask.yaml").write_text("a: 1\nb: [\n")
    done = run(sys.executable, ROOT / "bin" / command[0], *command[1:], folder=tmp_path, variable=variable)
    assert done.returncode == (1 if command[0] == "runJob.py" else 2), done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"{tmp_path}/dask.yaml, line 3" in done.stderr


@pytest.mark.usefixtures("fast")
def test_a_run_can_be_looked_at_all_the_same(lab, tmp_path):
    lab.add(1, 2)
    runOnce(lab)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "jobqueue.yaml").write_text("jobqueue: [\n")
    for words, code in ((("status",), 2), (("failures",), 0), (("explain", 1), 0), (("retry", 1), 2)):
        command = [words[0], str(lab.rundir), *map(str, words[1:])]
        sound = run(sys.executable, ROOT / "bin" / "appion", *command, folder=tmp_path / "none")
        broken = run(sys.executable, ROOT / "bin" / "appion", *command, folder=tmp_path / "site")
        assert (broken.returncode, broken.stderr) == (sound.returncode, sound.stderr) == (code, sound.stderr)
        assert re.sub(r"\d+ s ago", "", broken.stdout) == re.sub(r"\d+ s ago", "", sound.stdout)
