"""What is sent to the daemon to end it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from appion.base.controller.run import Run


@contextlib.contextmanager
def handleSignals(run: Run) -> Iterator[None]:
    """Count SIGTERM, SIGINT and SIGHUP during the run; outside the main thread there is nothing to be handled.

    A hang-up that is ignored (nohup) stays ignored.
    """

    def stop(_number: int, _frame: object) -> None:
        run.stops += 1
        run.pool.wakeUp()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
