"""A private Slurm for tests: several nodes on this machine, any user, up in a second, gone with the tests.

Its daemons are children of the test process and die with it. GPUs are character devices every machine has; nothing
checks how much memory or how many processors a job really uses, so that nodes may claim more than there is.
"""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
INSTALL = "apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"

#: What GPUs are made of: Slurm wants a device file for each and shows their number in CUDA_VISIBLE_DEVICES.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")

#: States of a job that will not run any more.
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "OUT_OF_MEMORY",
                   "PREEMPTED", "DEADLINE"})  # fmt: skip

CONFIG = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/%n.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=2
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
SlurmdTimeout={patience}
KillWait=2
MinJobAge=600
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefMemPerCPU=500 State=UP
PartitionName=preprocessing Nodes=ALL MaxTime=10-0 DefMemPerCPU=500 State=UP
{extra}
"""

NODE = (
    "NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={cpus} Sockets=1 CoresPerSocket={cpus} "
    "ThreadsPerCore=1 RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN"
)


def findSlurm() -> bool:
    """Return whether everything that a private Slurm needs is installed."""
    return all(shutil.which(program, path=PATH) for program in PROGRAMS)


def dieWithParent() -> None:
    """Ask the system to kill the calling process when its parent dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Slurm:
    """A cluster of `nodes` nodes named n1, n2, …, each with processors, megabytes of memory and GPUs as given.

    All of them are in the partitions main (the default) and preprocessing.
    `environment` is what commands and programs need to talk to it. `extra` is added to slurm.conf; `patience` is the
    number of seconds after which a silent node counts as down.
    """

    def __init__(self, nodes: int = 4, cpus: int = 4, memory: int = 8000, gpus: int = 2, extra: str = "",
                 patience: int = 30) -> None:  # fmt: skip
        self.nodes = tuple(f"n{number + 1}" for number in range(nodes))
        self.cpus, self.memory, self.gpus, self.extra, self.patience = cpus, memory, gpus, extra, patience
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.root = Path()
        self.config = Path()
        self.environment: dict[str, str] = {}

    def start(self, timeout: float = 600) -> Slurm:
        """Start everything and wait until all nodes are idle.

        Raises:
            RuntimeError: Slurm is not installed, or did not come up in time.
        """
        if not findSlurm():
            raise RuntimeError(f"Slurm is not installed: {INSTALL}")
        # munge wants its socket in a folder that everyone may enter: pytest's own folders are private.
        self.root = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.root.chmod(0o711)
        for folder in ("munge", "state", "spool", "run", "log"):
            (self.root / folder).mkdir(mode=0o755)
        self.config = self.root / "slurm.conf"
        self.environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(self.config)}
        self._writeConfig()
        try:
            self._startMunge(timeout)
            self.startController(timeout, clean=True)
            for node in self.nodes:
                self.startNode(node)
            self._await(lambda: self._countIdle() == len(self.nodes), timeout, "nodes are not idle")
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Cancel what runs, end all daemons and remove their files."""
        with contextlib.suppress(subprocess.SubprocessError, RuntimeError):
            if self._isRunning("slurmctld"):
                self.cancelJobs()
        for name in (*self.nodes, "slurmctld", "munged"):
            self._end(name, signal.SIGTERM)
        if self.root.name.startswith("slurm-"):
            shutil.rmtree(self.root, ignore_errors=True)

    def startController(self, timeout: float = 600, clean: bool = False) -> None:
        """Start slurmctld (again) and wait until it answers; `clean` forgets all jobs there were."""
        self._spawn("slurmctld", "slurmctld", "-D", *(["-c"] if clean else []))
        self._await(lambda: self.run("scontrol", "ping").returncode == 0, timeout, "slurmctld does not answer")

    def stopController(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """Stop slurmctld; jobs that run go on."""
        self._end("slurmctld", sign)

    def startNode(self, node: str) -> None:
        """Start the daemon of a node (again); does not wait for it."""
        self._spawn(node, "slurmd", "-D", "-N", node)

    def stopNode(self, node: str, sign: signal.Signals = signal.SIGKILL) -> None:
        """Stop the daemon of a node; what runs there goes on unless it is killed too."""
        self._end(node, sign)

    def run(self, *command: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command such as squeue or scontrol against this cluster."""
        return subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )

    def submit(self, script: str, *options: str) -> int:
        """Submit the lines of a shell script and return the job's id."""
        done = self.run("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}")
        if done.returncode:
            raise RuntimeError(f"sbatch: {done.stderr}")
        return int(done.stdout.partition(";")[0])

    def listJobs(self) -> dict[int, str]:
        """Return the state of every job that waits or runs, by id."""
        lines = self.run("squeue", "--noheader", "--format=%A %T").stdout.split("\n")
        return {int(job): state for job, state in (line.split() for line in lines if line.strip())}

    def readJob(self, job: int) -> dict[str, str]:
        """Return what `scontrol show job` says of a job, also of one that has ended."""
        words = self.run("scontrol", "--oneliner", "show", "job", str(job)).stdout.split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def awaitJob(self, job: int, states: Iterable[str] = ENDED, timeout: float = 600) -> str:
        """Wait until a job is in one of these states (default: has ended) and return the state."""
        wanted = frozenset(states)
        self._await(lambda: self.readJob(job).get("JobState") in wanted, timeout, f"job {job} is not {sorted(wanted)}")
        return self.readJob(job)["JobState"]

    def cancelJobs(self, timeout: float = 600) -> None:
        """Cancel all jobs and wait until none is left."""
        self.run("scancel", f"--user={getpass.getuser()}")
        self._await(lambda: not self.listJobs(), timeout, "jobs do not end")

    def heal(self) -> None:
        """Start again what has been stopped, and cancel all jobs: as new, but for the ids of jobs."""
        if not self._isRunning("slurmctld"):
            self.startController()
        for node in self.nodes:
            if not self._isRunning(node):
                self.startNode(node)
        self.cancelJobs()
        if self._countIdle() < len(self.nodes):
            self.resumeNodes()
        self._await(lambda: self._countIdle() == len(self.nodes), 30, "nodes are not idle again")

    def resumeNodes(self) -> None:
        """Give back nodes that Slurm drained, which it does when a job dies while it is launched or killed."""
        for node in self.nodes:
            self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")  # an error if there is nothing to resume

    def _writeConfig(self) -> None:
        controller, *ports = findPorts(1 + len(self.nodes))
        nodes = [
            NODE.format(name=name, port=port, cpus=self.cpus, memory=self.memory, gpus=self.gpus)
            for name, port in zip(self.nodes, ports, strict=True)
        ]
        self.config.write_text(
            CONFIG.format(port=controller, user=getpass.getuser(), root=self.root, nodes="\n".join(nodes),
                          extra=self.extra, patience=self.patience)
        )  # fmt: skip
        gpus = [f"NodeName={name} Name=gpu File={device}\n" for name in self.nodes for device in DEVICES[: self.gpus]]
        (self.root / "gres.conf").write_text("".join(gpus))

    def _startMunge(self, timeout: float) -> None:
        folder = self.root / "munge"
        key = folder / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self._spawn(
            "munged", "munged", "--foreground", f"--key-file={key}", f"--socket={folder / 'socket'}",
            f"--pid-file={folder / 'pid'}", f"--log-file={folder / 'log'}", f"--seed-file={folder / 'seed'}",
        )  # fmt: skip
        self._await((folder / "socket").exists, timeout, "munged does not answer")

    def _countIdle(self) -> int:
        return self.run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%T").stdout.split().count("idle")

    def _spawn(self, name: str, *command: str) -> None:
        with (self.root / "log" / f"{name}.out").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=dieWithParent,
            )  # fmt: skip

    def _isRunning(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def _end(self, name: str, sign: signal.Signals) -> None:
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.send_signal(sign)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def _await(self, condition: Callable[[], bool], timeout: float, trouble: str) -> None:
        end = time.monotonic() + timeout
        while not condition():
            dead = [name for name, process in self.processes.items() if process.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "".join((self.root / "log" / f"{name}.out").read_text()[-1500:] for name in dead)
                raise RuntimeError(f"Slurm: {trouble}{f'; ended: {dead}' if dead else ''}\n{logs}")
            time.sleep(0.05)


def findPorts(number: int) -> list[int]:
    """Return ports of this machine that are free, all different."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
