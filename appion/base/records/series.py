"""The columns of a run's series: one line for each stored exposure, with these fields and no others.

A field that is not known is left out. What is here is what a page, a table, a metric or an export may show.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The exposure that a line is of, and its name.
IMAGE, NAME = "image", "name"


@dataclass(frozen=True)
class Column:
    """One field of a line.

    Attributes:
        name: by which it stands in the line. words: what a person calls it.
        unit: as it is printed; empty for a number without one.
        digits: decimals that are worth printing; None: it is no number, or one that only counts or names something.
        median: whether a median of it says something: not of places, times and directions.
    """

    name: str
    words: str
    unit: str = ""
    digits: int | None = None
    median: bool = True


#: Of any exposure: what its rows tell of how it was taken, and when its result was stored.
TAKEN = (
    Column(IMAGE, "image", median=False),
    Column(NAME, "name", median=False),
    Column("exposed", "time of exposure", "s", 0, median=False),
    Column("stored", "time of result", "s", 0, median=False),
    Column("seconds_to_result", "from exposure to result", "s", 0),
    Column("preset", "preset", median=False),
    Column("target", "target", median=False),
    Column("grid", "grid", median=False),
    Column("stage_x", "stage x", "µm", 2, median=False),
    Column("stage_y", "stage y", "µm", 2, median=False),
    Column("stage_z", "stage z", "µm", 2, median=False),
    Column("stage_tilt", "stage tilt", "°", 2, median=False),
    Column("image_shift_x", "image shift x", "µm", 3, median=False),
    Column("image_shift_y", "image shift y", "µm", 3, median=False),
)

#: Of motion correction.
MOTION = (
    Column("drift", "drift", "Å", 1),
    Column("drift_early", "early drift", "Å", 1),
    Column("drift_late", "late drift", "Å", 1),
    Column("drift_jump", "largest jump", "Å", 2),
    Column("local_motion", "local motion", "Å", 2),
    Column("frames", "frames", "", 0),
    Column("dose", "dose", "e/Å²", 1),
    Column("counts", "counts per pixel and frame", "", 3),
)

#: Of CTF estimation.
CTF = (
    Column("defocus1", "smaller defocus", "Å", 0),
    Column("defocus2", "larger defocus", "Å", 0),
    Column("defocus", "defocus", "Å", 0),
    Column("defocus_error", "defocus found minus asked for", "Å", 0),
    Column("astigmatism", "astigmatism", "Å", 0),
    Column("astigmatism_axis", "axis of astigmatism", "°", 1, median=False),
    Column("phase_shift", "phase shift", "°", 1),
    Column("ctf_resolution", "resolution of the fit", "Å", 1),
    Column("resolution_80", "resolution at 0.8", "Å", 1),
    Column("resolution_50", "resolution at 0.5", "Å", 1),
    Column("confidence", "confidence", "", 2),
    Column("score", "score", "", 3),
    Column("tilt_angle", "tilt", "°", 1),
    Column("tilt_axis_angle", "tilt axis", "°", 1, median=False),
    Column("thickness", "thickness", "Å", 0),
    Column("ice_ring", "ice ring", "", 1),
    Column("spectrum", "picture of the spectrum", median=False),
)

#: All columns by name, in the order in which they are listed.
COLUMNS = {column.name: column for column in (*TAKEN, *MOTION, *CTF)}

#: Those that a person wants to hear of first.
HEADLINE = ("drift", "drift_jump", "ctf_resolution", "confidence", "astigmatism", "ice_ring", "seconds_to_result")
