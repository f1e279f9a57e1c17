"""The ground of a rehearsal: a site's databases, and a project, a session and a folder of its own there."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from dataclasses import replace
from pathlib import Path

import sinedon
from appion.demo.leginon import insertSession, insertSessionAlone
from appion.demo.plan import Plan
from appion.demo.processes import DemoError
from appion.demo.recipe import NAME, Recipe, constructComment, constructProjectName, saveRecipe
from sinedon.config import readConfig
from sinedon.models import leginondata, projectdata
from sinedon.rows import lockTable
from sinedon.schema import listMissing
from sinedon.setup import openAppionDatabase

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

#: Tables that the simulated microscope writes to. Leginon makes those that it needs.
TABLES = (
    leginondata.SessionData, leginondata.InstrumentData, leginondata.PixelSizeCalibrationData, leginondata.PresetData,
    leginondata.CameraEMData, leginondata.ScopeEMData, leginondata.NormImageData, leginondata.CorrectorPlanData,
    leginondata.AcquisitionImageData, projectdata.projects, projectdata.projectexperiments, projectdata.processingdb,
)  # fmt: skip


def checkDatabases(appiondb: str | None) -> str:
    """Connect to the databases of the configuration, change nothing, and return the name of the Appion database.

    Raises:
        DemoError: it is not said which, or something that a run needs is missing there.
        sinedon.errors.SinedonError: one cannot be reached or does not exist.
    """
    sinedon.setup()
    section = readConfig()["appiondata"]
    name = appiondb or section.db
    if not name:
        rows = projectdata.processingdb.objects.exclude(appiondb=None).values_list("appiondb", flat=True)
        known = sorted({str(row) for row in rows} - {""})
        raise DemoError(
            f"which Appion database? Give --appiondb=NAME, or a line `db: NAME` in [appiondata]. There are "
            f"{', '.join(known[:20]) or 'none so far'}; a new one: sinedon init --appiondb ap_demo"
        )
    lacking = [model._meta.db_table for model in TABLES if not sinedon.hasTable(model)]
    if lacking:
        raise DemoError(f"no table {', '.join(lacking)}: Leginon and its web pages make them; are these the databases "
                        "that Leginon works with?")  # fmt: skip
    openAppionDatabase(name, section)
    missing = listMissing("appiondata")
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DemoError(f"{name} lacks {'; '.join(map(str, missing[:3]))}{more}. To add them: "
                        f"sinedon init --appiondb {name}")  # fmt: skip
    return name


def checkFolder(folder: Path) -> None:
    """Raise DemoError if a folder cannot hold a rehearsal."""
    if not folder.is_dir():
        raise DemoError(f"--dir={folder} is not a folder: give one that exists, on a disk that all nodes see")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DemoError(f"--dir={folder}: you may not write there")


def checkSpace(folder: Path, plan: Plan) -> None:
    """Raise DemoError if what a plan writes does not fit on the disk of `folder`."""
    needed, free = calcSpace(plan), shutil.disk_usage(folder).free
    if needed > free:
        raise DemoError(f"--dir={folder}: {len(plan.exposures)} exposures take about {needed / 1e9:.0f} GB, and "
                        f"{free / 1e9:.0f} GB are free: take fewer, or smaller ones")  # fmt: skip


def calcSpace(plan: Plan) -> float:
    """Return about how many bytes movies, pictures and micrographs take."""
    movie = plan.movie
    pixels = movie.shape[0] * movie.shape[1]
    # An electron of eer takes 11 bits; LZW needs about a quarter of a byte for a pixel that is mostly 0 or 1.
    electrons = movie.dose * movie.positions * movie.pixelsize**2 * pixels
    frames = 1.4 * electrons if movie.suffix == "eer" else 0.25 * pixels * movie.nframes
    return (len(plan.exposures) + 2 * movie.specimens) * frames + 12 * pixels * len(plan.exposures)


def prepareGround(folder: Path, recipe: Recipe, appiondb: str) -> tuple[Path, Recipe]:
    """Make session, project and a folder within `folder`; return that folder and the recipe with their names.

    The session comes first: whatever ends this early, by its row all the rest is found again.
    """
    recipe = replace(recipe, token=secrets.token_hex(8))
    with lockTable("leginondata", "SessionData"):
        recipe = replace(recipe, session=chooseName(folder))
        home = folder / recipe.session
        home.mkdir()
        saveRecipe(home, recipe)
        insertSessionAlone(recipe.constructPlan(home))
    comment = constructComment(recipe.token)
    words = {"name": constructProjectName(recipe.session), "short_description": comment, "long_description": comment,
             "category": "", "funding": "", "hidden": False}  # fmt: skip
    fields = {name: value for name, value in words.items() if sinedon.hasColumn(projectdata.projects, name)}
    project = sinedon.insertRow(projectdata.projects, **fields)
    recipe = replace(recipe, projectid=project.def_id)
    saveRecipe(home, recipe)
    sinedon.insertRow(projectdata.processingdb, project=project, appiondb=appiondb)
    insertSession(recipe.constructPlan(home))
    sinedon.setup(recipe.projectid)
    return home, recipe


def chooseName(folder: Path) -> str:
    """Return the first name of today that neither a session nor a file has.

    Raises:
        DemoError: all 26 are taken.
    """
    now = time.localtime()
    start = f"demo{now.tm_year % 100:02d}{MONTHS[now.tm_mon - 1]}{now.tm_mday:02d}"
    rows = leginondata.SessionData.objects.filter(name__startswith=start).values_list("name", flat=True)
    taken = {str(name).lower() for name in rows}
    for letter in "abcdefghijklmnopqrstuvwxyz":
        name = start + letter
        if name not in taken and not (folder / name).exists():
            assert NAME.fullmatch(name)
            return name
    raise DemoError(f"all names from {start}a to {start}z are taken: remove some with --clean")
