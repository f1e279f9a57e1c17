#!/usr/bin/env python3
"""Submits a program to the scheduler, as the web pages call it."""

from _checkout import run

if __name__ == "__main__":
    run("appion.runjob.main")
