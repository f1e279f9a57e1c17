"""How a program of this package is told to wait, see :mod:`appion.base.programs.ready`."""

from __future__ import annotations

#: The option, followed by the number of a socket.
STAY = "--stay-ready"

#: Bytes of what is asked for, a command line and the variables of its process, at most.
LARGEST = 1 << 20
