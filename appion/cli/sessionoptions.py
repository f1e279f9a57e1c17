"""Options of the sub-commands that make something of a session's results; they import nothing of it."""

from __future__ import annotations

import argparse
from pathlib import Path

#: Names of the tables in the folder of an export.
CSV, PARQUET = "exposures.csv", "exposures.parquet"


def addExportOptions(parser: argparse.ArgumentParser) -> None:
    """The options of `appion export`."""
    addRunOptions(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder that files are written into")
    group = parser.add_argument_group("what to write, one at least")
    group.add_argument("--star", action="store_true", help="what RELION and CryoSPARC import: micrographs, CTF, motion")
    group.add_argument("--cryosparc", action="store_true",
                       help="tables for an External job of CryoSPARC: micrographs, CTF, microscope")  # fmt: skip
    group.add_argument("--csv", action="store_true", help=f"numbers of exposures as a table, {CSV}")
    group.add_argument("--parquet", action="store_true", help=f"the same as {PARQUET}; needs pyarrow")
    group = parser.add_argument_group("STAR files, and tables for CryoSPARC")
    group.add_argument("--project", type=Path, metavar="DIR",
                       help="folder of the project, RELION's or CryoSPARC's, in which --out lies (default: --out)")
    group.add_argument("--copy", action="store_true", help="copy micrographs, in place of links; movies stay links")
    group.add_argument("--optics-by", choices=("setting", "imageshift"), default="setting",
                       help="what makes an optics group: pixel size, voltage and lens (default), or image shift "
                            "as well")  # fmt: skip
    group.add_argument("--link", type=float, metavar="MICRONS",
                       help="image shifts no further apart are of one group (default: 0.2)")  # fmt: skip
    group.add_argument("--orientation", choices=("leginon", "movie"), default="leginon",
                       help="micrographs as Leginon has them (default), or copies turned as RELION reads the movies, "
                            "which polishing needs where the camera turns its frames")  # fmt: skip
    group.add_argument("--framepath", type=Path, metavar="DIR",
                       help="folder of the movies (default: that of the session)")  # fmt: skip
    group.add_argument("--ampcontrast", type=float, metavar="FRACTION",
                       help="amplitude contrast of micrographs without a CTF")  # fmt: skip


def addRunOptions(parser: argparse.ArgumentParser) -> None:
    """Options that say which exposures."""
    parser.add_argument("rundirs", nargs="+", type=Path, metavar="RUNDIR",
                        help="run folders of one session: motion correction, CTF, or both")  # fmt: skip
    parser.add_argument("--where", metavar="CONDITION",
                        help="only these exposures: 'ctf_resolution < 5 and drift < 20'")  # fmt: skip
    parser.add_argument("--projectid", type=int, metavar="N", help="whose Appion database (default: the session's)")


def addReportOptions(parser: argparse.ArgumentParser) -> None:
    """The options of `appion report`."""
    addRunOptions(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html", help="file that is written")
    parser.add_argument("--title", metavar="TEXT", help="what stands above it (default: the name of the session)")
