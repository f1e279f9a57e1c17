"""Motion correction and CTF estimation that keep up with electron microscopes.

``correctMovie`` and ``estimateCTF`` are for anybody: a script, a notebook, a function in a cloud. Importing this
package costs next to nothing; what they need is imported when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appion.ctfestimation.library import estimateCTF
    from appion.motioncorrection.library import correctMovie

    __version__: str

__all__ = ["__version__", "correctMovie", "estimateCTF"]


def __getattr__(name: str) -> Any:
    if name == "correctMovie":
        from appion.motioncorrection.library import correctMovie

        return correctMovie
    if name == "estimateCTF":
        from appion.ctfestimation.library import estimateCTF

        return estimateCTF
    if name == "__version__":
        from appion.base.records.stamp import readVersion

        return readVersion()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
