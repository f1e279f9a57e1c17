"""motioncor-cpu beside RELION's own CPU program: time, memory and error on simulated movies with known drift.

    python benchmarks/motioncorcpu.py [--kind mrc|K3|EER] [--size 4096] [--frames 40] [--threads 2] [--repeat 3]
                                      [--folder FOLDER] [--gain]

Two movies are made (strong contrast; low contrast, close to real data): particles in amorphous ice, CTF at 300 kV and
Cs 2.7 mm, a drift that decays from the first frame with jitter on top, Poisson counting at 1 electron per pixel and
frame. With --gain the counts are spoilt by a gain reference with dead and hot pixels. Both programs run in turn.

Kinds: a square MRC of bytes; the shape of a K3, as a TIFF in LZW; EER of 37 raw frames for each of --frames, with half
an electron per pixel in them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import mrcfile
import numpy as np
import scipy.fft
import tifffile

from appion.demo.writers import encodeElectrons, iterateTiff

PIXELSIZE = 1.0

#: By kind: side that is asked for by default, rows for each column, raw frames of each frame, electrons in it.
KINDS = {"mrc": (4096, 1.0, 1, 1.0), "K3": (5760, 4092 / 5760, 1, 1.0), "EER": (4096, 1.0, 37, 0.5)}

CONTRASTS = {"strong": 0.30, "low": 0.08}


def calcSpecimen(size: int, contrast: float, rng: np.random.Generator) -> np.ndarray:
    """Return the transform of the image intensity (mean 1) of particles in ice, as the microscope shows them."""
    image = rng.normal(0, 0.4, (size, size)).astype(np.float32)  # ice
    box = 128
    y, x = np.mgrid[:box, :box] - box // 2
    particle = np.zeros((box, box), np.float32)
    for _ in range(400):  # pseudo-atoms within a ball of 50 pixels
        centre = rng.normal(0, 22, 2)
        particle += np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * 1.5**2))
    for _ in range(size * size // 200**2):
        top, left = rng.integers(0, size - box, 2)
        turned = np.rot90(particle, rng.integers(4))
        image[top : top + box, left : left + box] += 0.5 * (turned[::-1] if rng.integers(2) else turned)
    image -= image.mean()
    image /= image.std()
    transform = scipy.fft.rfft2(image, workers=2)
    ky, kx = np.fft.fftfreq(size, PIXELSIZE)[:, None], np.fft.rfftfreq(size, PIXELSIZE)[None]
    k2, angle = ky**2 + kx**2, np.arctan2(ky, kx)
    wavelength, cs = 0.019687, 2.7e7
    defocus = 14750 + 250 * np.cos(2 * (angle - np.deg2rad(35)))
    phase = np.pi * wavelength * k2 * (defocus - 0.5 * wavelength**2 * cs * k2)
    ctf = -np.sin(phase + 0.1) * np.exp(-20 * k2 / 4)
    transform *= (contrast * ctf).astype(np.float32)
    transform[0, 0] = size * size
    return transform


def calcDrift(nframes: int, rng: np.random.Generator) -> np.ndarray:
    """Return the displacement (x, y) of the specimen in each frame, pixels; about 20 in all."""
    decay = np.exp(-np.arange(nframes) / (nframes / 5))
    steps = np.outer(decay, rng.normal(0, 1, 2))
    steps *= 18 / np.hypot(*steps.sum(axis=0))
    return np.cumsum(steps, axis=0) + rng.normal(0, 0.3, (nframes, 2)).cumsum(axis=0) * 0.5


def makeMovie(path: Path, kind: str, size: int, nframes: int, contrast: float, gain: np.ndarray | None,
              seed: int) -> np.ndarray:
    """Write a simulated movie and return its drift."""
    rng = np.random.default_rng(seed)
    drift = calcDrift(nframes, rng)
    frames = iterateFrames(kind, size, drift, contrast, gain, rng)
    if kind == "mrc":
        with mrcfile.new_mmap(path, (nframes, size, size), mrc_mode=0, overwrite=True) as mrc:
            for i, counts in enumerate(frames):
                mrc.data[i] = counts
            mrc.voxel_size = PIXELSIZE
    elif kind == "K3":
        with tifffile.TiffWriter(path) as tif:
            for counts in frames:
                tif.write(counts.astype(np.uint8), compression="lzw", photometric="minisblack", metadata=None)
    else:
        strips = [strip for counts in frames for strip in divideFrame(counts, KINDS[kind][2], rng)]
        sizes = [len(strip) for strip in strips]
        with open(path, "wb") as file:
            file.writelines(iterateTiff(sizes, iter(strips), (size, size), "eer"))
    return drift


def iterateFrames(kind: str, size: int, drift: np.ndarray, contrast: float, gain: np.ndarray | None,
                  rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the counts of each frame, at most 127."""
    specimen = calcSpecimen(size, contrast, rng)
    rows, dose = calcRows(kind, size), KINDS[kind][3]
    y, x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    sensitivity = None if gain is None else np.where(gain > 0, 1 / np.where(gain > 0, gain, 1), 0).astype(np.float32)
    hot = rng.integers(0, rows, 300), rng.integers(0, size, 300)
    for dx, dy in drift:
        moved = specimen * np.exp(-2j * np.pi * (y * dy)).astype(np.complex64)
        moved *= np.exp(-2j * np.pi * (x * dx)).astype(np.complex64)
        rate = dose * np.maximum(scipy.fft.irfft2(moved, workers=2)[:rows], 0)
        if sensitivity is not None:
            rate *= sensitivity
            rate[hot] = 8
        yield np.minimum(rng.poisson(rate), 127)


