"""A stand-in for Gctf: writes its log and its files, or does what the environment variable FAULT says."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.ctfestimation.fakectffind import saveImage

FAULT = os.environ.get("FAULT", "")
NAMES = ("rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY", "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")


def main() -> int:
    words = sys.argv[1:]
    print("Gctf_v1.06, Kai Zhang")
    if not words:
        return 0
    if FAULT == "gpu":
        print("CUDA error: no CUDA-capable device is detected")
        return 1
    micrograph = Path(next(word for word in words if word.endswith(".mrc")))
    stem = micrograph.stem
    while FAULT == "flood":
        with open(f"{stem}_gctf.log", "a") as file:
            file.write("still refining\n" * 65536)
    phase = "   90.00" if "--phase_shift_S" in words else ""
    shown = f"GPU {os.environ.get('CUDA_VISIBLE_DEVICES', 'any')}\n"
    names = "Defocus_U   Defocus_V       Angle         CCC\n"
    log = f"{shown}{names}  15000.0  14000.0   1.0  0.01\n{names}"
    if FAULT != "short":
        log += f"  15005.20  16005.00  29.92{phase}  0.141  Final Values\n\n"
    if "--do_EPA" in words:
        log += "Resolution limit estimated by EPA: \x1b[32mRES_LIMIT 3.25\x1b[0m\n"
    Path(f"{stem}_gctf.log").write_text("Processing done.\n" if FAULT == "empty" else log)
    saveImage(f"{stem}.ctf", 16)
    if "--do_local_refine" in words:
        rows = Path(f"{stem}_raster.star").read_text().split("#3\n")[1].splitlines()
        text = "\ndata_\n\nloop_\n" + "".join(f"_{name} #{number}\n" for number, name in enumerate(NAMES, 1))
        for row in rows:
            x, y, name = row.split()
            text += f"{name} {x} {y} {15000 + float(x):.1f} {16000 + float(y):.1f} 30.0\n"
        Path(f"{stem}_local.star").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
