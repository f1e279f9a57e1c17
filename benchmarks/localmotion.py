"""Local motion: motioncor-cpu with and without -Patch beside RELION's own CPU program, on simulated movies that bend.

    python benchmarks/localmotion.py [--size 2048] [--frames 40] [--largest 8] [--threads 2] [--folder FOLDER]

Movies as of motioncorcpu.py, whose specimen also bends: quadratic in space, dying away in time, `--largest` pixels at
most. Printed are seconds of processor time, memory, what is left of the motion (root mean square over frames and 9 x 9
places, without the first and last sixteenth) and how well the sum agrees with the noise-free specimen (Fourier ring
correlation, mean up to 0.8 Nyquist), beside a sum that knows the motion of whole frames and has no local motion.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

import mrcfile
import numpy as np
import scipy.fft
import scipy.ndimage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.motioncorcpu import CONTRASTS, PIXELSIZE, calcDrift, calcSpecimen, runOurs, runRelion

GRID = np.linspace(-0.875, 0.875, 9)


def calcBend(places: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Return the displacement (x, y) at places (y, x) from -1 to 1."""
    y, x = places
    return np.stack([sum(c * term for c, term in zip(row, (x, y, x * x, x * y, y * y), strict=True)) for row in bend])


def makeMovie(path: Path, size: int, nframes: int, contrast: float, largest: float, seed: int) -> dict[str, np.ndarray]:
    """Write a movie and return its specimen, drift (frames, 2), local motion (frames, 2, 9, 9) relative to frame 0."""
    rng = np.random.default_rng(seed)
    transform = calcSpecimen(size, contrast, rng)
    image = scipy.fft.irfft2(transform).astype(np.float32)
    drift = calcDrift(nframes, rng)
    drift -= drift[0]
    bend = rng.normal(0, 1, (2, 5))
    corners = np.stack(np.meshgrid(np.linspace(-1, 1, 17), np.linspace(-1, 1, 17), indexing="ij"))
    bend *= largest / np.hypot(*calcBend(corners, bend)).max() if largest else 0
    part = 1 - np.exp(-np.arange(nframes) / (nframes / 5))
    spline = scipy.ndimage.spline_filter(image, 3, np.float32, mode="grid-wrap")
    with mrcfile.new_mmap(path, (nframes, size, size), mrc_mode=0, overwrite=True) as mrc:
        for i in range(nframes):
            for rows in np.split(np.arange(size), 8):
                pixel = np.stack(np.meshgrid(rows, np.arange(size), indexing="ij")).astype(np.float32)
                place = pixel.copy()
                for _ in range(3):
                    moved = part[i] * calcBend(2 * place / size - 1, bend) + drift[i][:, None, None]
                    place = (pixel - moved[::-1]).astype(np.float32)
                rate = scipy.ndimage.map_coordinates(spline, place, order=3, mode="grid-wrap", prefilter=False)
                mrc.data[i, rows] = np.minimum(rng.poisson(np.maximum(rate, 0)), 127)
        mrc.voxel_size = PIXELSIZE
    places = np.stack(np.meshgrid(GRID, GRID, indexing="ij"))
    return {"specimen": image, "drift": drift, "local": part[:, None, None, None] * calcBend(places, bend)}


def readOurs(folder: Path, movie: Path) -> np.ndarray:
    """Return the local shifts (frames, 2, 9, 9) of motioncor-cpu: -Patch 16 16 has a patch at each of the places."""
    rows = np.loadtxt(folder / f"{movie.stem}-Patch-Frame.log")
    nframes = int(rows[-1, 0])
    table = rows[:, 3:5].reshape(nframes, 16, 16, 2)
    at = (np.arange(16) + 0.5) / 8 - 1
    inside = np.array([np.interp(GRID, at, np.arange(16))])
    places = np.stack(np.meshgrid(inside[0], inside[0], indexing="ij"))
    return np.array([[scipy.ndimage.map_coordinates(frame[..., axis], places, order=3) for axis in (0, 1)]
                     for frame in table])


