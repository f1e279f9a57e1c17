"""The numbers of a corrected exposure: how far the specimen moved, and what fell on it."""

from __future__ import annotations

from collections.abc import Sequence

from appion.motioncorrection.calc.internal.frames import EER_FACTORS, calcFrameSelection, isIntegrated
from appion.motioncorrection.calc.internal.trajectory import calcSteps
from appion.motioncorrection.records import ComputedCorrection, MotionCorrectionParams

#: Dose (e/Å²) up to which drift is early: RELION's default (`relion_run_motioncorr --dose_motionstats_cutoff`).
EARLY_DOSE = 4.0

#: What may be put down to binary fractions where doses are compared, e/Å².
ROUNDING = 1e-6


def calcNumbers(computed: ComputedCorrection) -> dict[str, float | None]:
    """Return the numbers of an exposure as fields of a line (:mod:`appion.base.records.series`); None: not known.

    Drift is the length of the path of the whole frames, Å of the specimen; patches have no part in it: theirs is the
    local motion. `frames` are those that were summed, after the camera's frames were grouped; `dose` is what they got,
    e/Å².
    """
    result = computed.result
    params = result.params
    steps = [step * calcSumPixelSize(params) for step in calcSteps(result.positions)]
    first, last = calcRawRange(params)
    frames = countFrames(params, len(result.positions))
    doses = calcDoses(params, len(result.positions))
    early = calcEarlyDrift(steps, doses) if doses and steps else None
    return {
        "drift": sum(steps) if steps else None,
        "drift_early": early,
        "drift_late": None if early is None else sum(steps) - early,
        "drift_jump": max(steps, default=None),
        "local_motion": None if result.local_motion is None else result.local_motion * calcFramePixelSize(params),
        "frames": frames,
        "dose": params.totaldose * (last - first) / params.nframes if params.totaldose else None,
        "counts": None if result.mean is None else result.mean / frames,
    }


def calcEarlyDrift(steps: Sequence[float], doses: Sequence[float]) -> float:
    """Return the length of the steps that end while the specimen has got no more than :data:`EARLY_DOSE`.

    RELION calls a step early if the number of the frame that it leads to, counted from 1, is no more than that dose
    divided by the dose of a frame.

    Args:
        steps: from each frame to the next. doses: that the specimen has got at the end of each frame, e/Å².
    """
    return sum(step for step, dose in zip(steps, doses[1:], strict=True) if isEarly(dose))


def isEarly(dose: float) -> bool:
    """Return whether a frame that ends with this dose (e/Å²) is an early one."""
    return dose <= EARLY_DOSE + ROUNDING


def calcSumPixelSize(params: MotionCorrectionParams) -> float:
    """Return the pixel size (Å) of the sum, in whose pixels positions are."""
    return params.pixelsize * params.options.bin


def calcFramePixelSize(params: MotionCorrectionParams) -> float:
    """Return the pixel size (Å) of the rendered frames, in whose pixels shifts are."""
    return params.pixelsize / (EER_FACTORS[params.options.eer_sampling] if params.is_eer else 1)


def calcRawRange(params: MotionCorrectionParams) -> tuple[int, int]:
    """Return the first frame of the camera that is used, counted from 0, and that after the last."""
    start, number = params.options.startframe, params.options.nframe
    return start, params.nframes if number is None else min(params.nframes, start + number)


def countFrames(params: MotionCorrectionParams, positions: int) -> int:
    """Return how many frames are summed: as asked for, or all that the program tells of if the movie had more."""
    options = params.options
    integrated = isIntegrated(params.is_eer, options.rendered_frame_size)
    chosen = calcFrameSelection(
        params.nframes, options.rendered_frame_size, integrated, options.startframe, options.nframe
    )
    return max(chosen.used, positions)


def calcDoses(params: MotionCorrectionParams, number: int) -> list[float]:
    """Return the dose (e/Å²) at the end of each of `number` frames, which are equal parts of what is used."""
    if not params.totaldose:
        return []
    first, last = calcRawRange(params)
    of_one = params.totaldose / params.nframes
    return [of_one * (first + (last - first) * (index + 1) / number) for index in range(number)]
