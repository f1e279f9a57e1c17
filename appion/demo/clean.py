"""`appion demo --clean`: says what a rehearsal left, and removes it when told to."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

import sinedon
from appion.base.cli.screen import show
from appion.base.records.runfolder import statusPath
from appion.base.retrieve.lock import readLockHolder
from appion.base.retrieve.status import isRunning, readStatus
from appion.demo.processes import DemoError
from appion.demo.recipe import FILE, NAME, constructComment, readRecipe
from appion.demo.removal import SHARED, Removal, fillRemoval, findRemovals, removeRows


def cleanUp(session: str | None, folder: Path | None, confirmed: bool) -> int:
    """List rows and files of rehearsals, and remove those of one if it is `confirmed`; 0, or 1 if some are left.

    Args:
        session: name of the rehearsal's session; None: there must be only one to remove anything.
        folder: the one given to --dir, in which to look for folders without rows, too.

    Raises:
        DemoError: there is none of that name, several to choose from, or one still goes on.
        sinedon.errors.SinedonError: a database cannot be used.
    """
    sinedon.setup()
    removals = findRemovals()
    known = {removal.token for removal in removals}
    for path in listFolders(folder):
        recipe = readRecipe(path)
        if recipe.token not in known:
            image_path = path / "leginon" / recipe.session / "rawdata"
            removals.append(Removal(recipe.token, recipe.session, image_path=str(image_path)))
    chosen = [removal for removal in removals if session in (None, removal.session)]
    if session and not chosen:
        names = ", ".join(removal.session for removal in removals) or "none"
        raise DemoError(f"--session={session}: no rehearsal made that; there are {names}")
    if not chosen:
        print("nothing here was made by a rehearsal")
        return 0
    homes = [findFolder(removal, folder) for removal in chosen]
    for removal, home in zip(chosen, homes, strict=True):
        fillRemoval(removal)
        show(*describeRemoval(removal, home))
    if not confirmed:
        print("nothing has been removed: add --yes to remove it")
        return 1
    if len(chosen) > 1:
        raise DemoError(f"{len(chosen)} rehearsals: choose one with --session=NAME")
    removal, home = chosen[0], homes[0]
    if home:
        checkQuiet(home)
        # Files first: without its rows nobody would find the folder.
        shutil.rmtree(home)
    removeRows(removal)
    show(f"{removal.session} has been removed")
    return 0


def listFolders(folder: Path | None) -> list[Path]:
    """Return the folders of rehearsals in `folder`."""
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name) and isOwn(path, None))


def isOwn(home: Path, token: str | None) -> bool:
    """Whether a folder, and not a link to one, was made by the rehearsal with this token (None: by any)."""
    if home.is_symlink() or not (home / FILE).is_file():
        return False
    try:
        recipe = readRecipe(home)
    except DemoError:
        return False
    return bool(recipe.token) and recipe.session == home.name and token in (None, recipe.token)


def findFolder(removal: Removal, folder: Path | None) -> Path | None:
    """Return the folder of a rehearsal if it is there and has the rehearsal's own file in it."""
    places = [folder / removal.session] if folder else []
    places += [Path(removal.folder)] if removal.folder else []
    return next((place for place in places if isOwn(place, removal.token)), None)


def checkQuiet(home: Path) -> None:
    """Raise DemoError if a rehearsal or one of its daemons still works in its folder."""
    if readLockHolder(home) is not None:
        raise DemoError(f"{home}: the rehearsal still goes on; end it with Ctrl-C first")
    for rundir in (home / "appion").glob("*/*/*"):
        if statusPath(rundir).exists() and isRunning(rundir, readStatus(rundir)):
            raise DemoError(f"{rundir}: a daemon still works there; end it first")


def describeRemoval(removal: Removal, home: Path | None) -> list[str]:
    """Return lines on what would be removed."""
    lines = [f"session {removal.session} ({constructComment(removal.token)})"]
    names = {"leginondata": "Leginon", "projectdata": "projects", "appiondata": removal.appiondb}
    for (alias, table), ids in removal.rows.items():
        lines.append(f"  {names[alias]:<12} {len(ids):>7} of {table}")
    if removal.appiondb:
        lines.append(f"  {removal.appiondb} keeps what other sessions may use: {', '.join(SHARED)}, paths of programs")
    for table, count in removal.left.items():
        lines.append(f"  STAYS: {count} of {table}, which belong to something else, too")
    if home:
        sizes = measureFiles(home)
        lines.append(f"  {home}: {len(sizes)} files, {sum(sizes) / 1e9:.1f} GB")
    else:
        lines.append(f"  no folder with its {FILE} is there: files, if any, stay")
    return lines


def measureFiles(home: Path) -> list[int]:
    """Return the bytes of each file in a folder, some of which may go while it is looked through."""
    sizes = []
    for folder, _, names in os.walk(home):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                state = os.lstat(os.path.join(folder, name))
                if stat.S_ISREG(state.st_mode):
                    sizes.append(state.st_size)
    return sizes
