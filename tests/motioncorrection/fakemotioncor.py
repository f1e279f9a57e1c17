"""A stand-in for motioncor2 and motioncor3 that adds up frames, or does what the environment variable FAULT says."""

import os
import signal
import subprocess
import sys
import time

import numpy as np

from appion.base.retrieve.movies import readFrames, readMovieHeader

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
    print("banner", *words, flush=True)
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
    if fault == "gpubusy":
        return 1
    if fault == "cuda":
        print(CUDA_TROUBLE, file=sys.stderr)
        return 6
    if fault == "mismatch":
        print("Error: Gain and frame dimensions mismatch!\n       Motion correction skipped.", file=sys.stderr)
        return 0
    movie = next(flags[name] for name in ("-InMrc", "-InTiff", "-InEer") if name in flags)
    header = readMovieHeader(movie)
    image = sum(frame.astype(np.float32) for frame in readFrames(header))
    if "-InEer" in flags and os.environ["KIND"] == "motioncor2":
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
    print("Full-frame alignment shift")
    for frame in range(rendered - (3 if fault == "short" else 0)):
        print(f"...... Frame ({frame + 1:3d}) shift: {frame:9.3f}  {-2 * frame:9.3f}")
    print(flush=True)
    if fault == "nosum":
        return 0
    output = flags["-OutMrc"]
    save(output, image, pixelsize)
    if fault == "truncated":
        os.truncate(output, os.path.getsize(output) // 2)
    if "-FmDose" in flags and fault != "nodw":
        save(output.replace(".mrc", "_DW.mrc"), image * 2, pixelsize)
        save(output.replace(".mrc", "_DWS.mrc"), image * 3, pixelsize)
    return 0


if __name__ == "__main__":
    if "--version" in sys.argv:
        print("MotionCor2 version 1.6.4")
        sys.exit(0)
    sys.exit(main())
