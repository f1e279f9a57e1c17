"""The functions for anybody as somebody uses them: the examples of the documentation, and what they do not import."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import scipy.fft

from appion import correctMovie, estimateCTF
from tests.ctfestimation.simulated import simulateMicrograph

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPT, NOTEBOOK, DASK, CLOUD = BLOCK.findall((ROOT / "docs" / "library.md").read_text())

SIDE, NFRAMES = 768, 4


def makeMovie(path: Path, defocus: float, seed: int) -> None:
    """Counts of a specimen at a known defocus (m) that moves by (3, -2) pixels from frame to frame."""
    shape = (SIDE, SIDE)
    scene = simulateMicrograph(shape, defocus1=defocus, defocus2=defocus + 1e-7, snr=10.0, seed=seed)
    spectrum = scipy.fft.rfft2(scene / scene.mean())
    y, x = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    rng = np.random.default_rng(seed)
    step = np.exp(-2j * np.pi * (3 * x - 2 * y))
    moved = (scipy.fft.irfft2(spectrum * step**number, s=shape) for number in range(NFRAMES))
    frames = np.array([rng.poisson(np.maximum(20 * frame, 0)) for frame in moved]).astype(np.uint8)
    with mrcfile.new(path) as mrc:
        mrc.set_data(frames.astype(np.int16))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with movies and a gain reference, far from the checkout."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "movies").mkdir()
    makeMovie(folder / "movies" / "a.mrc", 1.5e-6, 1)
    makeMovie(folder / "movies" / "b.mrc", 2.0e-6, 2)
    with mrcfile.new(folder / "gain.mrc") as mrc:
        mrc.set_data(np.ones((SIDE, SIDE), np.float32))
    return folder


def runScript(place: Path, text: str, name: str = "script.py") -> str:
    """Run a script in a process of its own and return what it printed; warnings are errors in it.

    But for that of Dask about a port that somebody else has.
    """
    (place / name).write_text(text)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SINEDON", "DASK", "APPION"))}
    environment |= {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), "MPLBACKEND": "Agg"}
    environment["PATH"] = f"{sysconfig.get_path('scripts')}:{environment['PATH']}"
    for folder in ("home", "tmp"):
        shutil.rmtree(place / folder, ignore_errors=True)
        (place / folder).mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-W", "ignore:Port 8787", name], cwd=place, env=environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert {path.name for path in (place / "tmp").iterdir()} <= {"dask-scratch-space"}
    return done.stdout


def testScriptOfAFewLinesWithoutDjango(place):
    assert len([line for line in SCRIPT.splitlines() if line.strip()]) < 20
    said = runScript(place, SCRIPT + "\nimport sys\nassert not {'django', 'dask'} & set(sys.modules)\n")
    defocus = re.search(r"defocus (\d+) and (\d+) Å", said)
    assert [float(number) for number in defocus.groups()] == pytest.approx([15000, 16000], abs=300)
    assert "4 frames" in said
    assert sorted(path.name for path in (place / "sums").glob("a*")) == [
        "a.mrc", "a_DW.mrc", "a_log.txt", "a_shifts.txt"
    ]  # fmt: skip
    assert (place / "ctf" / "opimages" / "a-powerspec.jpg").exists()


def testCellOfANotebook(place):
    said = runScript(
        place, NOTEBOOK + "\nfigure.savefig('figure.png')\nimport json\nprint(json.dumps([made.shape, made.shifts]))\n"
    )
    shape, shifts = json.loads(said)
    assert shape == [SIDE // 2, SIDE // 2]
    assert shifts[-1] == pytest.approx([-9, 6], abs=1)
    assert (place / "figure.png").exists()


def testFolderWithPlainDask(place):
    said = runScript(place, DASK)
    found = {line.split()[0]: float(line.split()[1]) for line in said.splitlines()}
    assert found == {"a": pytest.approx(15000, abs=300), "b": pytest.approx(20000, abs=300)}


def testFunctionInACloud(place):
    event = {"movie": (place / "movies" / "b.mrc").as_uri(), "pixelsize": 1.0}
    answer = json.loads(runScript(place, f"{CLOUD}\nimport json\nprint(json.dumps(handler({event!r}, None)))\n"))
    assert answer["defocus"] == pytest.approx([20000, 21000], abs=300)
    assert len(answer["shifts"]) == NFRAMES
    assert answer["warnings"] == []


def testImportCostsNothing(place):
    heavy = "{'numpy', 'django', 'dask', 'distributed', 'numba', 'scipy', 'matplotlib', 'mrcfile'}"
    said = runScript(
        place,
        "import sys, appion\n"
        f"assert not {heavy} & set(sys.modules)\n"
        "from appion import correctMovie, estimateCTF, __version__\n"
        f"assert not {heavy} & set(sys.modules)\n"
        "assert 'Å' in correctMovie.__doc__ and 'kV' in estimateCTF.__doc__\n"
        "print(__version__)\n",
    )
    assert re.match(r"\d{4}\.", said)


def testEveryArgumentIsDocumentedWithItsUnit():
    for function in (correctMovie, estimateCTF):
        arguments = function.__doc__.partition("Args:")[2].partition("Raises:")[0]
        for name in inspect.signature(function).parameters:
            assert re.search(rf"\b{name}\b[^\n]*:", arguments), f"{function.__name__} does not explain {name}"
