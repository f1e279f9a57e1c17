"""Fast Fourier transforms of a short-lived program: scipy's, without the rest of scipy.

`scipy.fft` is several times faster than `numpy.fft` in single precision, but importing it takes longer than
transforming a micrograph, because it brings scipy.special and much of numpy along. So its compiled part is loaded by
itself if it is where it has been since scipy 1.4, else `scipy.fft` is used.
"""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType

import numpy as np


def _loadPocketfft() -> ModuleType | None:
    package = find_spec("scipy")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "fft" / "_pocketfft"
    found = PathFinder.find_spec("pypocketfft", [str(folder)])
    if found is None or found.loader is None:
        return None
    try:
        module = module_from_spec(found)
        found.loader.exec_module(module)
        transformed = module.c2c(module.r2c(np.ones((2, 4), np.float32), axes=(1,)).astype(np.complex64), axes=(0,))
    except (ImportError, AttributeError, TypeError, ValueError):
        return None
    return module if np.array_equal(transformed, [[8, 0, 0], [0, 0, 0]]) else None


_pocketfft = _loadPocketfft()
if _pocketfft is None:
    from scipy import fft


def transformRows(block: np.ndarray) -> np.ndarray:
    """Return the half transform of every row of a real (rows, columns) array, unscaled."""
    return fft.rfft(block, axis=1) if _pocketfft is None else _pocketfft.r2c(block, axes=(1,))


def transformColumns(block: np.ndarray) -> np.ndarray:
    """Return the transform of every column of a complex (rows, columns) array, unscaled."""
    return fft.fft(block, axis=0) if _pocketfft is None else _pocketfft.c2c(block, axes=(0,))


def calcGoodSize(length: int) -> int:
    """Return the smallest even number from `length` on that has no prime factor above 7."""
    size = length + length % 2
    while not _isSmooth(size):
        size += 2
    return size


def _isSmooth(number: int) -> bool:
    for factor in (2, 3, 5, 7):
        while number % factor == 0:
            number //= factor
    return number == 1
