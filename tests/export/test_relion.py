"""Debian's RELION reads an export: particles are what numpy cuts out, and polishing moves them as was found."""

import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
import tifffile

from appion.cli import main
from appion.demo.detector import convertToLeginon
from appion.export.motion import readMotion, turnAxis
from appion.motioncorrection.calc.internal.geometry import orientToFrames
from tests.export.made import FITS, FRAMES, PIXEL, SHAPE, makeSite
from tests.export.relion import BOX, extractParticles, polishParticles, readTracks, requireRelion, runRelion
from tests.motioncorrection.samples import makeParams

PLACES = [(100, 60), (250, 200), (280, 120)]
CASES = {
    # movies as Leginon has them; local motion
    "mrc": ("mrc", (False, 0), (), ("--Patchrows=3", "--Patchcols=3")),
    # movies turned and flipped, read upside down by RELION and not by motioncor-cpu
    "tif": ("tif", (False, 1), ("--orientation=movie",), ()),
}


@pytest.mark.parametrize("case", list(CASES))
def test_relionReadsAll(case, sqlitedatabase, tmp_path, capsys):  # noqa: ARG001
    requireRelion()
    kind, turned, words, options = CASES[case]
    site = makeSite(tmp_path, kind, turned, 2, *options)
    project = tmp_path / "project"
    assert main(["export", str(site.motion), str(site.ctf), "--star", "--out", str(project), *words]) == 0
    assert "2 micrographs, 2 with a CTF, 2 with motion" in capsys.readouterr().out
    turn = (case == "tif", turned[1])
    fitted = starfile.read(project / "micrographs_ctf.star")
    rows = fitted["micrographs"].to_dict("records")
    for row, (defocus1, defocus2, axis, score, resolution) in zip(rows, FITS, strict=False):
        assert (row["rlnDefocusU"], row["rlnDefocusV"]) == pytest.approx((defocus2, defocus1))
        assert row["rlnDefocusAngle"] == pytest.approx(turnAxis(axis + 90, turn))
        assert (row["rlnCtfFigureOfMerit"], row["rlnCtfMaxResolution"]) == pytest.approx((score, resolution))
        assert (project / row["rlnMicrographName"]).is_symlink() is (case == "mrc")

    said = runRelion(project, "relion_star_handler", "--i", "micrographs_ctf.star", "--o", "selected.star",
                     "--select", "rlnCtfMaxResolution", "--minval", 0, "--maxval", 5)  # fmt: skip
    assert "error" not in said.lower()
    assert len(starfile.read(project / "selected.star", always_dict=True)["micrographs"]) == 1

    particles = extractParticles(project, "micrographs_ctf.star", PLACES)
    table = starfile.read(particles)
    assert table["optics"]["rlnImagePixelSize"].tolist() == pytest.approx([PIXEL])
    expected = [row["rlnDefocusU"] for row in rows for _ in PLACES]
    assert table["particles"]["rlnDefocusU"].tolist() == pytest.approx(expected)
    for row in rows:
        name = row["rlnMicrographName"]
        whole = mrcfile.read(Path(site.made.image_path) / Path(name).name)
        image = orientToFrames(whole, *turn)
        cut = [image[y - BOX // 2 : y + BOX // 2, x - BOX // 2 : x + BOX // 2] for x, y in PLACES]
        np.testing.assert_array_equal(mrcfile.read(project / "Extract" / f"{name}s"), cut)

    checkGain(site, project, turned, turn)
    polishParticles(project, particles, PIXEL)
    for name, row in zip(site.made.filenames, rows, strict=True):
        micrograph = row["rlnMicrographName"]
        motion = readMotion(site.motion, makeParams(name=name))
        sign = np.array([1, -1 if case == "tif" else 1])
        height, width = SHAPE if not turned[1] % 2 else SHAPE[::-1]
        for number, (x, y) in enumerate(PLACES):
            shifts = motion.shifts * sign
            if motion.field is not None:
                at = np.array([2 * x / width - 1]), np.array([2 * y / height - 1])
                shifts = shifts + np.squeeze([motion.field.calcDisplacements(i, *at) for i in range(FRAMES)])
            tracks = readTracks(project, micrograph, number)
            # local motion is RELION's polynomial, which misses some of the field
            np.testing.assert_allclose(-tracks / PIXEL, shifts - shifts[0], atol=0.4 if motion.field else 0.01)
        assert (motion.field is not None) is (case == "mrc")
        sums = mrcfile.read(project / "Extract" / f"{micrograph}s")
        polished = mrcfile.read(project / "Polish" / "job001" / f"{Path(micrograph).with_suffix('')}_shiny.mrcs")
        for one, other in zip(sums, polished, strict=True):  # inverted in contrast, and otherwise weighted
            same, mirrored = (np.corrcoef(one.ravel(), image.ravel())[0, 1] for image in (other, other[::-1]))
            assert same < -0.2
            assert abs(mirrored) < 0.7 * abs(same)


def checkGain(site, project, turned, turn):
    """Frames as RELION reads them times its gain reference are Leginon's frames times Leginon's, turned."""
    name = site.made.filenames[0]
    general = starfile.read(project / "Motion" / site.made.name / f"{name}.star")["general"]
    movie, gain = (project / general[f"rlnMicrograph{what}Name"] for what in ("Movie", "Gain"))
    frames = mrcfile.read(movie) if movie.suffix == ".mrcs" else tifffile.imread(movie)[:, ::-1]
    assert (general["rlnImageSizeZ"], general["rlnImageSizeY"], general["rlnImageSizeX"]) == frames.shape
    stored = frames if movie.suffix == ".mrcs" else frames[:, ::-1]
    whole = convertToLeginon(stored.sum(axis=0), *turned) * mrcfile.read(site.gain)
    np.testing.assert_allclose(frames.sum(axis=0) * mrcfile.read(gain), orientToFrames(whole, *turn), rtol=1e-6)


def test_nothingOfWhatIsImportedIsHeavy():
    """The other sub-commands do not wait for what this one needs."""
    code = ("import sys; from appion.cli import constructParser; constructParser();"
            "print([name for name in ('django', 'numpy', 'plotly', 'mrcfile') if name in sys.modules])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"
