"""A private Grid Engine for tests: one host with many slots, up in a second, gone with the tests.

Its daemons are children of the test process and die with it. GPUs are a number that the host has; nothing checks what a
job really uses. A host of Grid Engine is a machine, so that there is one alone.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

from tests.services.slurm import dieWithParent, findPorts

PROGRAMS = Path("/usr/lib/gridengine")
SHARED = Path("/usr/share/gridengine")
INSTALL = "apt-get install --no-install-recommends gridengine-master gridengine-exec gridengine-client"

#: The name of the host in this Grid Engine, whatever the machine's is.
HOST = "localhost"

BOOTSTRAP = """\
admin_user              {admin}
default_domain          none
ignore_fqdn             true
spooling_method         classic
spooling_lib            libspoolc
spooling_params         {root}/sge/test/common;{root}/spool/qmaster
binary_path             {programs}
qmaster_spool_dir       {root}/spool/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
"""

#: What is otherwise than Debian has it. Root may run jobs, for where tests run as root; nobody's profile is read first.
CONFIGURATION = {
    "execd_spool_dir": "{root}/spool/execd", "min_uid": "0", "min_gid": "0", "mailer": "/bin/true",
    "administrator_mail": "none", "shell_start_mode": "posix_compliant", "load_report_time": "00:00:05",
    "login_shells": "none",
}  # fmt: skip

SCHEDULER = {
    "schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1", "job_load_adjustments": "NONE",
    "load_formula": "slots", "schedd_job_info": "true",
}  # fmt: skip

EXECHOST = """\
hostname {host}
load_scaling NONE
complex_values gpu={gpus}
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""

#: Of the queue; all other limits are none. Its shell is the one that many sites have; no script of ours is for it.
QUEUE = {
    "qname": "main.q", "hostlist": "{host}", "seq_no": "0", "load_thresholds": "NONE", "suspend_thresholds": "NONE",
    "nsuspend": "1", "suspend_interval": "00:05:00", "priority": "0", "min_cpu_interval": "00:05:00",
    "processors": "UNDEFINED", "qtype": "BATCH", "ckpt_list": "NONE", "pe_list": "NONE", "rerun": "FALSE",
    "slots": "{slots}", "tmpdir": "{root}/tmp", "shell": "/bin/csh", "prolog": "NONE", "epilog": "NONE",
    "shell_start_mode": "posix_compliant", "starter_method": "NONE", "suspend_method": "NONE",
    "resume_method": "NONE", "terminate_method": "NONE", "notify": "00:00:60", "owner_list": "NONE",
    "user_lists": "NONE", "xuser_lists": "NONE", "subordinate_list": "NONE", "complex_values": "NONE",
    "projects": "NONE", "xprojects": "NONE", "calendar": "NONE", "initial_state": "default",
}  # fmt: skip
LIMITS = ("rt", "cpu", "fsize", "data", "stack", "core", "rss", "vmem")


def findGridEngine() -> bool:
    """Return whether everything that a private Grid Engine needs is installed."""
    needed = ("sge_qmaster", "sge_execd", "qsub", "qconf", "spooldefaults")
    return all(os.access(PROGRAMS / program, os.X_OK) for program in needed) and (SHARED / "util").is_dir()


