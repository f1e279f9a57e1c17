"""A stand-in for motioncor2 and motioncor3 that adds up frames, or does what the environment variable FAULT says.

It prints what the program in KIND of the version in VERSION prints.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from appion.base.retrieve.movies import readFrames, readMovieHeader
from tests.motioncorrection.dialects import formatAlignment, formatEnd, formatParameters, formatVersion, readFlags

KIND = os.environ.get("KIND", "motioncor2")
VERSION = os.environ.get("VERSION", "1.6.4" if KIND == "motioncor2" else "1.1.2")

CUDA_TROUBLE = "MotionCor2: CUDA error: out of memory\n"


def save(path: str, image: np.ndarray, pixelsize: float) -> None:
    header = np.zeros(256, dtype="<i4")
    header[:4] = image.shape[1], image.shape[0], 1, 2
    header[7:10] = image.shape[1], image.shape[0], 1
    header.view("<f4")[10:13] = image.shape[1] * pixelsize, image.shape[0] * pixelsize, pixelsize
    header[16:19] = 1, 2, 3
    header[27] = 20140
    header.view("u1")[208:216] = list(b"MAP \x44\x44\0\0")
    with open(path, "wb") as file:
        file.write(header.tobytes() + image.astype("<f4").tobytes())


def main() -> int:
    fault = os.environ.get("FAULT", "")
    words = sys.argv[1:]
    flags = {word: words[at + 1] for at, word in enumerate(words[:-1]) if word.startswith("-")}
    print(formatParameters(KIND, VERSION, readFlags(words)), flush=True)
    if "-InMrc" in flags and flags["-InMrc"] == flags.get("-OutMrc"):
        return 2
    if fault == "segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "oom":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; exec sleep 600"], process_group=0)
        with open(os.environ["PIDS"], "w") as file:
            file.write(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    while fault == "flood":
        print("Align patch 1 25 left\n" * 4096)
    if fault == "full":
        with contextlib.suppress(OSError), open("sum.mrc", "wb") as file:
            while True:
                file.write(bytes(65536))
        return 1
    if fault == "library":
        print("MotionCor2: error while loading shared libraries: libcufft.so.10: cannot open shared object file")
        return 127
    if fault == "gpubusy":
        print("All GPUs are in use, quit.", file=sys.stderr)
        return 1
    if fault == "nogpu":
        print("mCheckGPUs: no valid device detected.", file=sys.stderr)
        return 5
    if fault == "cuda":
        print(CUDA_TROUBLE, file=sys.stderr)
        return 6
    if fault == "mismatch":
        print("Error: Gain and frame dimensions mismatch!\n       Motion correction skipped.", file=sys.stderr)
        return 0
    movie = next(flags[name] for name in ("-InMrc", "-InTiff", "-InEer") if name in flags)
    header = readMovieHeader(movie)
    image = sum(frame.astype(np.float32) for frame in readFrames(header))
    if "-InEer" in flags and KIND == "motioncor2":
        image = np.flipud(image)
    pixelsize = float(flags.get("-PixSize", 1.0))
    if fault == "dims":
        image = image[:, : image.shape[1] // 2]
    if fault == "zeros":
        image[:] = 0
    if fault == "nan":
        image[3, 4] = np.nan
    if fault == "pixel":
        pixelsize *= 3
    rendered = header.nframes
    if "-FmIntFile" in flags:
        with open(flags["-FmIntFile"]) as file:
            rendered = sum(int(line.split()[0]) // int(line.split()[1]) for line in file)
    rendered -= int(flags.get("-Throw", 0)) + int(flags.get("-Trunc", 0))
    shifts = [(float(frame), -2.0 * frame) for frame in range(rendered - (3 if fault == "short" else 0))]
    print(formatAlignment(KIND, VERSION, shifts), flush=True)
    if fault == "nosum":
        return 0
    output = flags["-OutMrc"]
    save(output, image, pixelsize)
    if fault == "truncated":
        os.truncate(output, os.path.getsize(output) // 2)
    if "-FmDose" in flags and fault != "nodw":
        save(output.replace(".mrc", "_DW.mrc"), image * 2, pixelsize)
        save(output.replace(".mrc", "_DWS.mrc"), image * 3, pixelsize)
    if KIND == "motioncor3" and pixelsize and float(flags.get("-Cs", 2.7)) > 0.001 and "-PixSize" in flags:
        save(output.replace(".mrc", "_Ctf.mrc"), image, pixelsize)
        with open(output.replace(".mrc", "_Ctf.txt"), "w") as file:
            file.write(f"# Columns: #1 micrograph number\n {15000:9.2f}  {14500:9.2f}  {35:7.2f}  {0:7.2f}  0.1  4.0\n")
    print(formatEnd(KIND, VERSION, [output]))
    return 0


if __name__ == "__main__":
    if [word.lower() for word in sys.argv[1:]] == ["--version"]:
        print(formatVersion(KIND, VERSION), end="")
        sys.exit(0)
    sys.exit(main())
