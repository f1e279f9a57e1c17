"""A stand-in for motioncor2 that takes milliseconds: an image of noise and a log, or a fault named in the movie's name.

`FAKE_LEDGER` names a file that gets a line at the start and at the end of every run, so that tests can count what was
computed; `FAKE_SECONDS` is how long a run takes. What it does wrong follows `__` in the movie's name, see FAULTS.
"""

import os
import random
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(__file__)), "motioncorrection"))
from dialects import formatAlignment, formatEnd, formatParameters, readFlags

VERSION = os.environ.get("FAKE_VERSION", "MotionCor2 version 1.6.4")
TITLE, NUMBER = VERSION.split()[0].lower(), VERSION.split()[-1]

#: Fault by name; those before `crash` show in what it leaves behind.
FAULTS = {
    "nothing": "it writes no image and ends well",
    "noshifts": "its log has no shifts",
    "fewshifts": "its log has a shift too few",
    "wrongdims": "its image has four rows too few",
    "pixelsize": "its image gives three times the pixel size",
    "zeros": "its image is zero everywhere",
    "nan": "its image has a pixel that is no number",
    "short": "its image is cut off",
    "noweighted": "it writes no dose-weighted image",
    "crash": "it is killed by a bad pointer",
    "hang": "it never ends, nor does what it starts; the file FAKE_PIDS gets their ids",
    "stall": "the same, but only the first time, and all are deaf to SIGTERM",
}  # fmt: skip


def note(word: str, movie: str) -> None:
    with open(os.environ["FAKE_LEDGER"], "a") as ledger:
        ledger.write(f"{word} {os.path.basename(movie)}\n")


def hang(name: str, deaf: bool) -> None:
    """Sleep with a child of the same process group and one that has made its own; tell who they are."""
    script = 'echo $$ >> "$FAKE_PIDS"; exec sleep 1000'
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # and so are the children
    children = [subprocess.Popen(["/bin/sh", "-c", script], process_group=group) for group in (None, 0)]
    with open(os.environ["FAKE_PIDS"], "a") as pids:
        pids.write(f"{os.getpid()}\n")
    note(f"hangs {os.getppid()}", name)
    children[0].wait()


def writeImage(path: str, columns: int, rows: int, pixelsize: float, fault: str = "") -> None:
    header = struct.pack("<10i6f", columns, rows, 1, 2, 0, 0, 0, columns, rows, 1,
                         columns * pixelsize, rows * pixelsize, pixelsize, 90, 90, 90)
    header += struct.pack("<3i3f", 1, 2, 3, 0.0, 10.0, 5.0)
    header = header.ljust(208, b"\0") + b"MAP " + b"\x44\x44\0\0"
    noise = random.Random(7)
    pixels = [0.0 if fault == "zeros" else noise.gauss(5.0, 1.0) for _ in range(columns * rows)]
    if fault == "nan":
        pixels[7] = float("nan")
    with open(path, "wb") as image:
        image.write(header.ljust(1024, b"\0") + struct.pack(f"<{columns * rows}f", *pixels))
    if fault == "short":
        os.truncate(path, os.path.getsize(path) // 2)


def main(argv: list[str]) -> int:
    if "--version" in argv or len(argv) < 2:
        print(VERSION)
        return 0
    flags = {argv[i].lower(): argv[i + 1] for i in range(len(argv) - 1) if argv[i].startswith("-")}
    movie = flags.get("-inmrc") or flags.get("-intiff") or flags["-ineer"]
    name = os.path.basename(os.path.realpath(movie))
    fault = name.partition("__")[2].partition(".")[0]
    note("start", name)
    if fault == "crash":
        print("Error: the stack makes no sense", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    with open(os.environ["FAKE_LEDGER"]) as ledger:
        runs = ledger.read().count(f"start {name}\n")
    if fault == "hang" or (fault == "stall" and runs == 1):
        hang(name, deaf=fault == "stall")
    print(formatParameters(TITLE, NUMBER, readFlags(argv[1:])), flush=True)
    with open(movie, "rb") as stack:
        columns, rows, frames = struct.unpack("<3i", stack.read(12))
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0.05")))
    bin_factor = float(flags.get("-ftbin", "1"))
    pixelsize = float(flags.get("-pixsize", "1")) * bin_factor * (3 if fault == "pixelsize" else 1)
    out = flags["-outmrc"]
    size = int(columns / bin_factor), int(rows / bin_factor) - (4 if fault == "wrongdims" else 0)
    if fault != "nothing":
        writeImage(out, *size, pixelsize, fault)
    if "-fmdose" in flags and fault not in ("nothing", "noweighted"):
        writeImage(out.replace(".mrc", "_DW.mrc"), *size, pixelsize)
    count = 0 if fault == "noshifts" else frames - (fault == "fewshifts")
    print(formatAlignment(TITLE, NUMBER, [(i * 0.5, -i * 0.25) for i in range(count)]))
    print(formatEnd(TITLE, NUMBER, [out]))
    note("end", name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
