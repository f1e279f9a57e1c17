"""Loaded by Dask into each worker process: signals meant for the daemon do not end the workers.

Ctrl-C in a terminal and the stop of a service reach every process. The daemon then waits for what runs, so its
workers must live on until it ends them; if it dies, they notice and go. Handlers that do nothing, unlike ignored
signals, are not passed on to the programs that a worker starts.
"""

from __future__ import annotations

import signal


def dask_setup(_worker: object) -> None:
    """Called by Dask in the main thread of the worker process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
