"""What a program that calculates sets up before it imports a numerical library."""

from __future__ import annotations

import ctypes
import os

#: glibc's parameters of malloc (malloc.h): to keep what was freed, to ask for it so much at a time, never to map it, to
#: have one store for all threads.
KEEP, AT_ONCE, NEVER_MAP, TOGETHER = (-1, 1 << 30), (-2, 16 << 20), (-4, 0), (-8, 1)


def prepareNumerics() -> None:
    """Keep the libraries from starting threads of their own, and what was freed for the arrays to come.

    Arrays of a megabyte are made and freed by the thousand. Left to itself, glibc gives many back to the system, which
    has to clear the pages of the next one: a quarter of all time. Elsewhere the second does nothing.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is not None:
        for parameter in (KEEP, AT_ONCE, NEVER_MAP, TOGETHER):
            change(*parameter)
