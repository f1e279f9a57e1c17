"""Which program was run where, by whom, with which parameters; its jobs and paths."""

from sinedon.fields import Integer, Reference, Text
from sinedon.models.appiondata.base import AppionRow


class ApPathData(AppionRow):
    path = Text()


class ApAppionJobData(AppionRow):
    """A job; `status` is Q, R, D, E, A, I or U."""

    path = Reference("ApPathData")
    name = Text()
    jobtype = Text()
    dmfpath = Reference("ApPathData")
    clusterpath = Reference("ApPathData")
    session = Reference("leginondata.SessionData")
    user = Text()
    cluster = Text()
    clusterjobid = Integer()
    status = Text(length=1)


class ScriptProgramName(AppionRow):
    name = Text()


class ScriptUserName(AppionRow):
    name = Text()
    uid = Integer()
    gid = Integer()
    fullname = Text()


class ScriptHostName(AppionRow):
    """`memory` in GiB; in kB in rows that classic wrote before 2025."""

    name = Text()
    ip = Text()
    system = Text()
    distro = Text()
    arch = Text()
    nproc = Integer()
    memory = Integer()
    cpu_vendor = Text()
    gpu_vendor = Text()


class ScriptProgramRun(AppionRow):
    runname = Text()
    revision = Text()
    progname = Reference("ScriptProgramName")
    username = Reference("ScriptUserName")
    hostname = Reference("ScriptHostName")
    rundir = Reference("ApPathData")
    job = Reference("ApAppionJobData")
    appion_path = Reference("ApPathData")
    unixshell = Text()


class ScriptParamName(AppionRow):
    name = Text()
    progname = Reference("ScriptProgramName")


class ScriptParamValue(AppionRow):
    value = Text()
    usage = Text()
    paramname = Reference("ScriptParamName")
    progrun = Reference("ScriptProgramRun")