def calcRows(kind: str, size: int) -> int:
    """Rows of a frame whose longer side is `size`: an even number, as RELION wants it."""
    return 2 * round(size * KINDS[kind][1] / 2)


def divideFrame(counts: np.ndarray, number: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Yield so many raw frames of EER, between which the electrons of a frame are dealt out."""
    at = np.repeat(np.arange(counts.size), counts.ravel())
    keys = np.unique(rng.integers(0, number, at.size) * counts.size + at)
    bounds = np.searchsorted(keys, np.arange(number + 1) * counts.size)
    for i in range(number):
        yield encodeElectrons(keys[bounds[i] : bounds[i + 1]] - i * counts.size, counts.size)


def makeGain(path: Path, shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(7)
    gain = rng.normal(1, 0.05, shape).astype(np.float32)
    gain.ravel()[rng.integers(0, gain.size, 400)] = 0
    mrcfile.write(path, gain, overwrite=True)
    return gain


def runMeasured(argv: list[str], folder: Path, threads: int) -> tuple[list[float], str]:
    """Run a program; return its seconds, seconds of processor time and peak resident memory in GB, and its output."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    out = folder / "output.txt"
    start = time.perf_counter()
    with out.open("w") as file:
        process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(argv)}\nended with {process.returncode}:\n{out.read_text()[-2000:]}")
    return [seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6], out.read_text()


def runOurs(movie: Path, gain: Path | None, folder: Path, threads: int,
            more: Sequence[str] = ()) -> tuple[list[float], np.ndarray]:
    program = Path(sys.executable).parent / "motioncor-cpu"
    given = {".mrc": "-InMrc", ".tif": "-InTiff", ".eer": "-InEer"}[movie.suffix]
    grouped = folder / "frames.txt"
    if movie.suffix == ".eer":  # raw frames, raw frames in a frame, electrons per Å² in a raw frame
        with tifffile.TiffFile(movie) as tif:
            grouped.write_text(f"{len(tif.pages)} {KINDS['EER'][2]} {KINDS['EER'][3] / KINDS['EER'][2]:.6f}\n")
        more = [*more, "-FmIntFile", str(grouped)]
    argv = [str(program), given, str(movie), "-OutMrc", str(folder / "ours.mrc"), "-PixSize", str(PIXELSIZE), "-kV",
            "300", "-FmDose", "1", "-Iter", "7", "-Tol", "0.5", "-Threads", str(threads)]
    costs, log = runMeasured([*argv, *(["-Gain", str(gain)] if gain else []), *more], folder, threads)
    rows = re.findall(r"^\.{6} Frame \( *\d+\) shift: +(\S+) +(\S+)", log, re.MULTILINE)
    return costs, np.array(rows, float)


