#!/usr/bin/env python3
"""Motion correction of every new exposure of a session."""

from _checkout import run

if __name__ == "__main__":
    run("appion.motioncorrection.cli.main")