class GridEngine:
    """One host with `slots` slots and `gpus` GPUs in the queue main.q, of which a job asks for some by `-l gpu=1`.

    `environment` is what commands and programs need to talk to it.
    """

    def __init__(self, slots: int = 8, gpus: int = 8) -> None:
        self.slots, self.gpus = slots, gpus
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.root = Path()
        self.environment: dict[str, str] = {}

    def start(self, timeout: float = 600) -> GridEngine:
        """Start everything and wait until the host takes jobs.

        Raises:
            RuntimeError: Grid Engine is not installed, or did not come up in time.
        """
        if not findGridEngine():
            raise RuntimeError(f"Grid Engine is not installed: {INSTALL}")
        self.root = Path(tempfile.mkdtemp(prefix="gridengine-", dir="/tmp"))
        self.root.chmod(0o755)
        for folder in ("sge/test/common", "spool/qmaster/job_scripts", "spool/execd", "log", "tmp"):
            (self.root / folder).mkdir(parents=True, mode=0o755)
        master, daemon = findPorts(2)
        self.environment = {
            **os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "SGE_ROOT": str(self.root / "sge"),
            "SGE_CELL": "test", "SGE_QMASTER_PORT": str(master), "SGE_EXECD_PORT": str(daemon),
        }  # fmt: skip
        try:
            self._writeCell()
            self.startMaster(timeout)
            self._configure()
            self._spawn("execd", PROGRAMS / "sge_execd")
            self._await(self._isReady, timeout, "the host takes no jobs")
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Cancel what runs, end all daemons and remove their files."""
        with contextlib.suppress(subprocess.SubprocessError, RuntimeError):
            if self._isRunning("qmaster"):
                self.cancelJobs(10)
        for name in ("execd", "qmaster"):
            self._end(name)
        if self.root.name.startswith("gridengine-"):
            shutil.rmtree(self.root, ignore_errors=True)

    def startMaster(self, timeout: float = 600) -> None:
        """Start the qmaster (again) and wait until it answers."""
        self._spawn("qmaster", PROGRAMS / "sge_qmaster")
        self._await(lambda: self.run("qconf", "-sh").returncode == 0, timeout, "qmaster does not answer")

    def stopMaster(self) -> None:
        """Stop the qmaster; jobs that run go on."""
        self._end("qmaster")

    def run(self, *command: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command such as qstat or qconf against this cluster."""
        return subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )

    def submit(self, script: str, *options: str) -> int:
        """Submit the lines of a shell script and return the job's number."""
        command = ("qsub", "-terse", "-j", "y", "-o", "/dev/null", "-S", "/bin/sh", *options)
        done = subprocess.run(command, env=self.environment, input=script, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"qsub: {done.stderr}{done.stdout}")
        return int(done.stdout)

    def listJobs(self) -> dict[int, str]:
        """Return the state, in letters, of every job that waits or runs, by number."""
        root = ElementTree.fromstring(self.run("qstat", "-xml", "-u", "*").stdout)
        found = ((job.findtext("JB_job_number"), job.findtext("state")) for job in root.iter("job_list"))
        return {int(number or 0): state or "" for number, state in found}

    def cancelJobs(self, timeout: float = 600) -> None:
        """Cancel all jobs and wait until none is left."""
        self.run("qdel", "-u", "*")
        self._await(lambda: not self.listJobs(), timeout, "jobs do not end")

    def heal(self) -> None:
        """Start again what has been stopped, and cancel all jobs: as new, but for the numbers of jobs."""
        if not self._isRunning("qmaster"):
            self.startMaster()
        if self.listJobs():
            self.cancelJobs()

    def _writeCell(self) -> None:
        sge, common = self.root / "sge", self.root / "sge/test/common"
        (sge / "util").symlink_to(SHARED / "util")
        for folder in ("bin", "lib", "utilbin"):
            (sge / folder).symlink_to(Path("/var/lib/gridengine") / folder)
        user = pwd.getpwuid(os.getuid()).pw_name
        admin = "none" if os.getuid() == 0 else user
        (common / "bootstrap").write_text(BOOTSTRAP.format(root=self.root, programs=PROGRAMS, admin=admin))
        (common / "act_qmaster").write_text(f"{HOST}\n")
        # Whatever the machine calls itself, and whatever its addresses are called, is one host.
        names = {os.uname().nodename, os.uname().nodename.partition(".")[0]} - {HOST}
        with contextlib.suppress(OSError):
            names |= {socket.gethostbyaddr("127.0.0.1")[0]} - {HOST}
        (common / "host_aliases").write_text(f"{' '.join([HOST, *sorted(names)])}\n")
        configuration = self.root / "configuration"
        configuration.write_text(change((SHARED / "default-configuration").read_text(), CONFIGURATION, root=self.root))
        spool = f"{common};{self.root / 'spool/qmaster'}"
        self._must("spoolinit", "classic", "libspoolc", spool, "init")
        for words in (("configuration", str(configuration)), ("complexes", str(SHARED / "util/resources/centry")),
                      ("usersets", str(SHARED / "util/resources/usersets")), ("managers", user)):  # fmt: skip
            self._must("spooldefaults", *words)

    def _configure(self) -> None:
        """Make host and queue, and have the scheduler look every second."""
        values = {"host": HOST, "gpus": self.gpus, "slots": self.slots, "root": self.root}
        limits = {f"{kind}_{what}": "INFINITY" for what in LIMITS for kind in "sh"}
        queue = "".join(f"{key} {value}\n" for key, value in {**QUEUE, **limits}.items())
        complexes = self._must("qconf", "-sc").stdout + "gpu gpu INT <= YES YES 0 0\n"
        scheduler = change(self._must("qconf", "-ssconf").stdout, SCHEDULER)
        self._must("qconf", "-as", HOST)
        for option, text in (("-Mc", complexes), ("-Ae", EXECHOST.format(**values)), ("-Msconf", scheduler),
                             ("-Aq", queue.format(**values))):  # fmt: skip
            path = self.root / f"qconf{option}"
            path.write_text(text)
            self._must("qconf", option, str(path))

    def _isReady(self) -> bool:
        """Whether the host has said what it is; before that its queue is in state u."""
        lines = self.run("qstat", "-f").stdout.splitlines()
        return any(line.startswith("main.q") and len(line.split()) == 5 and "-NA-" not in line for line in lines)

    def _must(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        done = self.run(str(PROGRAMS / program), *words)
        if done.returncode:
            raise RuntimeError(f"Grid Engine: {program} {' '.join(words)}: {done.stdout}{done.stderr}")
        return done

    def _spawn(self, name: str, program: Path) -> None:
        """Start a daemon that stays in front; the qmaster then tells of each round of its scheduler, to nobody."""
        with (self.root / "log" / f"{name}.out").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [program], env={**self.environment, "SGE_ND": "1"}, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log, start_new_session=True, preexec_fn=dieWithParent,
            )  # fmt: skip

    def _isRunning(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def _end(self, name: str) -> None:
        """By force: both take seconds to end in good order."""
        if process := self.processes.pop(name, None):
            process.send_signal(signal.SIGKILL)
            process.wait(10)

    def _await(self, condition: Callable[[], bool], timeout: float, trouble: str) -> None:
        end = time.monotonic() + timeout
        while not condition():
            dead = [name for name, process in self.processes.items() if process.poll() is not None]
            if dead or time.monotonic() > end:
                messages = [*(self.root / "log").glob("*.out"), *(self.root / "spool").rglob("messages")]
                logs = "".join(path.read_text(errors="replace")[-1500:] for path in messages)
                raise RuntimeError(f"Grid Engine: {trouble}{f'; ended: {dead}' if dead else ''}\n{logs}")
            time.sleep(0.05)


def change(text: str, values: dict[str, str], **words: object) -> str:
    """Return lines of a key and a value with other values."""
    given = dict(line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return "".join(f"{key} {value}\n" for key, value in {**given, **values}.items()).format(**words)