def readRelion(star: Path) -> np.ndarray:
    """Return the local shifts of RELION's model: polynomials (1, x, x², y, y², xy) times (z, z², z³)."""
    text = star.read_text()
    nframes = len(re.findall(r"^\s*\d+\s+\S+\s+\S+\s*$", text.split("data_global_shift")[1].split("data_")[0], re.M))
    if "data_local_motion_model" not in text:
        return np.zeros((nframes, 2, 9, 9))
    block = text.split("data_local_motion_model")[1].split("data_")[0]
    values = np.array([line.split()[1] for line in block.splitlines() if re.match(r"\s*\d+\s", line)], float)
    y, x = np.meshgrid(GRID / 2, GRID / 2, indexing="ij")
    space = np.stack([np.ones_like(x), x, x * x, y, y * y, x * y])
    time = np.arange(nframes)[:, None] ** np.array([1, 2, 3])
    return np.einsum("asp,fp,syx->fayx", values.reshape(2, 6, 3), time, space)


def calcLeft(shifts: np.ndarray, local: np.ndarray, truth: dict[str, np.ndarray]) -> float:
    left = (shifts + truth["drift"])[:, :, None, None] + local + truth["local"]
    return float(np.sqrt(((left - left.mean(axis=0)) ** 2).sum(axis=1).mean()))


def calcFRC(image: np.ndarray, specimen: np.ndarray) -> float:
    edge = image.shape[0] // 32
    one, two = (scipy.fft.rfft2(a[edge:-edge, edge:-edge] - a.mean()) for a in (image, specimen))
    rows = one.shape[0]
    ring = (np.hypot(np.fft.fftfreq(rows)[:, None], np.arange(one.shape[1]) / rows) * 100).astype(int).ravel()
    sums = [np.bincount(ring, a.ravel())[2:40] for a in ((one * two.conj()).real, abs(one) ** 2, abs(two) ** 2)]
    return float((sums[0] / np.sqrt(sums[1] * sums[2])).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--largest", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep the movies here and use them again")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="localmotion-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{args.size} x {args.size} x {args.frames}, {args.largest:g} pixels at most, {args.threads} threads")
    try:
        for name, contrast in CONTRASTS.items():
            movie = folder / f"{name}{args.size}x{args.frames}l{args.largest:g}s{args.seed}.mrc"
            kept = movie.with_suffix(".npz")
            if not (movie.exists() and kept.exists()):
                np.savez(kept, **makeMovie(movie, args.size, args.frames, contrast, args.largest, args.seed))
            compare(name, movie, dict(np.load(kept)), args)
    finally:
        if args.folder is None:
            shutil.rmtree(folder)


def compare(name: str, movie: Path, truth: dict[str, np.ndarray], args: argparse.Namespace) -> None:
    folder, patches = movie.parent, ["-LogDir", str(movie.parent), "-Patch"]

    def show(program: str, costs: list[float], shifts: np.ndarray, local: np.ndarray, image: Path) -> None:
        agreement = calcFRC(mrcfile.read(image), truth["specimen"])
        print(f"{name:8s} {program:22s} processor {costs[1]:6.2f} s  {costs[2]:5.2f} GB  left "
              f"{calcLeft(shifts, local, truth):.3f} px  FRC {agreement:.3f}", flush=True)

    still = np.zeros_like(truth["local"])
    costs, shifts = runOurs(movie, None, folder, args.threads)
    show("motioncor-cpu whole", costs, shifts, still, folder / "ours.mrc")
    costs, shifts = runOurs(movie, None, folder, args.threads, [*patches, "16", "16"])
    show("motioncor-cpu -Patch", costs, shifts, readOurs(folder, movie), folder / "ours.mrc")
    if shutil.which("relion_run_motioncorr"):
        costs, shifts = runRelion(movie, None, folder, args.threads, 5)
        star = folder / "relion" / f"{movie.stem}.star"
        show("relion 5 x 5", costs, shifts, readRelion(star), star.with_name(f"{movie.stem}_noDW.mrc"))
    perfect = np.zeros_like(truth["specimen"])
    rng = np.random.default_rng(1)
    for _ in range(len(truth["drift"])):
        perfect += rng.poisson(np.maximum(truth["specimen"], 0))
    print(f"{name:8s} nothing left{'':48s}FRC {calcFRC(perfect, truth['specimen']):.3f}", flush=True)


if __name__ == "__main__":
    main()
