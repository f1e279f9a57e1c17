"""Reading very many rows: a page at a time, by their ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Max

#: Rows of a page.
PAGE = 10_000


def readPages(query: Any, *columns: str, after: int = 0, size: int | None = None) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a query with an id above `after`: tuples of the id and these columns, by id, a page at a time.

    One statement for each page. All but the first are limited to a range of ids as well, as wide as the last page
    tells, so that the server need not put all that follows in order to give the first of it. Rows that come meanwhile
    may be among them or not.
    """
    size = PAGE if size is None else size
    query = query.order_by("pk").values_list("pk", *columns)
    rows = list(query.filter(pk__gt=after)[:size])
    if rows:
        yield rows
    if len(rows) < size:
        return
    newest = query.model.objects.aggregate(newest=Max("pk"))["newest"]
    last, width = rows[-1][0], 2 * (rows[-1][0] - rows[0][0] + 1)
    while last < newest:
        rows = list(query.filter(pk__gt=last, pk__lte=last + width)[:size])
        if rows:
            yield rows
        if len(rows) == size:
            last, width = rows[-1][0], min(width, 2 * (rows[-1][0] - last))
        else:
            last, width = last + width, width * (1 if 2 * len(rows) > size else 2)
