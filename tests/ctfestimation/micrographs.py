"""Parameter records and images to start from."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from appion.base.records.program import Program
from appion.ctfestimation.records import CTFOptions, CTFOrigin, CTFParams, CTFTask


def makeParams(**changes: Any) -> CTFParams:
    """Return the parameters of a plausible micrograph with the given fields changed."""
    fields: dict[str, Any] = {
        "name": "26nov22a_02gr_012enn-a",
        "micrograph": "/leginon/rawdata/26nov22a_00002gr_00012enn-a.mrc",
        "input": "/leginon/rawdata/26nov22a_00002gr_00012enn-a.mrc",
        "dimension": (64, 48),
        "pixelsize": 1.06,
        "micrograph_pixelsize": 1.06,
        "voltage": 300.0,
        "cs": 2.7,
        "amplitude_contrast": 0.07,
        "fieldsize": 512,
        "resmin": 50.0,
        "resmax": 4.0,
        "defmin": 1000.0,
        "defmax": 40000.0,
        "defstep": 1000.0,
        "astigmatism": 500.0,
        "folder": "/appion/run1",
        "scratch": "/appion/run1/.appion/scratch/12",
        "program": Program("ctffind", "/opt/ctffind", "4.1.14"),
        "analyse": False,
    }
    return CTFParams(**{**fields, **changes})


def makeOrigin(**changes: Any) -> CTFOrigin:
    """Return the origin of the same micrograph with the given fields changed."""
    fields: dict[str, Any] = {
        "image_id": 12,
        "filename": "26nov22a_00002gr_00012enn-a",
        "session_id": 1,
        "rundir": "/appion/run1",
        "options": CTFOptions(),
        "defocus_init": 15000.0,
    }
    return CTFOrigin(**{**fields, **changes})


def makeTask(**changes: Any) -> CTFTask:
    """Return origin and parameters of a plausible micrograph, with the given parameters changed."""
    return CTFTask(makeOrigin(), makeParams(**changes))


def saveMicrograph(path: Path, image: np.ndarray | None = None) -> Path:
    """Write an image, of noise where none is given."""
    if image is None:
        image = np.random.default_rng(1).normal(100, 10, (48, 64))
    with warnings.catch_warnings(), mrcfile.new(path, overwrite=True) as mrc:
        warnings.simplefilter("ignore")  # of pixels that are not finite
        mrc.set_data(image.astype(np.float32))
    return path