def runRelion(movie: Path, gain: Path | None, folder: Path, threads: int,
              patches: int = 1) -> tuple[list[float], np.ndarray]:
    star = folder / "movies.star"
    star.write_text(
        "data_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n_rlnMicrographOriginalPixelSize #3\n"
        "_rlnVoltage #4\n_rlnSphericalAberration #5\n_rlnAmplitudeContrast #6\n"
        f"group1 1 {PIXELSIZE} 300 2.7 0.1\n\ndata_movies\n\nloop_\n_rlnMicrographMovieName #1\n_rlnOpticsGroup #2\n"
        f"{movie.name} 1\n")
    argv = ["relion_run_motioncorr", "--i", "movies.star", "--o", "relion/", "--use_own", "--j", str(threads),
            "--first_frame_sum", "1", "--last_frame_sum", "-1", "--bin_factor", "1", "--bfactor", "150", "--patch_x",
            str(patches), "--patch_y", str(patches), "--dose_per_frame", "1.0", "--preexposure", "0",
            "--dose_weighting", "--save_noDW", "--eer_grouping", str(KINDS["EER"][2])]
    shutil.rmtree(folder / "relion", ignore_errors=True)
    costs, _ = runMeasured(argv + (["--gainref", str(gain)] if gain else []), folder, threads)
    table = (folder / "relion" / f"{movie.stem}.star").read_text().split("data_global_shift")[1].split("data_")[0]
    rows = [line.split() for line in table.splitlines() if re.match(r"\s*\d+\s", line)]
    return costs, np.array(rows, float)[:, 1:3]


def calcError(shifts: np.ndarray, drift: np.ndarray) -> tuple[float, float]:
    """Return the RMS and the largest of the frames' errors, pixels, the mean offset removed; shifts undo the drift."""
    difference = shifts + drift
    difference = np.hypot(*(difference - difference.mean(axis=0)).T)
    return float(np.sqrt((difference**2).mean())), float(difference.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, default="mrc")
    parser.add_argument("--size", type=int, help="pixels of the longer side (default: as the camera's; RELION reads no"
                        " other size of EER)")  # fmt: skip
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--gain", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep the movies here and use them again")
    args = parser.parse_args()
    args.size = args.size or KINDS[args.kind][0]
    shape = calcRows(args.kind, args.size), args.size
    folder = args.folder or Path(tempfile.mkdtemp(prefix="motioncorcpu-"))
    folder.mkdir(parents=True, exist_ok=True)
    programs = {"motioncor-cpu": runOurs}
    if shutil.which("relion_run_motioncorr"):
        programs["relion"] = runRelion
    else:
        print("relion_run_motioncorr is not installed (Debian: apt-get install relion): no comparison")
    gainpath = folder / f"gain{args.size}.mrc" if args.gain else None
    gain = makeGain(gainpath, shape) if gainpath else None
    print(f"{args.kind}, {shape[1]} x {shape[0]} x {args.frames}, {args.threads} threads, median of {args.repeat}")
    try:
        for seed, (name, contrast) in enumerate(CONTRASTS.items()):
            ending = {"mrc": "mrc", "K3": "tif", "EER": "eer"}[args.kind]
            movie = folder / f"{name}{args.size}x{args.frames}{'g' if args.gain else ''}.{ending}"
            truth = movie.with_suffix(".npy")
            if not (movie.exists() and truth.exists()):
                np.save(truth, makeMovie(movie, args.kind, args.size, args.frames, contrast, gain, seed))
            compare(name, movie, gainpath, np.load(truth), programs, args)
    finally:
        if args.folder is None:
            shutil.rmtree(folder)


def compare(name: str, movie: Path, gain: Path | None, drift: np.ndarray, programs: dict, args) -> None:
    results = {}
    runs: dict[str, list] = {program: [] for program in programs}
    for _ in range(args.repeat):
        for program, run in programs.items():
            runs[program].append(run(movie, gain, movie.parent, args.threads))
    for program, measured in runs.items():
        seconds, processor, memory = (statistics.median(costs[i] for costs, _ in measured) for i in range(3))
        error, largest = calcError(measured[-1][1], drift)
        results[program] = (seconds, processor, memory, error)
        print(f"{name:8s} {program:14s} {seconds:7.2f} s (processor {processor:.2f} s)  {memory:5.2f} GB  "
              f"RMS error {error:.3f} px (largest {largest:.2f})")
    if len(results) == 2:
        ratios = [b / a for a, b in zip(results["motioncor-cpu"], results["relion"], strict=True)]
        print(f"{name:8s} relion / motioncor-cpu: time {ratios[0]:.1f}, processor time {ratios[1]:.1f}, "
              f"memory {ratios[2]:.1f}, error {ratios[3]:.1f}")


if __name__ == "__main__":
    main()
