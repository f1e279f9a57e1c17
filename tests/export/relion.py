"""RELION as a person calls it, and what it needs beside an export: coordinates, a reference, angles."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile

BOX = 64


def requireRelion() -> None:
    """Skip the test where RELION is not installed; it fails where CI is set."""
    if shutil.which("relion_preprocess") is None:
        message = "RELION is not installed: apt-get install --no-install-recommends relion"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def runRelion(project: Path, *words: object) -> str:
    """Run one of RELION's programs in a project; return what it printed."""
    done = subprocess.run(list(map(str, words)), cwd=project, text=True, capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=900, check=False)  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def extractParticles(project: Path, star: str, places: list[tuple[int, int]]) -> Path:
    """Have RELION extract particles at places (x, y) of each micrograph of a STAR file; returns their STAR file."""
    for name in starfile.read(project / star)["micrographs"]["rlnMicrographName"]:
        path = project / "coords" / Path(name).with_suffix("")
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{x}.0 {y}.0\n" for x, y in places)
        path.with_name(f"{path.name}_pick.star").write_text(
            f"\ndata_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n{rows}")
    runRelion(project, "relion_preprocess", "--i", star, "--coord_suffix", "_pick.star", "--coord_dir", "coords/",
              "--part_dir", "Extract/", "--part_star", "Extract/particles.star", "--extract",
              "--extract_size", BOX)  # fmt: skip
    return project / "Extract" / "particles.star"


def polishParticles(project: Path, particles: Path, pixelsize: float) -> None:
    """Have RELION read movies and motion of the particles, move them as these say, no more, and add them up."""
    saveReference(project, pixelsize)
    tables = starfile.read(particles)
    rng = np.random.default_rng(2)
    count = len(tables["particles"])
    for name, most in (("Rot", 360), ("Tilt", 180), ("Psi", 360)):
        tables["particles"][f"rlnAngle{name}"] = rng.uniform(0, most, count)
    tables["particles"]["rlnRandomSubset"] = np.arange(count) % 2 + 1
    tables["particles"]["rlnGroupNumber"] = 1
    tables["particles"]["rlnOriginXAngst"] = tables["particles"]["rlnOriginYAngst"] = 0.0
    starfile.write(tables, project / "refined.star")
    (project / "Polish" / "job001").mkdir(parents=True)
    runRelion(project, "relion_motion_refine", "--i", "refined.star", "--o", "Polish/job001/", "--f", "fsc.star",
              "--m1", "half1.mrc", "--m2", "half2.mrc", "--mask", "mask.mrc", "--corr_mic",
              "corrected_micrographs.star", "--max_iters", 0, "--combine_frames", "--bfac_minfreq", 20)  # fmt: skip


def saveReference(project: Path, pixelsize: float) -> None:
    """Write half maps of some blobs, a mask and an FSC."""
    z, y, x = np.mgrid[-BOX // 2 : BOX // 2, -BOX // 2 : BOX // 2, -BOX // 2 : BOX // 2]
    rng, volume = np.random.default_rng(1), np.zeros((BOX,) * 3, np.float32)
    for c in rng.normal(0, 8, (20, 3)):
        volume += np.exp(-((x - c[0]) ** 2 + (y - c[1]) ** 2 + (z - c[2]) ** 2) / 8).astype(np.float32)
    mask = (x**2 + y**2 + z**2 < (BOX / 2 - 6) ** 2).astype(np.float32)
    for name, data in (("half1", volume), ("half2", volume), ("mask", mask)):
        with mrcfile.new(project / f"{name}.mrc") as mrc:
            mrc.set_data(data)
            mrc.voxel_size = pixelsize
    shells = [f"{i} {i / (BOX * pixelsize):.6f} {BOX * pixelsize / i if i else 999:.6f} {max(0, 1 - i / BOX * 2.2):.6f}"
              for i in range(BOX // 2 + 1)]  # fmt: skip
    labels = ("rlnSpectralIndex", "rlnResolution", "rlnAngstromResolution", "rlnFourierShellCorrelationCorrected")
    (project / "fsc.star").write_text(
        "\n# version 30001\n\ndata_general\n\n_rlnFinalResolution 5.0\n_rlnBfactorUsedForSharpening 0.0\n\n\n"
        "# version 30001\n\ndata_fsc\n\nloop_\n" + "".join(f"_{label} #{n}\n" for n, label in enumerate(labels, 1))
        + "\n".join(shells) + "\n\n")  # fmt: skip


def readTracks(project: Path, micrograph: str, number: int) -> np.ndarray:
    """Return the way of a particle of a micrograph as RELION has it, (frames, 2) in Å."""
    path = project / "Polish" / "job001" / Path(micrograph).with_suffix("")
    table = starfile.read(path.with_name(f"{path.name}_tracks.star"))[str(number)]
    return table[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy()
