"""Runs a command of this checkout without installing it, with the environment that `make` built if there is one."""

import importlib
import os
import sys


def run(module: str, function: str = "main") -> None:
    """Run `function` of `module` and exit with what it returns."""
    root = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    environment = os.path.join(root, ".venv")
    python = os.path.join(environment, "bin", "python")
    if os.path.exists(python) and os.path.realpath(sys.prefix) != os.path.realpath(environment):
        os.execv(python, [python, *sys.argv])
    sys.path.insert(0, root)
    sys.exit(getattr(importlib.import_module(module), function)())
