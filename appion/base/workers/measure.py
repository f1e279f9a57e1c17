"""What a worker does of a step that measures micrographs."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping

from appion.base.failures import ImageFailure
from appion.base.records.micrograph import Measured, MeasureParams

Numbers = Mapping[str, float | None]


def measureMicrograph(measure: Callable[[MeasureParams], Numbers], params: MeasureParams) -> Measured:
    """Return what `measure` finds of a micrograph, as plain numbers.

    Raises:
        ImageFailure: one of them is no finite number; and whatever `measure` raises.
    """
    started = time.time()
    found = {name: None if value is None else float(value) for name, value in measure(params).items()}
    for name, value in found.items():
        if value is not None and not math.isfinite(value):
            raise ImageFailure(f"{params.micrograph}: {name} is {value}, which is no result")
    return Measured(params, found, os.uname().nodename, started, round(time.time() - started, 3))
