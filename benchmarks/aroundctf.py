"""What an exposure's CTF costs around its program: reading, confidences, pictures and files, in processor seconds.

    python benchmarks/aroundctf.py [--sizes 1024 2048 4096] [--repeat 3]

Micrographs of the demo's kind go through `estimateCTF` with ctffind-cpu, pictures and all, in one process that is warm,
as a worker is. The seconds of this process are what goes on around the program, those of its children the program.
Processor time, the median of the repeats, since other programs may be running.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
from pathlib import Path

import mrcfile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from appion import estimateCTF
from tests.ctfestimation.simulated import simulateMicrograph


def readProcessor() -> tuple[float, float]:
    """Processor seconds of this process, and of its children, programs that ended and whose copies they are."""
    ours, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ticks = 0
    for child in Path("/proc/self/task").glob("*/children"):
        for pid in child.read_text().split():
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ours.ru_utime + ours.ru_stime, ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, size: int, repeat: int) -> tuple[float, float]:
    """Median seconds around the program and in it, after one that warms up."""
    path = folder / f"micrograph{size}.mrc"
    micrograph = simulateMicrograph((size, size), defocus1=1.2e-6, defocus2=1.25e-6, angle=-20.0)
    mrcfile.write(path, micrograph.astype("float32"))
    costs = []
    for _ in range(repeat + 1):
        before = readProcessor()
        result = estimateCTF(path, folder / "out", pixelsize=1.0, amplitude_contrast=0.07, program="ctffind-cpu")
        costs.append([after - earlier for earlier, after in zip(before, readProcessor(), strict=True)])
        assert all(result.graphs), result.warnings
    around, program = (statistics.median(values) for values in zip(*costs[1:], strict=True))
    return around, program


def main() -> int:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    print(f"{'pixels':<14} {'around the program':>19} {'ctffind-cpu':>12} {'ratio':>6}")
    with tempfile.TemporaryDirectory(prefix="aroundctf-") as name:
        for size in args.sizes:
            around, program = measure(Path(name), size, args.repeat)
            print(f"{f'{size} x {size}':<14} {around:>17.2f} s {program:>10.2f} s {around / program:>6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
