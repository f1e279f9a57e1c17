"""What pixels can show at all."""

from __future__ import annotations

from appion.base.failures import ConfigurationFailure


def checkNyquist(resmin: float, pixelsize: float, name: str) -> None:
    """Look whether a fit that begins at `resmin` (Å) begins within what pixels (Å) show; `name` is what gave it.

    Raises:
        ConfigurationFailure: it does not, so that there is nothing to fit.
    """
    limit = 2 * pixelsize
    if resmin <= limit:
        raise ConfigurationFailure(
            f"{name}={resmin:g} Å is not possible: pixels of {pixelsize:g} Å show nothing finer than {limit:g} Å",
            f"give more than {limit:g} Å" if limit < 50 else "use images with smaller pixels, below 25 Å",
        )
