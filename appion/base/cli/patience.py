"""Waiting for an answer that may never come: of a server, or of a file system that hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import sinedon
from appion.base.failures import InfrastructureFailure


def callWithin(seconds: float, what: str, function: Callable[..., Any], *args: Any) -> Any:
    """Return what `function` returns if it does so in time. Its database connections are closed after it.

    Raises:
        InfrastructureFailure: time is up; `what` is the name of whom it waited for. The function may still end in the
            background, and does not keep the program from ending.
        Exception: what the function raised.
    """
    result: list[Any] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            result.append(function(*args))
        except BaseException as error:
            errors.append(error)
        finally:
            sinedon.closeConnections()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not result:
        raise InfrastructureFailure(f"{what} does not answer within {seconds:g} s")
    return result[0]
