"""A stand-in for motioncor2 that takes milliseconds: an image of noise and a log, or a fault named in the movie's name.

`FAKE_LEDGER` names a file that gets a line at the start and at the end of every run, so that tests can count what was
computed; `FAKE_SECONDS` is how long a run takes. A movie whose name contains `crash` kills the program, `hang` makes it
sleep for ever with a child that does the same, `busy` makes it complain of the GPU once and work at the next try.
"""

import os
import random
import signal
import struct
import subprocess
import sys
import time

VERSION = "MotionCor2 version 1.6.4"


def note(word: str, movie: str) -> None:
    with open(os.environ["FAKE_LEDGER"], "a") as ledger:
        ledger.write(f"{word} {os.path.basename(movie)}\n")


def writeImage(path: str, columns: int, rows: int, pixelsize: float) -> None:
    header = struct.pack("<10i6f", columns, rows, 1, 2, 0, 0, 0, columns, rows, 1,
                         columns * pixelsize, rows * pixelsize, pixelsize, 90, 90, 90)
    header += struct.pack("<3i3f", 1, 2, 3, 0.0, 10.0, 5.0)
    header = header.ljust(208, b"\0") + b"MAP " + b"\x44\x44\0\0"
    noise = random.Random(7)
    pixels = [noise.gauss(5.0, 1.0) for _ in range(columns * rows)]
    with open(path, "wb") as image:
        image.write(header.ljust(1024, b"\0") + struct.pack(f"<{columns * rows}f", *pixels))


def main(argv: list[str]) -> int:
    if "--version" in argv or len(argv) < 2:
        print(VERSION)
        return 0
    flags = {argv[i].lower(): argv[i + 1] for i in range(len(argv) - 1) if argv[i].startswith("-")}
    movie = flags.get("-inmrc") or flags.get("-intiff") or flags["-ineer"]
    name = os.path.basename(os.path.realpath(movie))
    note("start", name)
    if "crash" in name:
        print("Error: the stack makes no sense", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in name:
        subprocess.Popen(["sleep", "1000"])
        time.sleep(1000)
    with open(movie, "rb") as stack:
        columns, rows, frames = struct.unpack("<3i", stack.read(12))
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0.05")))
    bin_factor = float(flags.get("-ftbin", "1"))
    pixelsize = float(flags.get("-pixsize", "1")) * bin_factor
    out = flags["-outmrc"]
    size = int(columns / bin_factor), int(rows / bin_factor)
    writeImage(out, *size, pixelsize)
    if "-fmdose" in flags:
        writeImage(out.replace(".mrc", "_DW.mrc"), *size, pixelsize)
    print("Full-frame alignment\n  Frame   x Shift   y Shift")
    for i in range(frames):
        print(f"{i + 1:5d} {i * 0.5:10.3f} {-i * 0.25:10.3f}")
    print("\nTotal time: 0.1 sec")
    note("end", name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
