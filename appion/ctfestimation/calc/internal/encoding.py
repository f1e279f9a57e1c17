"""What was found for a micrograph, from the plain dictionaries of the journal, also of earlier versions."""

from __future__ import annotations

import math
from typing import Any

from appion.base.records.task import decodeComputed
from appion.ctfestimation.calc.internal.convention import convertMicrons
from appion.ctfestimation.records import ComputedCTF, CTFOptions, CTFOrigin, CTFResult


def decodeResult(record: dict[str, Any]) -> ComputedCTF:
    """Return what `encodeComputed` made the record from; fields that are not there get their default.

    Raises:
        ValueError: the dictionary is not the record of a result.
    """
    return decodeComputed(record, CTFOrigin, CTFResult, upgradeRecord)


def decodeOptions(record: dict[str, Any]) -> CTFOptions:
    """Return the options that the result of a record was asked for with; ValueError as :func:`decodeResult`."""
    return decodeResult(record).origin.options


def upgradeRecord(record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return origin and result, as dictionaries, of a record in which everything stood among the parameters.

    There, defoci and the centre of the search were in m, the phase shift in radians, and lengths among the options in
    µm. Metres are brought to what programs print, without what binary fractions add.
    """
    before, options = record["params"], dict(record["params"]["options"])
    for name in ("defstep", "dast"):
        if name in options:
            options[name] = convertMicrons(options[name])
    if options.get("nominal") is not None:
        options["nominal"] *= 1e4
    origin = {name: before[name] for name in ("image_id", "filename", "session_id", "rundir")}
    origin |= {"options": options, "defocus_init": round(before["defocus_init"] * 1e10, 6)}
    params = {
        **before,
        "name": before["short"],
        "micrograph_pixelsize": before["image_pixelsize"],
        "voltage": before["high_tension"],
        "folder": before["rundir"],
        "scratch": f"{before['scratch']}/{before['image_id']}",
    }
    result = {
        **record,
        "params": params,
        "defocus1": round(record["defocus1"] * 1e10, 6),
        "defocus2": round(record["defocus2"] * 1e10, 6),
        "extra_phase_shift": math.degrees(record["extra_phase_shift"]),
    }
    return origin, result
