"""A stand-in for GCtfFind 1.1.2: says what it says, reads and writes what it does, and fails as it fails.

The environment variable VERSION changes its version; FAULT, or what follows ``__`` in the name of the micrograph, says
what is to go wrong: ``gpu`` and ``silent`` (no such GPU, with and without a word), ``crash`` (an input that cannot be
read: a header alone is left), ``unwritable``, ``nan``, ``negative``, ``rows``, ``short``, ``hang``.
"""

import os
import signal
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.ctfestimation.fakectffind import saveImage

VERSION = os.environ.get("VERSION", "1.1.2")
DEFAULTS = {
    "-InMrc": "", "-OutMrc": "", "-OutCtf": "", "-AngFile": "", "-kV": "300", "-Cs": "2.7", "-AmpContrast": "0.07",
    "-PixSize": "1.0", "-ExtPhase": "0 0", "-TileSize": "512", "-TiltRange": "0 0", "-LogSpect": "0",
    "-Serial": "1", "-InSuffix": "", "-Gpu": "0",
}  # fmt: skip
HEADER = "# Idx   tilt     dfMin      dfMax   azimuth extPhase  score    fileName\n"


def readTags(words: list[str]) -> dict[str, str]:
    """The first occurrence of a tag counts, in any letter case; others are passed over; texts are cut at 256 bytes."""
    found = dict(DEFAULTS)
    names = {name.lower(): name for name in DEFAULTS}
    seen = set()
    for position, word in enumerate(words):
        name = names.get(word.lower())
        if name is None or name in seen:
            continue
        seen.add(name)
        values = []
        for value in words[position + 1 :]:
            if value.startswith("-") and value.lower() in names:
                break
            values.append(value[:255])
        found[name] = " ".join(values[: 2 if " " in DEFAULTS[name] else 1])
    return found


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def main() -> int:
    words = sys.argv[1:]
    if not words:
        print("Use GCtfFind --help to get more information.")
        return 0
    if "--version" in words[0]:
        print(f"GCtfFind version {VERSION}, May 08, 2025")
        return 0
    if "--help" in words[0]:
        print("\n".join(DEFAULTS))
        return 0
    tags = readTags(words)
    for name, value in tags.items():
        print(f"{name:<15s}  {value}")
    source = Path(tags["-InMrc"])
    fault = os.environ.get("FAULT", "") or Path(os.path.realpath(source)).stem.partition("__")[2]
    if tags["-InMrc"] == tags["-OutMrc"]:
        print("Error: input and output are the same.", file=sys.stderr)
        return 1
    if fault == "gpu":
        print(f"Error: Invalid GPU ({tags['-Gpu']})")
        return 1
    if fault == "silent":
        return 1
    if fault == "hang":
        time.sleep(600)
    if tags["-Serial"] != "0":  # what a run of chance does: it looks for other files than this one
        print("0 images")
        return 0
    if fault == "unwritable":
        print(f"Error: cannot open {tags['-OutCtf']} for writing")
        return 0
    if fault == "crash" or not source.exists():
        Path(tags["-OutCtf"]).write_text(HEADER)
        sys.stdout.flush()
        crash()
    with open(source, "rb") as file:
        _, _, sections, mode = struct.unpack("<4i", file.read(16))
    if mode not in (0, 1, 2, 5, 6):
        crash()
    phase = float(tags["-ExtPhase"].split()[0])
    print(f"1D estimate: 15300.0 {phase:.2f} 0.1\n{source.stem}:  1 prcoessed, 0 left")
    row = [0.0, 15005.2, 16005.0, -60.08, phase, 0.141]
    if fault == "nan":
        row[2] = float("nan")
    if fault == "negative":
        row[1] = -10.0
    if fault == "short":
        row = row[:4]
    formats = ("{:6.2f}", "{:10.2f}", "{:10.2f}", "{:7.2f}", "{:7.2f}", "{:8.4f}")
    text = " ".join(form.format(value) for form, value in zip(formats, row, strict=False))
    rows = range(2 if fault == "rows" else sections)
    Path(tags["-OutCtf"]).write_text(HEADER + "".join(f"{number:4d}  {text}  {source.name}\n" for number in rows))
    saveImage(tags["-OutMrc"], 16)
    print("Total time:  0.3 (s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
