"""What a database refuses while a run goes on: what all exposures need, or a value of one of them.

A right, a table or a column that is not there is nothing that an image could help: it pauses what needs it, says what
to type, and is tried again. A value is its image's own, unless several images in a row are refused for the same column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appion.base.failures import ImageFailure, InfrastructureFailure

#: So many images in a row whose values a column does not take: the column is to blame.
SEVERAL_VALUES = 3


class DatabaseRefusal(InfrastructureFailure):
    """The database refuses what all exposures need; its reason says what to type, and it is tried again."""


class ValueRefusal(ImageFailure):
    """The database refuses a value of this exposure; its result is kept."""


def findOutage(error: BaseException, isDatabaseAway: Callable[[BaseException], bool]) -> str:
    """Return why the database cannot be asked at all, if that is what the error says: away, or the account refused."""
    from sinedon.refusal import ACCOUNT

    refusal = findRefusal(error)
    if refusal is not None and refusal.kind == ACCOUNT:
        return str(refusal)
    return f"{type(error).__name__}: {error}" if isDatabaseAway(error) else ""


def refuseAll(error: BaseException, reconnect: Callable[[], None]) -> None:
    """Raise DatabaseRefusal if the error says that what all exposures need is refused.

    The next question is asked over a new connection, since a server looks at rights when one is opened, and which
    tables and columns there are is looked at anew.
    """
    from sinedon.live import rereadLiveTables
    from sinedon.refusal import SCHEMA, VALUE

    refusal = findRefusal(error)
    if refusal is None or refusal.kind == VALUE:
        return
    reconnect()
    if refusal.kind == SCHEMA:
        rereadLiveTables()
    raise DatabaseRefusal(str(refusal)) from error


def findValueRefusal(error: BaseException) -> ValueRefusal | None:
    """Return the failure of an exposure of which the database does not take a value; None for any other error."""
    from sinedon.refusal import VALUE

    refusal = findRefusal(error)
    if refusal is None or refusal.kind != VALUE:
        return None
    return ValueRefusal(str(refusal), "its result is kept; when it is mended: appion retry", log_tail=refusal.words)


def findRefusal(error: BaseException) -> Any:
    """As :func:`sinedon.findRefusal`; imported late, as a step need not use a database."""
    import sinedon

    return sinedon.findRefusal(error)


def isSinedonAway(error: BaseException) -> bool:
    """Whether a database error means that the server is away; imported late, as a step need not use a database."""
    import sinedon

    return sinedon.isDatabaseAway(error)


def closeSinedon() -> None:
    """Have the next query connect anew."""
    import sinedon

    sinedon.closeConnections()
