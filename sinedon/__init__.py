"""The Leginon, project and Appion databases of classic myami, on Django.

Importing the package configures Django without any database; :func:`setup` reads `sinedon.cfg` and registers the
databases ``leginondata``, ``projectdata`` and, with a project, ``appiondata``. The tables belong to Leginon and
classic Appion: they are read as they are found and never altered, except for what is missing in an Appion database
(`sinedon init`).
"""

import django
from django.conf import settings

if not settings.configured:
    # Rows carry the server's local times, so Django must not convert any.
    settings.configure(
        DATABASES={},
        DATABASE_ROUTERS=["sinedon.router.Router"],
        USE_TZ=False,
        TIME_ZONE=None,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        LOGGING_CONFIG=None,
    )
    django.setup()

from sinedon import errors
from sinedon.connection import closeConnections, countQueries, isDatabaseAway
from sinedon.live import hasColumn, hasTable
from sinedon.pages import readPages
from sinedon.refusal import findRefusal
from sinedon.rows import addRow, addRows, copyRow, insertRow, readRows, readWhole, readWholeWith, refId, updateRow
from sinedon.setup import addAppionDatabase, setup
from sinedon.totals import Totals, readTotals

__all__ = [
    "Totals",
    "addAppionDatabase",
    "addRow",
    "addRows",
    "closeConnections",
    "copyRow",
    "countQueries",
    "errors",
    "findRefusal",
    "hasColumn",
    "hasTable",
    "insertRow",
    "isDatabaseAway",
    "readPages",
    "readRows",
    "readTotals",
    "readWhole",
    "readWholeWith",
    "refId",
    "setup",
    "updateRow",
]
