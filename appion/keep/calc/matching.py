"""Which profile is for which exposures of a session, and if none is, why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from appion.keep.records import FoundRun, Preset, Profile, Session, Want


def findMismatch(profile: Profile, session: Session, preset: Preset) -> str:
    """Return in words why a profile is not for these exposures; empty if it is for them."""
    checks: tuple[tuple[str, str, Sequence[str]], ...] = (
        ("session", session.name, profile.sessions),
        ("microscope", preset.microscope, profile.microscopes),
        ("camera", preset.camera, profile.cameras),
        ("preset", preset.name, profile.presets),
        ("movie format", preset.format, profile.formats),
    )
    for what, value, patterns in checks:
        if patterns and not any(fnmatchcase(value.lower(), pattern.lower()) for pattern in patterns):
            return f"{what} {value or 'not known'} is none of {', '.join(patterns)}"
    if profile.projects and not set(profile.projects) & set(session.projects):
        projects = ", ".join(map(str, session.projects)) or "none"
        return f"project {projects} is none of {', '.join(map(str, profile.projects))}"
    return ""


def findProfile(profiles: Iterable[Profile], session: Session, preset: Preset) -> Profile | None:
    """Return the first profile that is for these exposures."""
    return next((profile for profile in profiles if not findMismatch(profile, session, preset)), None)


def listWants(profiles: Sequence[Profile], session: Session) -> list[Want]:
    """Return what the profiles ask for: one run for each command, for each preset of the session that fits."""
    wants: list[Want] = []
    for preset in session.presets:
        profile = findProfile(profiles, session, preset)
        if profile and preset.name not in {want.preset.name for want in wants}:
            wants += [Want(session, preset, profile, number) for number in range(len(profile.commands))]
    return wants


def explainNone(profiles: Sequence[Profile], session: Session) -> tuple[str, str]:
    """Return the profile that is nearest to being for a session, and why it is not; empty texts if there is nothing."""
    if not session.presets:
        return "", "no exposure with a movie"
    if not profiles:
        return "", "appion.keep.profiles has no profile"
    reasons = [(profile.name, findMismatch(profile, session, preset)) for profile in profiles
               for preset in session.presets]  # fmt: skip
    return max(reasons, key=lambda reason: reason[1].startswith(("preset", "movie")))


def chooseProject(profile: Profile, session: Session) -> int | None:
    """Return the project that results of a session go to: the only one of its projects that the profile is for."""
    projects = [one for one in session.projects if not profile.projects or one in profile.projects]
    return projects[0] if len(projects) == 1 else None


def findOther(runs: Iterable[FoundRun], want: Want, preset: str, own: Iterable[str]) -> FoundRun | None:
    """Return a run that somebody else began for the same session, preset and step; one of no known preset is of any.

    Args:
        preset: of the command line, which may be that of the results of another. own: folders of the keeper's runs.
    """
    folders = set(own)
    for run in runs:
        same = run.session_id == want.session.def_id and run.kind == want.kind and run.preset in (None, preset)
        if same and run.rundir not in folders:
            return run
    return None
