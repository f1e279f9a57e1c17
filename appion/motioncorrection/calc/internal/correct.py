"""From raw frames to motion-corrected sums, holding one frame at full size at a time, and the next one as it is read.

The frames are gone through three times: to find defective pixels in their sum, to collect the low frequencies that the
alignment needs, and to add them up in register. Reading again is cheaper than keeping them as floats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from appion.motioncorrection.calc.internal import (
    align,
    bands,
    detect,
    doseweight,
    fourier,
    integration,
    localfit,
    oddframes,
    warp,
)
from appion.motioncorrection.calc.internal.field import Field, selectOrders
from appion.motioncorrection.calc.internal.threads import Threads

#: Local motion of so many pixels is none: the frames are moved in Fourier space, which loses nothing.
NEGLIGIBLE = 0.02
#: So many frames are added at a time, if their transforms take no more bytes.
TOGETHER, TOGETHER_BYTES = 4, 400 << 20
Report = Callable[[str], None]


@dataclass(frozen=True)
class Correction:
    """What to do with the frames.

    Attributes:
        shape: (rows, columns) of a frame. nframes: how many there are.
        gain, dark: of that shape, float32, or None. defects: mask or None.
        bin: factor of the Fourier cropping of the sums. group: frames aligned as one.
        bfactor, iterations, tolerance: see :func:`align.alignFrames`. align: False adds the frames as they are.
        patches: (across, down) as which local motion is looked for, see :func:`field.selectOrders`; (0, 0) for none.
        reference: index of the frame whose shift and local motion are 0.
        exposures: e/Å² received by the end of each frame, or None for no dose weighting; pixelsize in Å, kv.
        sumrange: (from, to) e/Å² of a second weighted sum, or None.
        first: number of the first frame, for messages. leave_out_odd: whether odd frames are left out, see
            :mod:`oddframes`; their shifts lie between those of their neighbours.
        threads: how many to use.
    """

    shape: tuple[int, int]
    nframes: int
    gain: np.ndarray | None = None
    dark: np.ndarray | None = None
    defects: np.ndarray | None = None
    bin: float = 1.0
    group: int = 1
    bfactor: float = 500.0
    iterations: int = 7
    tolerance: float = 0.5
    align: bool = True
    patches: tuple[int, int] = (0, 0)
    reference: int = 0
    exposures: np.ndarray | None = None
    pixelsize: float = 0.0
    kv: float = 300.0
    sumrange: tuple[float, float] | None = None
    first: int = 1
    leave_out_odd: bool = False
    threads: int = 1


@dataclass(frozen=True)
class Corrected:
    """Shifts (frames, 2), (x, y) pixels of the input, applied to the frames, and the sums (rows, columns) float32.

    `field` is what was applied beyond the shifts, None where there was no local motion or none was looked for.
    """

    shifts: np.ndarray
    field: Field | None
    total: np.ndarray
    weighted: np.ndarray | None
    ranged: np.ndarray | None
    hot: int
    dead: int


def correctMovie(readFrames: Callable[[], Iterable[np.ndarray]], correction: Correction,
                 report: Report = align.beSilent) -> Corrected:
    """Correct a movie whose frames `readFrames()` yields from the first to the last, each time it is called.

    Raises:
        ImageFailure: its frames, or its pixels, are such that there is no sum.
    """
    with Threads(correction.threads) as pool:
        report("Detect bad and hot pixels.")
        statistics: list[oddframes.FrameStatistics] = []
        total = _sumFrames(readFrames(), correction, pool, statistics)
        odd = oddframes.findOddFrames(statistics)
        for line in oddframes.describeOddFrames(odd, correction.first):
            report(f"Warning: {line}{' (left out)' if correction.leave_out_odd else ''}")
        usable = oddframes.selectUsable(odd, correction.nframes, correction.first, correction.leave_out_odd)
        if len(usable) < correction.nframes:
            return _correctUsable(readFrames, usable, correction, report)
        mask, hot, dead = _findDefects(total, correction, pool)
        del total
        report(f"Hot pixels: {hot}, dead pixels: {dead}, all defective pixels: {np.count_nonzero(mask)}\n")
        shifts, field, filler = np.zeros((correction.nframes, 2)), None, detect.Filler(mask)
        if correction.align:
            shifts, field = _alignMovie(readFrames(), filler, correction, report, pool)
        sums = _addFrames(readFrames(), filler, shifts, field, correction, pool)
    return Corrected(shifts, field, *sums, hot=hot, dead=dead)


def _correctUsable(readFrames: Callable[[], Iterable[np.ndarray]], usable: list[int], correction: Correction,
                   report: Report) -> Corrected:
    """Correct a movie of some of its frames; the others get shifts between those of their neighbours."""
    wanted, exposures = set(usable), correction.exposures

    def readUsable() -> Iterator[np.ndarray]:
        return (frame for i, frame in enumerate(readFrames()) if i in wanted)

    nearest = int(np.argmin(np.abs(np.array(usable) - correction.reference)))
    chosen = replace(correction, nframes=len(usable), leave_out_odd=False, reference=nearest,
                     exposures=None if exposures is None else exposures[usable])
    corrected = correctMovie(readUsable, chosen, lambda line: None if line.startswith("Warning: ") else report(line))
    at = np.arange(correction.nframes)

    def spread(values: np.ndarray) -> np.ndarray:
        columns = values.reshape(len(usable), -1).T
        return np.stack([np.interp(at, usable, column) for column in columns], axis=1).reshape(-1, *values.shape[1:])

    field = corrected.field
    return replace(corrected, shifts=spread(corrected.shifts),
                   field=field and replace(field, coefficients=spread(field.coefficients)))


def correctPixels(frame: np.ndarray, correction: Correction, where) -> np.ndarray:
    """Return (frame - dark) * gain as float32 for some rows (a slice) or pixels (a tuple of two index arrays)."""
    image = frame[where].astype(np.float32)
    if correction.dark is not None:
        image -= correction.dark[where]
    if correction.gain is not None:
        image *= correction.gain[where]
    return image


def _transformFrames(frames: Iterable[np.ndarray], filler: detect.Filler, ncolumns: int, correction: Correction,
                     pool: Threads, mover: warp.Mover | None = None, kept: int = 1) -> Iterator[np.ndarray]:
    """Yield each frame, corrected and filled, with its rows transformed: `kept` arrays (`ncolumns`, rows) in turn.

    `mover` resamples the frame, number i of them, before it is transformed.
    """
    rows, columns = filler.pixels
    buffers = [np.empty((ncolumns, correction.shape[0]), np.complex64) for _ in range(kept)]
    for i, frame in enumerate(pool.readAhead(frames)):
        values = correctPixels(frame, correction, filler.drawDonors(i))

        def prepare(block: slice, frame: np.ndarray = frame, values: np.ndarray = values) -> np.ndarray:
            image = correctPixels(frame, correction, block)
            first, last = np.searchsorted(rows, (block.start, block.stop))
            image[rows[first:last] - block.start, columns[first:last]] = values[first:last]
            return image

        fourier.transformRows(mover.move(i, prepare, pool) if mover else prepare, buffers[i % kept], pool)
        yield buffers[i % kept]


def _sumFrames(frames: Iterable[np.ndarray], correction: Correction, pool: Threads,
               statistics: list[oddframes.FrameStatistics]) -> np.ndarray:
    """Return the sum of the frames as they are, float32, and append what each is like to `statistics`."""
    total = np.zeros(correction.shape, np.float32)
    for frame in pool.readAhead(frames):
        statistics.append(oddframes.calcStatistics(frame))

        def add(rows: slice, frame: np.ndarray = frame) -> None:
            with np.errstate(over="ignore", invalid="ignore"):  # a frame may hold no numbers
                total[rows] += frame[rows]

        fourier.runBlocks(pool, len(total), fourier.ROWS, add)
    return total


def _findDefects(total: np.ndarray, correction: Correction, pool: Threads) -> tuple[np.ndarray, int, int]:
    """Return the mask of defective pixels, how many hot and how many dead ones were found; `total` is changed."""
    if correction.dark is not None:
        total -= correction.nframes * correction.dark
    known = correction.defects
    if correction.gain is not None:
        total *= correction.gain
        unseen = ~(np.isfinite(correction.gain) & (correction.gain > 0))
        known = unseen if known is None else known | unseen
    return detect.detectDefects(total, known, pool=pool)


def _alignMovie(frames: Iterable[np.ndarray], filler: detect.Filler, correction: Correction, report: Report,
                pool: Threads) -> tuple[np.ndarray, Field | None]:
    shape = correction.shape
    size = bands.calcGroupSize(shape, correction.bfactor, correction.nframes, correction.group)
    groups = integration.calcAlignGroups(correction.nframes, size)
    cropped = bands.calcBandShape(shape, correction.bfactor, len(groups))
    if size > correction.group:
        report(f"Frames are aligned in groups of {size}: so many would take too much memory one by one.")
    if cropped != bands.calcBandShape(shape, correction.bfactor):
        report(f"Frequencies up to {cropped[0] / shape[0] / 2:.2f} cycles per pixel are compared, to save memory.")
    transforms = np.zeros((len(groups), cropped[0], cropped[1] // 2 + 1), np.complex64)
    owners = [owner for owner, (first, last) in enumerate(groups) for _ in range(first, last)]
    images = _transformFrames(frames, filler, transforms.shape[2], correction, pool)
    for owner, image in zip(owners, images, strict=True):
        fourier.cropColumns(image, transforms[owner], pool)
    report("Full-frame alignment has been started.")
    band = bands.Band(transforms, fourier.calcFrequencies(shape, cropped), cropped)
    found = align.alignFrames(band, shape, correction.bfactor, correction.iterations, correction.tolerance, report,
                              pool)
    shifts = spreadShifts(found, groups)
    origin = shifts[correction.reference]
    if min(correction.patches) < 2:
        return shifts - origin, None
    report("\nPatch based alignment has been started.")
    field = localfit.fitField(band, shape, found - origin, correction.bfactor, selectOrders(correction.patches), report,
                              pool)
    coefficients = spreadShifts(field.coefficients.reshape(len(found), -1), groups)
    coefficients = (coefficients - coefficients[correction.reference]).reshape(-1, *field.coefficients.shape[1:])
    field = replace(field, coefficients=coefficients)
    largest = field.calcRange()
    if largest < NEGLIGIBLE:
        report("Local motion: none was found.")
        return shifts - origin, None
    report(f"Local motion: {largest:.2f} pixels at most.")
    return shifts - origin, field


def spreadShifts(shifts: np.ndarray, groups: list[tuple[int, int]]) -> np.ndarray:
    """Return the frames' shifts (or other numbers, one row each) from those of groups.

    They lie on lines between the groups' centres, carried on at the ends.
    """
    nframes = groups[-1][1]
    if len(groups) == nframes:
        return shifts
    if len(groups) == 1:
        return np.repeat(shifts, nframes, axis=0)
    centres = np.array([(first + last - 1) / 2 for first, last in groups])
    at = np.arange(nframes)
    left = np.clip(np.searchsorted(centres, at, side="right") - 1, 0, len(centres) - 2)
    part = (at - centres[left]) / (centres[left + 1] - centres[left])
    return shifts[left] + part[:, None] * (shifts[left + 1] - shifts[left])


def _addFrames(frames: Iterable[np.ndarray], filler: detect.Filler, shifts: np.ndarray, field: Field | None,
               correction: Correction, pool: Threads) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    shape = correction.shape
    binned = fourier.calcCroppedShape(shape, correction.bin)
    frequencies = fourier.calcFrequencies(shape, binned)
    half = binned[1] // 2 + 1, binned[0]
    exposures, decay, inrange = correction.exposures, None, np.zeros(len(shifts), bool)
    if exposures is not None:
        decay = doseweight.calcDecay(binned, correction.pixelsize * shape[0] / binned[0], correction.kv, pool)
        if correction.sumrange is not None:
            inrange = (exposures >= correction.sumrange[0]) & (exposures <= correction.sumrange[1])
    total = np.zeros(half, np.complex64)
    weighted = np.zeros(half, np.complex64) if decay is not None else None
    ranged = np.zeros(half, np.complex64) if inrange.any() else None
    mover = None
    if field is not None:
        mover = warp.Mover(shape, shifts, field.calcDisplacements)
        shifts = np.zeros_like(shifts)
    kept = max(1, min(TOGETHER, TOGETHER_BYTES // (8 * half[0] * shape[0])))
    weights = [one for one in (weighted, ranged) if one is not None]
    images = _transformFrames(frames, filler, half[0], correction, pool, mover, kept)
    waiting: list[fourier.Moved] = []
    for i, (image, shift) in enumerate(zip(images, shifts, strict=True)):
        wanted = (True, bool(inrange[i]))[: len(weights)]
        waiting.append(fourier.Moved(image, shift, 0.0 if exposures is None else exposures[i], wanted))
        if len(waiting) == kept or i == len(shifts) - 1:
            fourier.addColumns(waiting, total, weights, frequencies, decay, pool)
            waiting.clear()
    scale = np.float32(binned[0] * binned[1] / (shape[0] * shape[1]))

    def finish(transform: np.ndarray, exposed: np.ndarray | None) -> np.ndarray:
        if exposed is not None and decay is not None:
            doseweight.normalizeWeighted(transform, decay, exposed, pool)
        transform *= scale
        if mover is not None:
            warp.restore(transform.T, frequencies)
        return fourier.calcImage(transform, binned, pool)

    return (finish(total, None), None if weighted is None else finish(weighted, exposures),
            None if ranged is None or exposures is None else finish(ranged, exposures[inrange]))
