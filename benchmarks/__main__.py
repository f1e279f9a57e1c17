"""All benchmarks, one after another, in small; `--full` as large as the numbers in the documentation were measured.

    python -m benchmarks [--full] [NAME ...]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from appion.base.calc.pace import formatDuration

FOLDER = Path(__file__).parent

#: What each is called with in small, and about how many seconds it takes on two processors: in small, and in full.
SMALL = {
    "aroundctf": ("--sizes 1024 --repeat 1", 20, 60),
    "controller": ("--exposures 30", 60, 200),
    "ctfconfidence": ("--sizes 2048 --repeat 1", 10, 30),
    "ctffindcpu": ("--size 2048 --repeat 1 --fast", 30, 400),
    "doors": ("--exposures 30 --pairs 1", 60, 500),
    "idle": ("--seconds 20", 150, 180),
    "latency": ("--new 5", 60, 150),
    "localmotion": ("--size 1024 --frames 20", 40, 200),
    "many": ("--images 5000 --waiting 2000 --engines SQLite", 40, 300),
    "memory": ("--exposures 1000", 60, 200),
    "motioncorcpu": ("--size 1024 --frames 20 --repeat 1", 40, 900),
    "occupancy": ("--workers 4 --rounds 2", 30, 300),
    "overlap": ("--exposures 3 --scale 0.1", 60, 300),
    "polling": ("--exposures 2000 --new 10", 40, 150),
    "web": ("--exposures 300 --no-mariadb", 60, 300),
}


def main() -> int:
    """Run them; the exit code is 1 if one of them failed, after all have run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="as large as in docs/performance.md")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=SMALL, help=f"of {', '.join(SMALL)}")
    args = parser.parse_args()
    names = args.names or list(SMALL)
    seconds = sum(SMALL[name][1 + args.full] for name in names)
    about = formatDuration(seconds)
    print(f"{describeMachine()}\n{len(names)} benchmarks, about {about} on two idle processors\n", flush=True)
    failed = []
    for place, name in enumerate(names, start=1):
        words = [] if args.full else SMALL[name][0].split()
        about = formatDuration(SMALL[name][1 + args.full])
        print(f"== {place} of {len(names)}: {' '.join([name, *words])}, about {about}", flush=True)
        start = time.monotonic()
        if subprocess.run([sys.executable, FOLDER / f"{name}.py", *words]).returncode:
            failed.append(name)
        print(f"== {name} took {formatDuration(time.monotonic() - start)}\n", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def describeMachine() -> str:
    """Day, processors, memory, system: what belongs to every number."""
    models = [line.partition(":")[2].strip() for line in _readLines("/proc/cpuinfo") if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    load = os.getloadavg()[0]
    return (f"{time.strftime('%Y-%m-%d')}: {os.cpu_count()} processors ({model}), {memory:.0f} GB, {platform.system()} "
            f"{platform.release()}, Python {platform.python_version()}; load now {load:.1f}")  # fmt: skip


def _readLines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
