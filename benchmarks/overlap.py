"""Exposures per hour of one GPU with and without reading the next movie ahead, from a file server that is slow.

    python benchmarks/overlap.py [--scale S] [--exposures N] [--movie K3|EER]

Needs mfusepy (pip) and libfuse (Debian: libfuse2): the movies lie on a file system of this process's own that hands out
each movie in the time that reading one was measured to take, whatever reads it, and whose pages the kernel keeps as it
does those of a disk. The stand-in for the program takes the phases of real logs, shortened by `--scale`: K3 start 2 s,
read 3.4 s, compute 2.2 s, write 2.6 s; EER start 2 s, read 1.5 s, decode 8 s and compute 2 s, write 1 s.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dask.config

from appion.base.records.task import Origin, Task
from appion.base.workers.cluster import constructCluster, redirectDaskLogs
from appion.base.workers.pool import Pool

#: Seconds to start, read, compute and write.
PHASES = {"K3": (2.0, 3.4, 2.2, 2.6), "EER": (2.0, 1.5, 10.0, 1.0)}
#: Bytes of a movie here; what counts is the time that reading takes.
SIZE = 32 << 20


@dataclass(frozen=True)
class Params:
    """A movie, and seconds to start, compute and write."""

    movie: str
    start: float
    compute: float
    write: float


def calc(task: Task[Origin, Params]) -> int:
    """What a program does, without the arithmetic."""
    params = task.params
    time.sleep(params.start)
    with open(params.movie, "rb") as file:
        number = sum(len(piece) for piece in iter(lambda: file.read(1 << 20), b""))
    time.sleep(params.compute + params.write)
    return number


def serveMovies(folder: str, mount: str, seconds: float) -> None:
    """Show `folder` at `mount`, each movie of it at the pace at which it is read in so many seconds."""
    import mfusepy  # type: ignore[import-not-found,unused-ignore]

    class Server(mfusepy.Operations):
        use_ns = True

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:  # noqa: ARG002
            found = os.stat(folder + path)
            names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")
            return {name: getattr(found, name) for name in names} | {"st_mtime": found.st_mtime_ns}

        def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002
            return [".", "..", *os.listdir(folder + path)]

        def open(self, path: str, flags: int) -> int:
            return os.open(folder + path, flags)

        def release(self, path: str, fh: int) -> int:  # noqa: ARG002
            os.close(fh)
            return 0

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
            piece = os.pread(fh, size, offset)
            time.sleep(seconds * len(piece) / SIZE)
            return piece

    mfusepy.FUSE(Server(), mount, foreground=True, nothreads=True, kernel_cache=True, ro=True)


def measure(movies: list[Path], phases: tuple[float, ...], stage: str, folder: Path) -> float:
    """Exposures per hour of one worker with two in hand."""
    start, _, compute, write = phases
    with redirectDaskLogs(folder), dask.config.set({"appion.stage": stage, "appion.free_space": 0}):
        pool = Pool(lambda: constructCluster((), 1), 1, "overlap")
        pool.start()
        waiting, done, begin = list(enumerate(movies)), 0, time.monotonic()
        try:
            while done < len(movies):
                while waiting and len(pool.flights) < 2:
                    number, movie = waiting.pop(0)
                    task = Task(Origin(number, movie.stem, 1, str(folder)), Params(str(movie), start, compute, write))
                    pool.submit(number, 1, calc, task, reads=str(movie))
                for _, outcome in pool.collect(1.0):
                    if outcome.result != SIZE:
                        raise RuntimeError(f"not computed: {outcome}")
                    done += 1
            return 3600 * done / (time.monotonic() - begin)
        finally:
            pool.close()


def main() -> int:
    """Measure each way, each time with movies that nobody has read."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=0.25, help="share of the measured times (default: %(default)s)")
    parser.add_argument("--exposures", type=int, default=10, help="for each way (default: %(default)s)")
    parser.add_argument("--movie", choices=PHASES, default="K3", help="(default: %(default)s)")
    args = parser.parse_args()
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:
        print(f"not measured: {error}; pip install mfusepy, apt-get install libfuse2")
        return 0
    phases = tuple(args.scale * seconds for seconds in PHASES[args.movie])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways = {"none": "none", "cache": "cache", "a folder of the node": str(folder / "node")}
        server, mount = folder / "server", folder / "mount"
        server.mkdir()
        mount.mkdir()
        for way in range(len(ways)):
            for number in range(args.exposures):
                (server / f"{way}-{number}.tif").write_bytes(os.urandom(SIZE))
        process = multiprocessing.Process(target=serveMovies, args=(str(server), str(mount), phases[1]), daemon=True)
        process.start()
        while not os.path.ismount(mount):
            time.sleep(0.05)
        print(f"{args.movie}, {args.exposures} exposures: start {phases[0]:.2f} s, read {phases[1]:.2f} s, "
              f"compute {phases[2]:.2f} s, write {phases[3]:.2f} s\n")  # fmt: skip
        rates = []
        try:
            for way, (words, stage) in enumerate(ways.items()):
                movies = [mount / f"{way}-{number}.tif" for number in range(args.exposures)]
                rates.append(measure(movies, phases, stage, folder))
                print(f"{words:>22}: {args.scale * rates[-1]:7.0f} exposures an hour at full length, "
                      f"ratio {rates[-1] / rates[0]:.2f}", flush=True)  # fmt: skip
        finally:
            subprocess.run(["umount", str(mount)], check=False)
            process.join(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
