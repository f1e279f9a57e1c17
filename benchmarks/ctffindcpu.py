"""ctffind-cpu beside CTFFIND: seconds of the whole process, memory and error on micrographs with known defocus.

    python benchmarks/ctffindcpu.py [--size 4096] [--repeat 3] [--folder FOLDER] [--real FOLDER] [--fast]

CTFFIND is run in turn with ctffind-cpu if there is one in PATH (ctffind, ctffind4 or ctffind5). If there is none, the
other side is the spectrum alone, made the plain way from half-overlapping tiles, and CTFFIND's seconds are quoted as
they were measured on another machine. Everything uses one thread. With --real, the micrographs epu2.9_example.mrc
and fei-extended.mrc of mrcfile's source distribution are taken from that folder and compared with what CTFFIND says.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import scipy.fft

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.motioncorcpu import calcSpecimen

#: Amplitude contrast, defoci (Å) and angle that calcSpecimen uses.
CONTRAST, TRUTH = 0.0998, (15000.0, 14500.0, 35.0)

#: Seconds of CTFFIND 4.1.14 and 5.0.1 by box, from builds with FFTW on a 2-core AMD EPYC; 4096 x 4096 pixels.
QUOTED = {512: "1.4-1.8 and 1.25-1.8", 1024: "3.7-5.5 and 4.9-5.6"}

#: Defoci, angle, amplitude contrast, phase shift and pixel size of 2048 x 2048 pixels of white noise seen with them.
GRID = (
    (6000, 5500, 10, 0.10, 0.0, 1.0), (10000, 9000, -60, 0.07, 0.0, 0.85), (20000, 18000, 80, 0.10, 0.0, 1.1),
    (35000, 34800, -20, 0.07, 0.0, 1.0), (12000, 11700, 45, 0.07, 1.5708, 1.0),
)  # fmt: skip

#: What CTFFIND 4.1.14 and 5.0.1 said of real micrographs at box 512: name, pixel size, defoci and angle of either.
REAL = (
    ("epu2.9_example.mrc", 0.66655, (27312.8, 27175.3, 83.5), (27305.7, 27166.7, 83.6)),
    ("fei-extended.mrc", 0.85378, (10568.2, 10473.1, -49.1), (10562.9, 10472.3, -49.1)),
)

PLAIN = """
import sys
import mrcfile, numpy as np, scipy.fft
image, box = mrcfile.read(sys.argv[1]).astype(np.float32), int(sys.argv[2])
total, count = np.zeros((box, box // 2 + 1)), 0
for top in range(0, image.shape[0] - box + 1, box // 2):
    for left in range(0, image.shape[1] - box + 1, box // 2):
        total += np.abs(scipy.fft.rfft2(image[top : top + box, left : left + box])) ** 2
        count += 1
np.save(sys.argv[3], np.sqrt(total / count))
"""


@dataclass(frozen=True)
class Conditions:
    """How a micrograph was taken and is to be fitted."""

    pixelsize: float = 1.0
    contrast: float = CONTRAST
    box: int = 512
    resmax: float = 5.0
    minimum: float = 5000.0
    phase: bool = False


def simulate(size: int, larger: float, smaller: float, angle: float, contrast: float, phase: float,
             pixelsize: float, snr: float = 0.3) -> np.ndarray:
    """Return white noise seen through a transfer function (300 kV, 2.7 mm, B factor 60 Å²), in noise."""
    rng = np.random.default_rng(1)
    y, x = np.fft.fftfreq(size, pixelsize)[:, None], np.fft.rfftfreq(size, pixelsize)[None]
    k2 = x**2 + y**2
    defocus = (larger + smaller) / 2 + (larger - smaller) / 2 * np.cos(2 * (np.arctan2(y, x) - np.radians(angle)))
    wavelength = 12.26426 / np.sqrt(3e5 * (1 + 9.784755e-7 * 3e5))
    chi = np.pi * wavelength * k2 * (defocus - 0.5 * wavelength**2 * 2.7e7 * k2) + phase + np.arcsin(contrast)
    signal = scipy.fft.irfft2(scipy.fft.rfft2(rng.normal(size=(size, size))) * np.sin(chi) * np.exp(-15 * k2))
    return (100 + 10 * (np.sqrt(snr) * signal / signal.std() + rng.normal(size=(size, size)))).astype(np.float32)


def makeMicrograph(size: int, contrast: float, dose: float, seed: int = 1) -> np.ndarray:
    """Return counts of particles in ice."""
    rng = np.random.default_rng(seed)
    rate = np.maximum(scipy.fft.irfft2(calcSpecimen(size, contrast, rng)), 0)
    return rng.poisson(rate * dose).astype(np.float32)


def findCtffind() -> tuple[str, str] | None:
    """Return path and version of CTFFIND, or None."""
    for name in ("ctffind", "ctffind4", "ctffind5"):
        path = shutil.which(name)
        if path:
            said = subprocess.run([path], input="", capture_output=True, text=True, timeout=60).stdout
            lines = [line.split(":")[1].strip() for line in said.splitlines() if line.strip().startswith("Version")]
            return path, lines[0] if lines else "4"
    return None


def run(command: list[str], image: Path, how: Conditions, newer: bool = False) -> tuple[float, list[float]]:
    """Run a program on an image; return its seconds and its row."""
    output = image.with_name("fit.mrc")
    phase = ["yes", "0.0", "3.15", "0.5"] if how.phase else ["no"]
    rest = ([] if how.phase else ["no"]) + ["no", "no"] if newer else ["no"]
    answers = [image, output, how.pixelsize, 300.0, 2.7, how.contrast, how.box, 30.0, how.resmax, how.minimum, 50000.0,
               100.0, "no", "no", "no", *phase, *rest]  # fmt: skip
    output.with_suffix(".txt").unlink(missing_ok=True)
    lines = "".join(f"{answer}\n" for answer in answers)
    start = time.perf_counter()
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=600)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{command[0]} failed on {image}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    row = [line for line in output.with_suffix(".txt").read_text().splitlines() if not line.startswith("#")][-1]
    return seconds, [float(word) for word in row.split()]


def describe(row: list[float], truth: tuple[float, float, float]) -> str:
    """Return a row and how far it is from the truth."""
    turned = (row[3] - truth[2] + 90) % 180 - 90
    return (f"{row[1]:9.1f} {row[2]:9.1f} {row[3]:7.2f}  off by {row[1] - truth[0]:+6.1f} {row[2] - truth[1]:+6.1f} Å "
            f"{turned:+6.2f}°  score {row[5]:.3f}, to {row[6]:.2f} Å")


def compareTimes(ours: list[str], theirs: tuple[str, str] | None, folder: Path, size: int, repeat: int) -> None:
    for name, contrast in (("strong", 0.30), ("low", 0.08)):
        image = folder / f"{name}.mrc"
        mrcfile.write(image, makeMicrograph(size, contrast, 40), overwrite=True)
        for box in (512, 1024):
            how = Conditions(box=box)
            best: dict[str, float] = {}
            rows: dict[str, list[float]] = {}
            for _ in range(repeat):
                seconds, rows["ctffind-cpu"] = run(ours, image, how)
                best["ctffind-cpu"] = min(seconds, best.get("ctffind-cpu", np.inf))
                if theirs:
                    label = f"CTFFIND {theirs[1]}"
                    seconds, rows[label] = run([theirs[0]], image, how, theirs[1].startswith("5"))
                else:
                    label, start = "plain spectrum alone", time.perf_counter()
                    subprocess.run([sys.executable, "-c", PLAIN, image, str(box), folder / "plain.npy"], check=True)
                    seconds = time.perf_counter() - start
                best[label] = min(seconds, best.get(label, np.inf))
            print(f"\n{size} x {size}, {name} contrast, box {box} (best of {repeat})")
            for label, seconds in best.items():
                said = describe(rows[label], TRUTH) if label in rows else ""
                print(f"  {label:22s} {seconds:6.2f} s  {said}")
            print(f"  ratio {best[label] / best['ctffind-cpu']:.2f}")
            if not theirs:
                print(f"  quoted, another machine, 4096 x 4096: CTFFIND 4.1.14 and 5.0.1 take {QUOTED[box]} s")


def compareAccuracy(ours: list[str], theirs: tuple[str, str] | None, folder: Path) -> None:
    cases = [((15000, 14500, 35), Conditions(), makeMicrograph(2048, 0.06, 30, 9), "2048, very low contrast"),
             ((15000, 14500, 35), Conditions(box=1024), makeMicrograph(1024, 0.3, 20), "1024, box 1024")]  # fmt: skip
    for larger, smaller, angle, contrast, phase, pixelsize in GRID:
        how = Conditions(pixelsize, contrast, 512, 4.0, 3000.0, phase > 0)
        image = simulate(2048, larger, smaller, angle, contrast, phase, pixelsize)
        cases.append(((larger, smaller, angle), how, image, f"2048, phase {phase:g}, {pixelsize:g} Å per pixel"))
    print("\nAccuracy")
    for truth, how, image, name in cases:
        mrcfile.write(folder / "case.mrc", image, overwrite=True)
        print(f"  {truth[0]} {truth[1]} {truth[2]}: {name}")
        print(f"    ctffind-cpu  {describe(run(ours, folder / 'case.mrc', how)[1], truth)}")
        if theirs:
            row = run([theirs[0]], folder / "case.mrc", how, theirs[1].startswith("5"))[1]
            print(f"    CTFFIND      {describe(row, truth)}")


def compareReal(ours: list[str], folder: Path, real: Path) -> None:
    print("\nReal micrographs: mean defocus beside that of CTFFIND 4.1.14 and 5.0.1")
    for name, pixelsize, *figures in REAL:
        image = folder / name
        if not (real / name).exists():
            print(f"  {name}: not in {real}")
            continue
        image.symlink_to((real / name).resolve())
        for box in (512, 1024):
            how = Conditions(pixelsize, 0.07, box, 5.0, 3000.0 if name.startswith("fei") else 5000.0)
            seconds, row = run(ours, image, how)
            mean = (row[1] + row[2]) / 2
            off = ", ".join(f"{200 * mean / (first + second) - 100:+.2f} %" for first, second, _ in figures)
            print(f"  {name:20s} box {box:4d} {seconds:5.2f} s {row[1]:9.1f} {row[2]:9.1f} {row[3]:7.2f}  "
                  f"mean off by {off}, score {row[5]:.3f}, to {row[6]:.2f} Å")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where images are made; else a temporary folder")
    parser.add_argument("--real", type=Path, help="folder with mrcfile's example micrographs")
    parser.add_argument("--fast", action="store_true", help="only times, not the accuracy on a grid of conditions")
    args = parser.parse_args()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    installed = Path(sys.executable).with_name("ctffind-cpu")
    ours = [str(installed)] if installed.exists() else [sys.executable, "-m", "appion.ctfestimation.cli.ctffindcpu"]
    theirs = findCtffind()
    print(f"CTFFIND {theirs[1]} at {theirs[0]}" if theirs else "There is no ctffind in PATH.")
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        compareTimes(ours, theirs, Path(scratch), args.size, args.repeat)
        if not args.fast:
            compareAccuracy(ours, theirs, Path(scratch))
        if args.real:
            compareReal(ours, Path(scratch), args.real)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nlargest resident memory of any process: {memory:.0f} MB")


if __name__ == "__main__":
    main()
