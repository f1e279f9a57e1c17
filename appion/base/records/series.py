"""The columns of a run's series: one line for each stored exposure, with these fields and no others.

Steps of other packages bring columns of their own. A field that is not known is left out. What is here is what a page,
a table, a metric or an export may show.
"""

from __future__ import annotations

from appion.base.records.steps import HIGH, LOW, Column, loadSteps

#: The exposure that a line is of, and its name.
IMAGE, NAME = "image", "name"

#: Of any exposure: what its rows tell of how it was taken, and when its result was stored.
TAKEN = (
    Column(IMAGE, "image", median=False),
    Column(NAME, "name", median=False),
    Column("exposed", "time of exposure", "s", 0, median=False),
    Column("stored", "time of result", "s", 0, median=False),
    Column("seconds_to_result", "from exposure to result", "s", 0, better=LOW),
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
    Column("drift", "drift", "Å", 1, better=LOW),
    Column("drift_early", "early drift", "Å", 1, better=LOW),
    Column("drift_late", "late drift", "Å", 1, better=LOW),
    Column("drift_jump", "largest jump", "Å", 2, better=LOW),
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
    Column("astigmatism", "astigmatism", "Å", 0, better=LOW),
    Column("astigmatism_axis", "axis of astigmatism", "°", 1, median=False),
    Column("phase_shift", "phase shift", "°", 1),
    Column("ctf_resolution", "resolution of the fit", "Å", 1, better=LOW),
    Column("resolution_80", "resolution at 0.8", "Å", 1, better=LOW),
    Column("resolution_50", "resolution at 0.5", "Å", 1, better=LOW),
    Column("confidence", "confidence", "", 2, better=HIGH),
    Column("score", "score", "", 3, better=HIGH),
    Column("tilt_angle", "tilt", "°", 1),
    Column("tilt_axis_angle", "tilt axis", "°", 1, median=False),
    Column("thickness", "thickness", "Å", 0),
    Column("ice_ring", "ice ring", "", 1, better=LOW),
    Column("spectrum", "picture of the spectrum", median=False),
)

#: All columns of this package.
OWN = (*TAKEN, *MOTION, *CTF)

#: The steps of other packages, and why those that are left out are of no use.
STEPS, PROBLEMS = loadSteps([column.name for column in OWN])

#: All columns by name, in the order in which they are listed.
COLUMNS = {column.name: column for column in (*OWN, *(column for step in STEPS for column in step.columns))}

#: What is better low or high, of the numbers that have a better.
BETTER = {name: column.better for name, column in COLUMNS.items() if column.better}

#: Those that a person wants to hear of first.
HEADLINE = (
    "drift", "drift_jump", "ctf_resolution", "confidence", "astigmatism", "ice_ring", "seconds_to_result",
    *(name for name, column in COLUMNS.items() if column.headline),
)  # fmt: skip
