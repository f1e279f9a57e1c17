"""The short name that the files of an image in the run folder begin with, by classic Appion's rules."""

from __future__ import annotations

import re

#: A classic session name (two digits, month, two digits, letter) at the start, and the grid that follows somewhere.
SESSION_AND_GRID = re.compile(r"^(\d\d[a-z]{3}\d\d[^_]*_).*?(?<!\d)(0\d+gr)")
VERSION = re.compile(r"_v\d\d")
ZEROS = re.compile(r"_0{2,}(?=[1-9])")
TILT_GROUP = re.compile(r"_\d+(?=_\d+en)")


def constructShortName(filename: str) -> str:
    """Return the short name of an image.

    Without its folder: what stands between session and grid goes, and so do versions like ``_v01`` and the first tilt
    group before the exposure number; all but one of the zeros that lead a number, doubled and trailing underscores. A
    name of which nothing would be left is returned as it is.

    Different images can have the same short name, as two versions of one target do: whoever needs names apart has to
    compare them.
    """
    name = filename.rpartition("/")[2].removesuffix(".mrc")
    short = SESSION_AND_GRID.sub(r"\1\2", name)
    short = VERSION.sub("", short)
    short = ZEROS.sub("_0", short)
    short = TILT_GROUP.sub("", short, count=1)
    short = re.sub("_{2,}", "_", short).rstrip("_")
    return short or name
