"""Fixtures of the pages: Django's test client on databases of a test."""

from __future__ import annotations

from collections.abc import Iterator

import dask.config
import pytest
from django.conf import settings
from django.test import Client

import sinedon
from appion.web.retrieve import condition, facility, table
from appion.web.retrieve.facility import forgetFacility
from appion.web.retrieve.tables import forgetTables
from appion.web.settings import applySettings


@pytest.fixture
def browser(tmp_path, monkeypatch) -> Iterator[Client]:
    """A client that asks the pages as a browser does; a fault of the server is raised in the test."""
    forgetTables()
    forgetFacility()
    for module, name in ((table, "FRESH"), (condition, "FRESH"), (facility, "FRESH"), (facility, "LISTED")):
        monkeypatch.setattr(module, name, 0.0)
    with dask.config.set({"appion.web.cache": str(tmp_path / "cache"), "appion.keep.folder": str(tmp_path / "keep")}):
        applySettings(["testserver"])
        sinedon.closeConnections()
        yield Client()
    forgetTables()
    settings.ALLOWED_HOSTS = []
