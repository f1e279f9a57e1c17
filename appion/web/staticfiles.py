"""Serving the pages' own files, and those of libraries from where their packages have them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from whitenoise.middleware import WhiteNoiseMiddleware

from appion.web.settings import FOLDER

#: Seconds for which browsers do not ask for a file again; then they ask whether it has changed.
FRESH = 60

#: Scripts of libraries: as pages call them, and where their packages have them.
VENDORS = {"plotly.min.js": ("plotly", "package_data/plotly.min.js")}


class Files(WhiteNoiseMiddleware):
    """Answers what begins with ``/static/``: files that were there at the start, and nothing else."""

    def __init__(self, get_response: Any) -> None:
        settings.WHITENOISE_MAX_AGE = FRESH
        settings.WHITENOISE_ALLOW_ALL_ORIGINS = False
        super().__init__(get_response, settings)
        self.add_files(str(FOLDER / "static"), "static/")
        for name, (package, place) in VENDORS.items():
            self.add_file_to_dictionary(f"/static/vendor/{name}", str(findPackage(package) / place))


def findPackage(name: str) -> Path:
    """Return the folder of an installed package, which is not imported."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
