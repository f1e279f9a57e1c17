"""The exposures of a job's or a session's folder, with what each can be recognised by."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from appion.base.calc.cryosparc import isMade, isWeighted, stripName
from appion.base.failures import ConfigurationFailure, Failure, ImageFailure
from appion.base.records.cryosparc import CryosparcExposure, CryosparcFit, CryosparcImage, CryosparcMotion, Identity
from appion.base.retrieve.access import isFile
from appion.base.retrieve.cryosparc.job import JOB, readJob
from appion.base.retrieve.cryosparc.live import SESSION, readSession
from appion.base.retrieve.cryosparc.places import Places
from appion.base.retrieve.cryosparc.rows import RawExposure

#: Numbers that no column of the database exists for, which the log of an exposure keeps.
NOTES = (
    "ctf_stats/ice_thickness_rel", "ctf_stats/df_range", "ctf_stats/df_tilt_normal", "ctf_stats/cross_corr",
    "ctf_stats/spectrum_dim", "ctf/type", "ctf/path", "ctf/bfactor", "ctf/tilt_A", "ctf/trefoil_A", "ctf/tetra_A",
    "ctf/anisomag",
)  # fmt: skip

#: The sum without dose weighting.
PLAIN = "micrograph_blob_non_dw"


@dataclass(frozen=True)
class Folder:
    """What a folder holds: its exposures, the version of CryoSPARC if it is told, and the files that tell it."""

    exposures: tuple[CryosparcExposure, ...]
    version: str
    files: tuple[str, ...]


def findReader(folder: str) -> Callable[[str, Places], tuple[list[RawExposure], str, list[str]]]:
    """Return what reads such a folder.

    Raises:
        ConfigurationFailure: it is neither a job's nor a session's.
    """
    if isFile(os.path.join(folder, SESSION)):
        return lambda path, _places: readSession(path)
    if isFile(os.path.join(folder, JOB)):
        return readJob
    raise ConfigurationFailure(
        f"--cryosparc={folder} is neither a job's folder (with {JOB}) nor a Live session's (with {SESSION})",
        "give the folder J… or S… of a project; of a session CryoSPARC writes the file when it is exported",
    )


def readExposures(folder: str, places: Places) -> Folder:
    """Read a folder; what is the same since it was read before is known to `places`.

    Raises:
        NotReady: it is not whole yet. ImageFailure: its files are not what they should be.
        ConfigurationFailure: it is no folder of CryoSPARC's. InfrastructureFailure: the disk does not answer.
    """
    raw, version, files = findReader(folder)(folder, places)
    return Folder(tuple(constructExposure(one, places) for one in raw), version, tuple(files))


def constructExposure(raw: RawExposure, places: Places) -> CryosparcExposure:
    """Return one exposure; a path or a value in it that cannot be refuses only this one."""
    nobody = Identity()
    exposure = CryosparcExposure(raw.uid, nobody, nobody, no_motion=raw.no_motion, no_fit=raw.no_fit,
                                 refused=raw.refused)  # fmt: skip
    try:
        movie, micrograph = raw.readText("movie_blob/path"), raw.readText("micrograph_blob/path")
        made = isMade(micrograph)
        exposure = replace(
            exposure,
            movie=identify(movie or (micrograph if made else ""), raw, places, bool(movie)),
            micrograph=nobody if made else identify(micrograph, raw, places, not movie),
        )
        contradiction = findContradiction(exposure, micrograph if made else "")
        exposure = replace(exposure, refused=exposure.refused or contradiction)
        motion = constructMotion(raw, places) if raw.readText("rigid_motion/path") else None
        fit = constructFit(raw, places, imported=not made)
    except Failure as failure:
        return replace(exposure, refused=exposure.refused or failure.reason)
    return replace(exposure, motion=motion, fit=fit, no_motion="" if motion else raw.no_motion,
                   no_fit="" if fit else raw.no_fit)  # fmt: skip


def identify(path: str, raw: RawExposure, places: Places, is_source: bool) -> Identity:
    """Return by what a file is recognised.

    Args:
        path: as it is told. is_source: whether the path and the signature of what was imported are this file's.
    """
    original = raw.original if is_source else ""
    plain = path.removeprefix(">")
    absolute = os.path.isabs(plain) and "\0" not in plain  # it is compared, not read, so it may be anywhere
    inside = plain if absolute else places.join(path)
    hops = places.follow(inside) if inside else ()
    further = places.follow(original) if os.path.isabs(original) else ()
    names = [stripName(one) for one in (path, *hops[1:2], original) if one]
    contradiction = ""
    if len(set(names)) > 1:
        contradiction = f"its names contradict each other: {' and '.join(dict.fromkeys(names))[:300]}"
    signature = raw.read("movie_blob/import_sig" if raw.readText("movie_blob/path") else "micrograph_blob/import_sig")
    known = is_source and isinstance(signature, int) and signature != 0
    # Where it is no link the path of the project's own file is none of Leginon's.
    paths = tuple(dict.fromkeys((*(hops if absolute else hops[1:]), *further)))
    return Identity(names[-1] if names else "", paths, signature % (1 << 64) if known else None, contradiction)


def findContradiction(exposure: CryosparcExposure, made: str) -> str:
    """Return why the names of an exposure are not to be believed; `made`: of its micrograph, if CryoSPARC made that."""
    found = exposure.movie.contradiction or exposure.micrograph.contradiction
    if not found and made and exposure.movie.name and stripName(made) != exposure.movie.name:
        found = f"its micrograph is called after another movie: {stripName(made)[:150]}, {exposure.movie.name[:150]}"
    return found


def constructImage(raw: RawExposure, slot: str, places: Places) -> CryosparcImage | None:
    """Return a micrograph, None where there is none."""
    path = places.join(raw.readText(f"{slot}/path"))
    shape = raw.readCounts(f"{slot}/shape")
    if not path:
        return None
    rows, columns = shape if len(shape) == 2 else (0, 0)
    return CryosparcImage(path, raw.readNumber(f"{slot}/psize_A") or 0.0, (rows, columns))


def constructMotion(raw: RawExposure, places: Places) -> CryosparcMotion | None:
    """Return the motion, None where a part of it is missing. Raises ImageFailure: a value cannot be."""
    first, last = raw.readCount("rigid_motion/frame_start"), raw.readCount("rigid_motion/frame_end")
    trajectory, sums = places.join(raw.readText("rigid_motion/path")), constructImage(raw, "micrograph_blob", places)
    plain = constructImage(raw, PLAIN, places)
    if not trajectory or (sums is None and plain is None):
        return None
    pixelsize = raw.readNumber("rigid_motion/psize_A") or raw.readNumber("movie_blob/psize_A") or 0.0
    if not 0 < pixelsize < 1000:
        raise ImageFailure("neither its motion nor its movie has a pixel size")
    shape = raw.readCounts("movie_blob/shape")
    weighted = sums if sums is not None and isWeighted(sums.path) else None
    return CryosparcMotion(
        trajectory=trajectory,
        index=raw.readCount("rigid_motion/idx") or 0,
        pixelsize=pixelsize,
        frames=shape[0] if len(shape) == 3 else 0,
        first=first or 0,
        last=last or 0,
        weighted=weighted,
        plain=plain if weighted is not None or plain is not None else sums,
        distance=raw.distance,
    )


def constructFit(raw: RawExposure, places: Places, imported: bool) -> CryosparcFit | None:
    """Return the CTF, None where there is none: 0 stands for a defocus that was not found."""
    defocus, angle = (raw.readNumber(f"ctf/df{number}_A") for number in (1, 2)), raw.readNumber("ctf/df_angle_rad")
    defocus_u, defocus_v = defocus
    micrograph = constructImage(raw, "micrograph_blob", places)
    voltage = raw.readNumber("ctf/accel_kv") or raw.readNumber("mscope_params/accel_kv")
    cs, contrast = raw.readNumber("ctf/cs_mm"), raw.readNumber("ctf/amp_contrast")
    if not defocus_u or not defocus_v or angle is None or micrograph is None or cs is None or contrast is None:
        return None
    resolution = raw.readNumber("ctf/ctf_fit_to_A") or raw.readNumber("ctf_stats/ctf_fit_to_A") or 0.0
    score = raw.readNumber("ctf/cross_corr_ctffind4")
    notes = ((name, raw.read(name)) for name in NOTES)
    return CryosparcFit(
        defocus_u=defocus_u, defocus_v=defocus_v, angle=angle, phase_shift=raw.readNumber("ctf/phase_shift_rad") or 0.0,
        amplitude_contrast=contrast, cs=cs, voltage=voltage or 0.0, resolution=max(0.0, resolution),
        micrograph=micrograph, imported=imported, score=score if score and score > 0 else None,
        correlation=raw.readNumber("ctf_stats/cross_corr"),
        notes=tuple((name, formatNote(value)) for name, value in notes if value not in (None, b"", "", [])),
    )  # fmt: skip


def formatNote(value: object) -> str:
    """Return a value as one short line."""
    if isinstance(value, bytes):
        value = value.rstrip(b"\0").decode(errors="replace")
    values: Sequence[object] = value if isinstance(value, list) else (value,)
    return " ".join(f"{one:.6g}" if isinstance(one, float) else str(one) for one in values)[:200]
