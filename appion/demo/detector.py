"""A simulated counting camera: gain reference, dead and hot pixels, frames turned and flipped, electrons counted.

Leginon shows images in its own orientation; the frames of a movie leave the camera otherwise. With the camera's
`frame flip` f and `frame rotate` k (quarter turns), an image G in Leginon's orientation is flipud_if_f(rot90(G, -k)) in
the frames, rows in the order of an MRC file, and rot90(flipud_if_f(raw), k) leads back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Detector:
    """A camera, everything in Leginon's orientation.

    Attributes:
        gain: gain reference, (rows, columns), mean about 1: corrected = raw x gain.
        frame_flip, frame_rotate: how frames differ from Leginon's orientation.
        bad_rows, bad_cols: lines that never count; a corrector plan lists them.
        dead: (x, y) of single pixels that never count; a corrector plan lists them.
        hot: (x, y) of pixels that always count; no list knows them.
        hot_rate: counts of a hot pixel per frame.
    """

    gain: np.ndarray
    frame_flip: bool = False
    frame_rotate: int = 0
    bad_rows: tuple[int, ...] = ()
    bad_cols: tuple[int, ...] = ()
    dead: tuple[tuple[int, int], ...] = ()
    hot: tuple[tuple[int, int], ...] = ()
    hot_rate: float = field(default=40.0)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) in Leginon's orientation."""
        return self.gain.shape

    @property
    def raw_shape(self) -> tuple[int, int]:
        """(rows, columns) of a frame."""
        return self.shape[::-1] if self.frame_rotate % 2 else self.shape


def convertToRaw(image: np.ndarray, frame_flip: bool, frame_rotate: int) -> np.ndarray:
    """Return `image` (Leginon's orientation) as it lies in the frames."""
    raw = np.rot90(image, -frame_rotate)
    return np.ascontiguousarray(np.flipud(raw) if frame_flip else raw)


def convertToLeginon(raw: np.ndarray, frame_flip: bool, frame_rotate: int) -> np.ndarray:
    """Return `raw` (as it lies in the frames) in Leginon's orientation."""
    return np.ascontiguousarray(np.rot90(np.flipud(raw) if frame_flip else raw, frame_rotate))


def convertAxisToLeginon(angle: float, frame_flip: bool, frame_rotate: int) -> float:
    """Return where an axis of the frames lies in Leginon's orientation.

    Args:
        angle: degrees from the columns (x) towards the rows; what is returned is so as well, from -90 to 90.
    """
    return ((-angle if frame_flip else angle) - 90 * frame_rotate + 90) % 180 - 90


def constructGain(shape: tuple[int, int], rng: np.random.Generator, variation: float = 0.08) -> np.ndarray:
    """Return a gain reference of `shape`, mean 1: a lopsided slope, readout stripes and noise of single pixels."""
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None, :]
    slope = 1 + variation * (0.8 * x + 0.4 * y + 0.5 * x * y)
    stripes = 1 + variation / 3 * np.repeat(rng.normal(size=-(-shape[1] // 32)), 32)[None, : shape[1]]
    gain = slope * stripes * np.exp(variation * rng.normal(size=shape))
    return (gain / gain.mean()).astype(np.float32)


def constructDetector(
    shape: tuple[int, int],
    seed: int = 0,
    frame_flip: bool = False,
    frame_rotate: int = 0,
    ndead: int = 20,
    nhot: int = 15,
) -> Detector:
    """Return a camera of `shape` (rows, columns as Leginon shows it) with two bad columns and bad pixels."""
    rng = np.random.default_rng([seed, 7])
    rows, cols = shape
    pixels = [(int(x), int(y)) for x, y in rng.integers(0, (cols, rows), (ndead + nhot, 2))]
    first = cols // 3
    return Detector(
        gain=constructGain(shape, rng),
        frame_flip=frame_flip,
        frame_rotate=frame_rotate % 4,
        bad_cols=(first, first + 1),
        dead=tuple(pixels[:ndead]),
        hot=tuple(pixels[ndead:]),
    )


def calcDefectMask(detector: Detector) -> np.ndarray:
    """Return True where the camera never counts, in Leginon's orientation."""
    mask = np.zeros(detector.shape, bool)
    mask[list(detector.bad_rows), :] = True
    mask[:, list(detector.bad_cols)] = True
    for x, y in detector.dead:
        mask[y, x] = True
    return mask


def calcHotMask(detector: Detector) -> np.ndarray:
    """Return True at hot pixels, in Leginon's orientation."""
    mask = np.zeros(detector.shape, bool)
    for x, y in detector.hot:
        mask[y, x] = True
    return mask


def calcExpectedCounts(
    intensity: np.ndarray, raw_gain: np.ndarray, dead: np.ndarray, hot: np.ndarray, rate: float
) -> np.ndarray:
    """Return the counts to expect in each pixel of a frame: `intensity` / gain, `rate` in hot and 0 in dead pixels."""
    expected = np.maximum(intensity, 0.0) / raw_gain
    expected[hot] = rate
    expected[dead] = 0.0
    return expected


def calcPicture(frames: np.ndarray, detector: Detector) -> np.ndarray:
    """Return what Leginon shows of an exposure: the sum of its frames, not aligned, gain corrected, dead pixels filled.

    Args:
        frames: (n, rows, columns) as they left the camera.
    """
    return correctPicture(frames.sum(axis=0, dtype=np.float32), detector)


def correctPicture(total: np.ndarray, detector: Detector) -> np.ndarray:
    """Return the same of the sum of the frames, (rows, columns) as it left the camera."""
    picture = convertToLeginon(total, detector.frame_flip, detector.frame_rotate) * detector.gain
    defects = calcDefectMask(detector)
    picture[defects] = picture[~defects].mean()
    return picture
