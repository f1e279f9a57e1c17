"""Paths in the Appion database."""

from __future__ import annotations

import os

import sinedon
from sinedon.models import appiondata


def savePathData(path: str | os.PathLike[str]) -> int:
    """Return the id of the `ApPathData` row of a path made absolute, so without a trailing slash; found or inserted."""
    return sinedon.insertRow(appiondata.ApPathData, path=os.path.abspath(path)).def_id
