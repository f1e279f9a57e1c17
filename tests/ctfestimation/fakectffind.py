"""A stand-in for CTFFIND: asks what the version in VERSION asks, or does what the environment variable FAULT says, or
what follows ``__`` in the name of the micrograph.

On a terminal it asks as the program does there, with defaults and line breaks, and again after an answer that is out of
range; elsewhere it ends with exit code 255 at the first answer that it does not like.
"""

import contextlib
import os
import struct
import subprocess
import sys
import time

VERSION = os.environ.get("VERSION", "4.1.14")
FAULT = os.environ.get("FAULT", "")
INTERACTIVE = sys.stdin.isatty()
BANNER = """

        **   Welcome to Ctffind   **

    Library Version : 2.0.0-alpha
            Version : {version}
           Compiled : Nov 22 2026
               Mode : {mode}

"""


def stop(text):
    print(f"\nError: {text}", flush=True)
    sys.exit(255)


def ask(text, default, check=lambda answer: answer):
    while True:
        if INTERACTIVE and not os.environ.get("BARE"):
            words = f"{text} [{default}]"
            if len(words) > 50:
                print(text)
                words = f"[{default}]"
            print(f"{words:<50s} : ", end="", flush=True)
        elif INTERACTIVE:
            print(f"{text} : ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            stop("Blank answer in scripted mode, exiting...")
        try:
            value = check(line.strip())
        except (ValueError, OSError) as error:
            if not INTERACTIVE:
                stop(f"Running as script, and answer is not recognized... ({error})")
            print(f"\nError: {error}, please try again")
            continue
        if not INTERACTIVE:
            print(f"{text:<51s}: {line.strip()}")
        return value


def flag(answer):
    if answer.lower() not in ("yes", "no"):
        raise ValueError("please answer yes or no")
    return answer.lower() == "yes"


def number(low=-1e9, high=1e9):
    def check(answer):
        value = float(answer)
        if not low <= value <= high:
            raise ValueError(f"Number outside of acceptable range ({low:g} to {high:g})")
        return value

    return check


def existing(answer):
    if not os.path.exists(answer):
        raise ValueError(f"{answer} does not exist")
    return answer


def askAll():
    global FAULT
    given = {"input": ask("Input image file name", "input.mrc", existing)}
    FAULT = FAULT or os.path.basename(os.path.realpath(given["input"])).partition("__")[2].removesuffix(".mrc")
    with open(given["input"], "rb") as file:
        sections = struct.unpack("<3i", file.read(12))[2]
    given["sections"] = sections
    if sections > 1:
        given["movie"] = ask("Input is a movie (stack of frames)", "no", flag)
        if given["movie"]:
            given["frames"] = ask("Number of frames to average together", "1", number(1))
    given["output"] = ask("Output diagnostic image file name", "diagnostic_output.mrc")
    if FAULT == "hang":
        child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; sleep 600"])
        with open(os.environ["PIDS"], "w") as file:
            file.write(f"{os.getpid()} {child.pid}")
        print("Reading beam position : ", end="" if os.environ.get("BARE") else "\n", flush=True)
        time.sleep(600)
    while FAULT.startswith("flood"):
        text = {"flood": "still searching\n", "floodblank": " ", "floodask": "Pixel size : "}[FAULT]
        print(text * 4096, end="", flush=True)
    if FAULT == "full":
        with contextlib.suppress(OSError), open("spectrum.mrc", "wb") as file:
            while True:
                file.write(bytes(65536))
        sys.exit(1)
    if FAULT == "ask":
        ask("Colour of the sample holder", "blue")
    for text, default, low, high in (
        ("Pixel size", "1.0", 0, 1e9), ("Acceleration voltage", "300.0", 0, 1e9),
        ("Spherical aberration", "2.70", 0, 9), ("Amplitude contrast", "0.07", 0, 1),
        ("Size of amplitude spectrum to compute", "512", 128, 1e9),
        ("Minimum resolution", "30.0", 0, 50), ("Maximum resolution", "5.0", 0, 50),
        ("Minimum defocus", "5000.0", -1e9, 1e9), ("Maximum defocus", "50000.0", -1e9, 1e9),
        ("Defocus search step", "100.0", 1, 1e9),
    ):  # fmt: skip
        given[text] = ask(text, default, number(low, high))
    if VERSION.startswith("4.0"):
        given["astigmatism"] = ask("Expected (tolerated) astigmatism", "100.0", number())
        askPhase(given, "")
        return given
    known = ask("Do you know what astigmatism is present?", "no", flag)
    given["exhaustive"] = ask("Slower, more exhaustive search?", "no", flag)
    if known:
        ask("Known astigmatism", "0.0", number())
        ask("Known astigmatism angle", "0.0", number())
    elif ask("Use a restraint on astigmatism?", "no", flag):
        given["astigmatism"] = ask("Expected (tolerated) astigmatism", "200.0", number())
    askPhase(given, " (rad)")
    if VERSION.startswith("5"):
        askSample(given)
    if ask("Do you want to set expert options?", "no", flag):
        if ask("Resample micrograph if pixel size too small?", "yes", flag) and VERSION.startswith("5"):
            ask("Target pixel size after resampling", "1.4", number(0))
        ask("Do you already know the defocus?", "no", flag)
        if VERSION.startswith("5.1"):
            ask("Weight down low resolution signal?", "Yes", flag)
        ask("Desired number of parallel threads", "1", number(1))
    return given


def askSample(given):
    """With a phase search there is no question about tilt."""
    if "phase" not in given:
        given["tilt"] = ask("Determine sample tilt?", "No", flag)
        if given["tilt"] and os.environ.get("BUILD") == "other":
            ask("If initial tilt statistics is known?", "No", flag)
    if ask("Determine samnple thickness?", "No", flag):
        given["thickness"] = {
            "brute": ask("Use brute force 1D search?", "Yes", flag),
            "refine": ask("Use 2D refinement?", "Yes", flag),
            "low": ask("Low resolution limit for nodes", "30.0", number(0)),
            "high": ask("High resolution limit for nodes", "3.0", number(0)),
            "rounded": ask("Use rounded square for nodes?", "No", flag),
            "downweight": ask("Downweight nodes?", "No", flag),
        }


def askPhase(given, unit):
    if ask("Find additional phase shift?", "no", flag):
        low = ask(f"Minimum phase shift{unit}", "0.0", number(-3.15, 3.15))
        high = ask(f"Maximum phase shift{unit}", "3.15", number(-3.15, 3.15))
        given["phase"] = low, high, ask("Phase shift search step", "0.5", number(0, high - low))


def saveImage(path, side):
    header = struct.pack("<10i", side, side, 1, 2, 0, 0, 0, side, side, 1) + struct.pack("<3f", side, side, 1)
    header += bytes(12) + struct.pack("<3i", 1, 2, 3)
    header += bytes(208 - len(header)) + b"MAP \x44\x44\0\0"
    pixels = [float((row * column) % 17) for row in range(side) for column in range(side)]
    with open(path, "wb") as file:
        file.write(header + bytes(1024 - len(header)) + struct.pack(f"<{side * side}f", *pixels))


def save(given):
    stem = given["output"].removesuffix(".mrc")
    phase = given["phase"][0] if "phase" in given else 0.0
    row = [1, 16005.0, 15005.2, -60.08, phase, 0.85431, float(os.environ.get("RESOLUTION", "2.5"))]
    if VERSION.startswith("5"):
        tilt = [10.35, float("inf") if FAULT == "tilted" else 12.5] if given.get("tilt") else [0, 0]
        thickness = {"thin": -35.0, "huge": float("inf")}.get(FAULT, 841.41) if "thickness" in given else 0
        row += [*tilt, thickness]
    if FAULT == "constant":
        row[1:7] = 27500.0, 27500.0, 0.0, 0.0, float("inf"), 718.0
    if FAULT == "nan":
        row[2] = float("nan")
    if FAULT == "six":
        row = row[:6]
    if FAULT == "eight":
        row = row[:8]
    rows = [row] if FAULT != "empty" else []
    if given["sections"] > 1 and not given.get("movie"):
        rows = [[section + 1, 20000.0, *row[2:]] for section in range(given["sections"] - 1)] + [row]
    with open(f"{stem}.txt", "w") as file:
        file.write(f"# Output from CTFFind version {VERSION}\n# Input file: {given['input']}\n")
        file.write("# Pixel size: 1.000 Angstroms\n# Box size: 512 pixels\n# Columns: #1 - micrograph number\n")
        file.writelines(" ".join(f"{value:f}" for value in row) + "\n" for row in rows)
    with open(f"{stem}_avrot.txt", "w") as file:
        file.write("# Output\n" * 5)
        for curve in range(6):
            file.write(" ".join(f"{0.01 * sample + 0.1 * curve:14.5f}" for sample in range(40)) + "\n")
    saveImage(given["output"], 16)


def main():
    if any(word.startswith("--") for word in sys.argv[1:]):
        print(f"Unknown long option '{sys.argv[1].removeprefix('--')}'")
        sys.exit(255)
    print(BANNER.format(version=VERSION, mode="Interactive" if INTERACTIVE else "Scripted"), end="", flush=True)
    given = askAll()
    print(f"\nSummary information for file {given['input']}\nPixel size: 1.000 1.000 1.000\n", flush=True)
    if FAULT == "exit":
        stop("Opening of file failed!! - Exiting..")
    if FAULT == "memory":
        print("terminate called after throwing an instance of 'std::bad_alloc'", flush=True)
        os.abort()
    if FAULT != "nothing":
        save(given)
    print("      DFMID1      DFMID2      ANGAST          CC\n\n    14800.01    14800.01       35.00     0.39264\n")
    print("Estimated defocus values        : 16005.00 , 15005.20 Angstroms")
    print("Estimated azimuth of astigmatism: -60.08 degrees")
    if given.get("tilt"):
        print("Tilt_axis, tilt angle           : 10.35 , 12.50 degrees")
    if "thickness" in given:
        print("Estimated sample thickness      : 841.41 Angstroms")
    print("Score                           : \x1b[31m0.85431\x1b[0m")
    print("Thon rings with good fit up to  : 2.5 Angstroms")


if __name__ == "__main__":
    main()
