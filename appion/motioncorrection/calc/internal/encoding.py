"""What was computed of an exposure, from the plain dictionaries of the journal, also of earlier versions."""

from __future__ import annotations

from typing import Any

from appion.base.records.task import decodeComputed
from appion.motioncorrection.records import (
    ComputedCorrection,
    MotionCorrectionOptions,
    MotionCorrectionOrigin,
    MotionCorrectionResult,
)


def decodeResult(record: dict[str, Any]) -> ComputedCorrection:
    """Return what `encodeComputed` made the record from; fields that are not there get their default.

    Raises:
        ValueError: the dictionary is not the record of a result.
    """
    return decodeComputed(record, MotionCorrectionOrigin, MotionCorrectionResult, upgradeRecord)


def decodeOptions(record: dict[str, Any]) -> MotionCorrectionOptions:
    """Return the options that the result of a record was asked for with; ValueError as :func:`decodeResult`."""
    return decodeResult(record).result.params.options


def upgradeRecord(record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return origin and result, as dictionaries, of a record in which everything stood among the parameters.

    It was called `high_tension` what is `voltage` now, the picture to compare with followed from `image_path`, and the
    names of the files from `rundir`.
    """
    before = record["params"]
    origin = {name: before[name] for name in (
        "image_id", "filename", "session_id", "rundir", "image_path", "preset", "camera_dimension", "camera_binning",
    )}  # fmt: skip
    origin["references"] = {
        "gain": before.get("gain", ""),
        "dark": before.get("dark_source", ""),
        "dark_nframes": before.get("dark_nframes", 0),
        "defects": before.get("defects", {}),
    }
    origin["other_movies"] = before.get("other_movies", ())
    origin["stored_names"] = record.get("stored_names", ())
    columns, rows = before["camera_dimension"]
    params = {
        **before,
        "name": before["filename"],
        "voltage": before["high_tension"],
        "scratch": f"{before['scratch']}/{before['image_id']}",
        "frame_shape": (columns, rows) if before["frame_rotate"] % 2 else (rows, columns),
        "picture": f"{before['image_path']}/{before['filename']}.mrc" if before.get("check_orientation") else "",
        "files": {
            "sum": record["sum_file"],
            "weighted": f"{before['rundir']}/{before['filename']}_c-DW.mrc",
            "shift_log": record["log_file"],
            "program_log": record["program_log_file"],
        },
    }
    return origin, {**record, "params": params}
