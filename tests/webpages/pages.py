"""What more than one page asks for: best CTF of each image, aligned image of a target, drift of an exposure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.webpages.filled import Filled, Row

#: How pages rank the rows of an image: numbers that are missing count as 999, the first row is the best.
RANK = (
    "IFNULL(c.ctffind4_resolution, 999), IFNULL(c.resolution_80_percent, 999), "
    "IFNULL(c.resolution_50_percent, 999), c.cross_correlation DESC"
)

#: The best row of every image of a session that is not tilted and that nobody has hidden, with what it refers to.
BEST = f"""
SELECT c.*, a.filename, p.name AS presetname, unix_timestamp(s.DEF_timestamp) AS unix_timestamp,
    `s`.`high tension` AS high_tension, a.DEF_timestamp AS taken, s.magnification,
    s.`REF|InstrumentData|tem` AS tem, a.`REF|CameraEMData|camera` AS camera,
    (c.defocus1 - c.defocus2) / 2 * cos(2 * radians(c.angle_astigmatism)) AS astig_x,
    (c.defocus1 - c.defocus2) / 2 * sin(2 * radians(c.angle_astigmatism)) AS astig_y
FROM (SELECT c.*, row_number() OVER (PARTITION BY c.`REF|leginondata|AcquisitionImageData|image` ORDER BY {RANK}) AS place
      FROM ApCtfData c) c
LEFT JOIN leginondb.AcquisitionImageData a ON c.`REF|leginondata|AcquisitionImageData|image` = a.DEF_id
LEFT JOIN leginondb.PresetData p ON a.`REF|PresetData|preset` = p.DEF_id
LEFT JOIN leginondb.ScopeEMData s ON a.`REF|ScopeEMData|scope` = s.DEF_id
LEFT JOIN leginondb.ViewerImageStatus v ON v.`REF|AcquisitionImageData|image` = a.DEF_id
WHERE c.place = 1 AND a.`REF|SessionData|session` = %s AND abs(s.`SUBD|stage position|a`) < 0.9
    AND (v.status IS NULL OR v.status NOT IN ('hidden', 'trash'))
