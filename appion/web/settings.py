"""Django's settings for the pages, beside those by which it knows the databases (:mod:`sinedon`)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings

FOLDER = Path(__file__).resolve().parent

#: From the outermost to the innermost: what each question goes through.
MIDDLEWARE = (
    "appion.web.security.AddHeaders",
    "appion.web.staticfiles.Files",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "appion.web.security.TellErrors",
)


def applySettings(hosts: Iterable[str] = (), prefix: str = "") -> None:
    """Have Django answer questions, to those who call it by one of these names or by one of this machine's own.

    Args:
        prefix: the path below which everything is, without a slash at its end; empty: at the top.
    """
    for name, value in constructSettings(hosts, prefix).items():
        setattr(settings, name, value)


def constructSettings(hosts: Iterable[str], prefix: str) -> dict[str, Any]:
    """Return the settings by name."""
    node = os.uname().nodename
    return {
        "DEBUG": False,
        "SECRET_KEY": secrets.token_urlsafe(50),  # nothing is signed that is to outlive this process
        "ALLOWED_HOSTS": sorted({"localhost", "127.0.0.1", "[::1]", node, node.split(".")[0], *hosts}),
        "ROOT_URLCONF": "appion.web.urls",
        "MIDDLEWARE": list(MIDDLEWARE),
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [FOLDER / "templates"],
                "OPTIONS": {"context_processors": ["appion.web.security.describeVisitor"], "string_if_invalid": ""},
            }
        ],
        "STATIC_URL": f"{prefix}/static/",
        "FORCE_SCRIPT_NAME": prefix or None,
        "USE_I18N": False,
        "APPEND_SLASH": True,
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Strict",
        "CSRF_FAILURE_VIEW": "appion.web.views.errors.refuseForm",
        "DATA_UPLOAD_MAX_MEMORY_SIZE": 2**16,
        "FILE_UPLOAD_HANDLERS": [],
    }
