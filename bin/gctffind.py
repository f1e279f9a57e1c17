#!/usr/bin/env python3
"""CTF estimation of every new micrograph of a session with GCtfFind."""

from _checkout import run

if __name__ == "__main__":
    run("appion.ctfestimation.cli.main", "mainGctffind")