ORDER BY a.DEF_id
"""  # noqa: E501


def readBest(filled: Filled) -> list[Row]:
    """Return the best CTF of each image of the session."""
    return filled.read(BEST, filled.session_id)


def readViewerRow(filled: Filled, image_id: int) -> Row | None:
    """Return what the image viewer shows beside an image: its newest best row that has a picture, of a run in sight."""
    rows = filled.read(
        "SELECT c.*, r.name AS runname, q.path, s.defocus AS nominal "
        "FROM ApCtfData c "
        "LEFT JOIN ApAceRunData r ON c.`REF|ApAceRunData|acerun` = r.DEF_id "
        "LEFT JOIN ApPathData q ON r.`REF|ApPathData|path` = q.DEF_id "
        "LEFT JOIN leginondb.AcquisitionImageData a ON c.`REF|leginondata|AcquisitionImageData|image` = a.DEF_id "
        "LEFT JOIN leginondb.ScopeEMData s ON a.`REF|ScopeEMData|scope` = s.DEF_id "
        "WHERE a.DEF_id = %s AND c.graph1 IS NOT NULL AND (r.hidden IS NULL OR r.hidden = 0) "
        f"ORDER BY {RANK} LIMIT 1",
        image_id,
    )
    return rows[0] if rows else None


def findImage(filled: Filled, image_id: int, preset: str) -> int | None:
    """Return the newest image of a preset that was taken at the target of an image."""
    rows = filled.read(
        "SELECT b.DEF_id AS id FROM leginondb.AcquisitionImageData a "
        "JOIN leginondb.AcquisitionImageData b ON b.`REF|AcquisitionImageTargetData|target` = "
        "a.`REF|AcquisitionImageTargetData|target` "
        "JOIN leginondb.PresetData p ON b.`REF|PresetData|preset` = p.DEF_id "
        "WHERE a.DEF_id = %s AND p.name = %s ORDER BY b.DEF_id DESC LIMIT 1",
        image_id, preset,
    )  # fmt: skip
    return rows[0]["id"] if rows else None


def readDrift(filled: Filled, image_id: int) -> list[tuple[float, float]]:
    """Return the trajectory of an exposure, pixels of the aligned image, as the drift graph of one of its results does.

    The results of the exposure share one trajectory row; the text of a sequence loses its first and last character and
    is split at commas. Where there is no row, the run folder's log in the format of motioncorr is read.
    """
    rows = filled.read(
        "SELECT t.`SEQ|pos_x` AS x, t.`SEQ|pos_y` AS y FROM ApDDAlignImagePairData mine "
        "JOIN ApDDAlignImagePairData every ON every.`REF|leginondata|AcquisitionImageData|source` = "
        "mine.`REF|leginondata|AcquisitionImageData|source` "
        "JOIN ApDDFrameTrajectoryData t ON t.`REF|leginondata|AcquisitionImageData|image` = "
        "every.`REF|leginondata|AcquisitionImageData|result` "
        "WHERE mine.`REF|leginondata|AcquisitionImageData|result` = %s ORDER BY t.DEF_id DESC LIMIT 1",
        image_id,
    )
    if rows:
        x, y = ([float(word) for word in rows[0][name][1:-1].split(",")] for name in "xy")
        return list(zip(x, y, strict=True))
    return readDriftLog(findDriftLog(filled, image_id))


def findDriftLog(filled: Filled, image_id: int) -> Path:
    """Return where the drift graph looks for the log of the exposure that an aligned image was made of."""
    row = filled.readOne(
        "SELECT q.path, a.filename, s.align, s.bin FROM ApDDAlignImagePairData p "
        "LEFT JOIN leginondb.AcquisitionImageData a ON p.`REF|leginondata|AcquisitionImageData|source` = a.DEF_id "
        "LEFT JOIN ApDDStackRunData r ON p.`REF|ApDDStackRunData|ddstackrun` = r.DEF_id "
        "LEFT JOIN ApPathData q ON r.`REF|ApPathData|path` = q.DEF_id "
        "LEFT JOIN ApDDStackParamsData s ON r.`REF|ApDDStackParamsData|params` = s.DEF_id "
        "WHERE p.`REF|leginondata|AcquisitionImageData|result` = %s",
        image_id,
    )
    assert (row["align"], row["bin"]) == (1, 1)
    return Path(row["path"]) / f"{row['filename']}_st_Log.txt"


def readDriftLog(path: Path) -> list[tuple[float, float]]:
    """Return the shifts of a log: first and last number after the words, from the line of the sum on."""
    text = path.read_text()
    lines = text[text.index("Sum Frame"):].splitlines()
    shifts = [line.partition("with xy shift:")[2].split(" ") for line in lines if "with xy shift:" in line]
    return [(float(words[1]), float(words[-1])) for words in shifts]


def readPixelSize(filled: Filled, image_id: int) -> float:
    """Return the pixel size of an image in Å: the newest calibration that was there when it was taken, times binning.

    Instruments and magnification are those of its scope and camera rows.
    """
    rows = filled.read(
        "SELECT k.pixelsize * c.`SUBD|binning|x` * 1e10 AS pixelsize FROM leginondb.AcquisitionImageData a "
        "JOIN leginondb.ScopeEMData s ON a.`REF|ScopeEMData|scope` = s.DEF_id "
        "JOIN leginondb.CameraEMData c ON a.`REF|CameraEMData|camera` = c.DEF_id "
        "JOIN leginondb.PixelSizeCalibrationData k ON k.magnification = s.magnification "
        "AND k.`REF|InstrumentData|tem` = s.`REF|InstrumentData|tem` "
        "AND k.`REF|InstrumentData|ccdcamera` = c.`REF|InstrumentData|ccdcamera` "
        "AND k.DEF_timestamp <= a.DEF_timestamp WHERE a.DEF_id = %s ORDER BY k.DEF_id DESC LIMIT 1",
        image_id,
    )
    return rows[0]["pixelsize"]


def findNext(names: list[str], base: str) -> int:
    """Return the number that a form gives the next run: one more than the highest of the runs called base + number."""
    found = [re.fullmatch(rf"{base}(\d+)", name) for name in names]
    return 1 + max((int(match[1]) for match in found if match), default=0)


def readColumns(filled: Filled, table: str, database: str = "ap1") -> list[Row]:
    """Return name and type of the columns of a table; nothing if there is no such table."""
    return filled.read(
        "SELECT column_name AS name, column_type AS type FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        database, table,
    )  # fmt: skip


def isSet(value: Any) -> bool:
    """Whether a reference refers to anything: neither NULL nor 0."""
    return value not in (None, 0)
