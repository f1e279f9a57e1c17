"""Pictures of single exposures for a report, small and inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appion.base.calc.numbers import formatNumber
from appion.base.calc.thumbnail import calcThumbnail
from appion.base.records.runfolder import thumbnailPath
from appion.export.micrographs import LeftOut, readFiles
from appion.export.session import Exposure

#: Longer side of a picture, pixels; the quality of a JPEG.
SIDE, QUALITY = 320, 70

#: How many of the best and of the worst are shown.
SHOWN = 6

#: By which number the best are chosen, the first that enough have; smaller is better.
CRITERIA = ("ctf_resolution", "drift")

#: What is told of each.
TOLD = ("drift", "ctf_resolution", "confidence", "defocus", "astigmatism", "ice_ring")


def chooseExtremes(exposures: Sequence[Exposure]) -> tuple[str, list[Exposure], list[Exposure]]:
    """Return by which number exposures are compared, the best, and the worst, the worst first; no exposure is both."""
    for criterion in CRITERIA:
        known = sorted((one for one in exposures if criterion in one.line), key=lambda one: one.line[criterion])
        if len(known) > 1:
            number = min(SHOWN, len(known) // 2)
            return criterion, known[:number], known[: -number - 1 : -1]
    return "", [], []


def constructCard(exposure: Exposure) -> dict[str, Any]:
    """Return what is shown of one exposure: name, numbers, pictures as data URIs (empty where there are none)."""
    numbers = [formatNumber(name, exposure.line[name]) for name in TOLD if name in exposure.line]
    pictures = {"micrograph": readMicrograph(exposure), "spectrum": readSpectrum(exposure)}
    return {"name": exposure.name, "numbers": numbers, **pictures}


def readMicrograph(exposure: Exposure) -> str:
    """Return the small picture that the run has of a micrograph, else one made of it; empty if there is neither."""
    if exposure.motion is not None:
        path = thumbnailPath(exposure.motion.rundir, exposure.name)
        if "/" not in exposure.name and path.is_file():
            return shrinkPicture(path)
    found = readFiles([exposure], LeftOut())
    try:
        import mrcfile

        return encodePicture(calcThumbnail(mrcfile.read(found[0].path), SIDE)) if found else ""
    except (OSError, ValueError):
        return ""


def readSpectrum(exposure: Exposure) -> str:
    """Return the picture of spectrum and fit; empty if there is none."""
    name = str(exposure.line.get("spectrum") or "")
    if exposure.ctfrun is None or not name or "/" in name:
        return ""
    path = Path(exposure.ctfrun.rundir) / "opimages" / name
    return shrinkPicture(path) if path.is_file() else ""


def shrinkPicture(path: Path) -> str:
    """Return a picture in grey as a data URI, made smaller if it is large; empty if it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("L", (2 * SIDE, 2 * SIDE))
            grey = image.convert("L")
            grey.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            return encodePicture(grey)
    except (OSError, ValueError):
        return ""


def encodePicture(image: Any) -> str:
    """Return grey levels, an array or a picture of Pillow, as the data URI of a JPEG."""
    from PIL import Image

    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
