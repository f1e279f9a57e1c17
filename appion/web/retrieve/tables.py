"""The tables of the sessions that were asked for last: the same for everybody who asks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from appion.web.retrieve.results import forgetResults
from appion.web.retrieve.sessions import View
from appion.web.retrieve.table import Table

#: So many exposures are kept in memory, of the tables that were asked for last.
KEPT = 60_000

_tables: OrderedDict[tuple[Any, ...], Table] = OrderedDict()
_lock = threading.Lock()


def findTable(view: View) -> Table:
    """Return the table of what a page shows, updated; it is kept for those who ask next."""
    key = (view.session.def_id, view.shown)
    with _lock:
        if key not in _tables:
            _tables[key] = Table(view)
        _tables.move_to_end(key)
        table = _tables[key]
    table.update()
    with _lock:
        while len(_tables) > 1 and sum(len(one.rows) for one in _tables.values()) > KEPT:
            _tables.popitem(last=False)
    return table


def expireTable(view: View) -> None:
    """Have the next who asks for what a page shows look anew: something was just changed."""
    with _lock:
        table = _tables.get((view.session.def_id, view.shown))
    if table is not None:
        table.expire()


def forgetTables() -> None:
    """Forget all that is kept: the databases are others now."""
    forgetResults()
    with _lock:
        _tables.clear()
