"""Stand-ins for schedulers that are not to be had here: PBS, LSF, HTCondor and OAR, as far as their commands go.

They take the options that we give, print what the real ones were recorded to print (tests/base/workers/jobs/data), and
run jobs as processes of this machine, all at once. A job is a file in the folder STANDIN; that it has ended is another.

    STANDIN=folder python standins.py qsub script
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "pbs": ("qsub", "qselect", "qstat", "qdel", "qrls"),
    "lsf": ("bsub", "bjobs", "bkill", "bresume"),
    "htcondor": ("condor_submit", "condor_q", "condor_rm", "condor_release"),
    "oar": ("oarsub", "oarstat", "oardel", "oarresume"),
}
NODE = "node1"


class StandIn:
    """One of the schedulers. `environment` is what commands and programs need to talk to it."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.folder = folder / kind
        (self.folder / "bin").mkdir(parents=True)
        for program in PROGRAMS[kind]:
            path = self.folder / "bin" / program
            path.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {__file__} {program} "$@"\n')
            path.chmod(0o755)
        self.environment = {
            **os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "STANDIN": str(self.folder)
        }  # fmt: skip

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command against this scheduler."""
        return subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
        )

    def listJobs(self) -> dict[str, str]:
        """Return what state every job is in that has not ended, by number: held or running."""
        jobs = [readJob(path) for path in self.folder.glob("*.job")]
        return {job["number"]: job["state"] for job in jobs if job["state"] != "ended"}


# -- jobs ------------------------------------------------------------------------------------------------------------


def findFolder() -> Path:
    return Path(os.environ["STANDIN"])


def readJob(path: Path) -> dict:
    job = json.loads(path.read_text())
    if job["state"] == "running" and path.with_suffix(".done").exists():
        job["state"] = "ended"
        job["code"] = int(path.with_suffix(".done").read_text() or 1)
    return job


def listJobs() -> list[dict]:
    return [readJob(path) for path in sorted(findFolder().glob("*.job"), key=lambda path: int(path.stem))]


def addJob(form: str, name: str, script: str, held: bool, variables: dict[str, str]) -> dict:
    """Take a job; `form` is what its number looks like, `variables` what it finds in its environment."""
    key = 1
    while True:
        path = findFolder() / f"{key}.number"  # the job itself appears whole
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            key += 1
    number = form.format(key)
    variables = {variable: value.format(number=number, key=key) for variable, value in variables.items()}
    path.with_suffix(".sh").write_text(script)
    job = {"key": key, "number": number, "name": name, "state": "held", "code": 0, "variables": variables, "pid": 0}
    saveJob(job)
    if not held:
        startJob(job)
    return job


def saveJob(job: dict) -> None:
    path = findFolder() / f"{job['key']}.job"
    path.with_suffix(".new").write_text(json.dumps(job))
    path.with_suffix(".new").rename(path)


def startJob(job: dict) -> None:
    path = findFolder() / f"{job['key']}.sh"
    done = path.with_suffix(".done")
    process = subprocess.Popen(
        ["sh", "-c", f"bash {path}; echo $? > {done}.new; mv {done}.new {done}"], start_new_session=True, cwd="/",
        env={**os.environ, **job["variables"]}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    job |= {"state": "running", "pid": process.pid}
    saveJob(job)


def endJob(job: dict) -> None:
    if job["pid"]:
        os.killpg(job["pid"], signal.SIGKILL)
    job |= {"state": "ended", "code": -9}
    saveJob(job)


def changeJobs(numbers: list[str], complaint: str, change) -> int:
    """Have all jobs of these numbers changed that are there; say so of the others, and return the exit code."""
    jobs = {job["number"]: job for job in listJobs() if job["state"] != "ended"}
    for number in numbers:
        if number in jobs:
            change(jobs[number])
        else:
            print(complaint.format(number), file=sys.stderr)
    return 0 if set(numbers) <= jobs.keys() else 1


def findUser() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


# -- PBS -------------------------------------------------------------------------------------------------------------


def readDirectives(script: str, word: str) -> list[str]:
    lines = [line.removeprefix(word) for line in script.splitlines() if line.startswith(word)]
    return [part for line in lines for part in shlex.split(line)]


def runPBS(program: str, words: list[str]) -> int:
    if program == "qsub":
        script = Path(words[-1]).read_text()
        options = readDirectives(script, "#PBS ")
        name = options[options.index("-N") + 1]
        if len(name) > 15:
            print("qsub: illegal -N value", file=sys.stderr)
            return 2
        print(addJob("{}.pbsserver", name, script, "-h" in options, {"PBS_JOBID": "{number}"})["number"])
        return 0
    if program == "qselect":
        name, user = words[words.index("-N") + 1], words[words.index("-u") + 1]
        jobs = [job for job in listJobs() if job["name"] == name and job["state"] != "ended" and user == findUser()]
        print("".join(f"{job['number']}\n" for job in jobs), end="")
        return 0
    if program == "qstat":
        jobs = {job["number"]: job for job in listJobs() if job["state"] != "ended"}
        for number in (word for word in words if word != "-f"):
            if number in jobs:
                print(describePBS(jobs[number]))
        return 0
    return changeJobs(words, program + ": Unknown Job Id {}", startJob if program == "qrls" else endJob)


def describePBS(job: dict) -> str:
    lines = [f"Job Id: {job['number']}", f"    Job_Name = {job['name']}", f"    Job_Owner = {findUser()}@login1"]
    lines += [f"    job_state = {'R' if job['state'] == 'running' else 'H'}", "    queue = workq"]
    lines += [f"    exec_host = {NODE}/0*4"] if job["state"] == "running" else []
    lines += ["    Variable_List = PBS_O_HOME=/home/me,PBS_O_LANG=en_US.UTF-8,", "\tPBS_O_PATH=/usr/bin:/bin"]
    return "\n".join(lines) + "\n"


# -- LSF -------------------------------------------------------------------------------------------------------------


def runLSF(program: str, words: list[str]) -> int:
    if program == "bsub":
        script = sys.stdin.read()
        options = readDirectives(script, "#BSUB ")
        variables = {"LSB_JOBID": "{number}", "LSB_HOSTS": f"{NODE} {NODE}", "LSB_DJOB_NUMPROC": "2"}
        job = addJob("{}", options[options.index("-J") + 1], script, "-H" in options, variables)
        print(f"Job <{job['number']}> is submitted to default queue <normal>.")
        return 0
    if program == "bjobs":
        name = words[words.index("-J") + 1]
        jobs = [job for job in listJobs() if job["name"] == name]
        if not jobs:
            print(f"Job <{name}> is not found", file=sys.stderr)
            return 255
        records = [describeLSF(job) for job in jobs]
        print(json.dumps({"COMMAND": "bjobs", "JOBS": len(records), "RECORDS": records}, indent=2))
        return 0
    code = changeJobs(words, "Job <{}>: Job has already finished", startJob if program == "bresume" else endJob)
    return 255 if code else 0


def describeLSF(job: dict) -> dict[str, str]:
    ended = "DONE" if job["code"] == 0 else "EXIT"
    state = {"running": "RUN", "held": "PSUSP", "ended": ended}[job["state"]]
    why = "The job was suspended by the user while pending;" if state == "PSUSP" else ""
    killed = "TERM_OWNER: job killed by owner" if job["code"] == -9 else ""
    host = f"{NODE}:{NODE}" if job["pid"] else ""
    return {"JOBID": job["number"], "STAT": state, "EXEC_HOST": host, "JOB_NAME": job["name"], "PEND_REASON": why,
            "EXIT_REASON": killed}  # fmt: skip


# -- HTCondor --------------------------------------------------------------------------------------------------------


def runHTCondor(program: str, words: list[str]) -> int:
    if program == "condor_submit":
        lines = dict(re.findall(r"^([\w.]+) = (.*)$", Path(words[-1]).read_text(), re.MULTILINE))
        command = splitArguments(lines["Arguments"])
        assert "$(" not in lines["Arguments"], "HTCondor would replace it"
        ads = findFolder() / "ads"
        ads.mkdir(exist_ok=True)
        (ads / "machine").write_text(f'Machine = "{NODE}.site"\nCpus = 4\n')
        variables = {"_CONDOR_JOB_AD": f"{ads}/{{key}}", "_CONDOR_MACHINE_AD": f"{ads}/machine"}
        held = lines.get("hold") == "True"
        name = lines["MY.AppionRun"].strip('"')
        script = f'echo "ClusterId = $(basename "$_CONDOR_JOB_AD")" > "$_CONDOR_JOB_AD"\nexec {shlex.join(command)}\n'
        job = addJob("{}.0", name, script, held, variables)
        print(f"Submitting job(s).\n1 job(s) submitted to cluster {job['key']}.")
        return 0
    if program == "condor_q":
        name = re.search(r'AppionRun == "([^"]*)"', words[words.index("-constraint") + 1])
        records = [describeHTCondor(job) for job in listJobs() if name and job["name"] == name[1]]
        records = [record for record in records if record["JobStatus"] != 4]
        print(json.dumps(records, indent=2) + "\n" if records else "", end="")
        return 0
    if program == "condor_release":
        return changeJobs(words, "Couldn't find/release job {}", startJob)
    name = re.search(r'AppionRun == "([^"]*)"', words[-1])
    numbers = {f"{key}.0" for key in re.findall(r"ClusterId == (\d+)", words[-1])} if "-constraint" in words else words
    found = [job for job in listJobs() if job["number"] in numbers and job["state"] != "ended"]
    found = [job for job in found if name is None or job["name"] == name[1]]
    for job in found:
        endJob(job)
    if not found:
        print(f"Couldn't find/remove all jobs matching constraint {words[-1]}", file=sys.stderr)
    return 0 if found else 1


def describeHTCondor(job: dict) -> dict:
    ad = {"ClusterId": job["key"], "ProcId": 0, "AppionRun": job["name"]}
    if job["state"] == "held":
        return ad | {"JobStatus": 5, "HoldReason": "submitted on hold at user's request"}
    return ad | {"JobStatus": 2 if job["state"] == "running" else 4, "RemoteHost": f"slot1@{NODE}.site"}


def splitArguments(text: str) -> list[str]:
    """Return the words of HTCondor's `Arguments`, behind the shell that they are for."""
    inner = text.strip()[1:-1].replace('""', '"')
    parts = re.findall(r"((?:[^\s']|'(?:[^']|'')*')+)", inner)
    words = [re.sub(r"'((?:[^']|'')*)'", lambda match: match[1].replace("''", "'"), part) for part in parts]
    return ["/bin/sh", *words]


# -- OAR -------------------------------------------------------------------------------------------------------------


def runOAR(program: str, words: list[str]) -> int:
    if program == "oarsub":
        nodes = findFolder() / "nodes"
        nodes.write_text(f"{NODE}\n{NODE}\n")
        variables = {"OAR_JOB_ID": "{number}", "OAR_NODEFILE": str(nodes)}
        job = addJob("{}", words[words.index("-n") + 1], words[-1], "--hold" in words, variables)
        print(f"[ADMISSION RULE] Modify resource description with type constraints\nOAR_JOB_ID={job['number']}")
        return 0
    if program == "oarstat":
        jobs = [job for job in listJobs() if job["state"] != "ended"]
        print(json.dumps({job["number"]: describeOAR(job) for job in jobs}, indent=3))
        return 0
    return changeJobs(words, "Job {} is already terminated", startJob if program == "oarresume" else endJob)


def describeOAR(job: dict) -> dict:
    running = job["state"] == "running"
    return {"Job_Id": job["key"], "name": job["name"], "owner": findUser(), "state": "Running" if running else "Hold",
            "assigned_network_address": [NODE] if running else [], "message": "R=1,W=0:30:0,J=B"}  # fmt: skip


if __name__ == "__main__":
    kind = next(kind for kind, programs in PROGRAMS.items() if sys.argv[1] in programs)
    sys.exit({"pbs": runPBS, "lsf": runLSF, "htcondor": runHTCondor, "oar": runOAR}[kind](sys.argv[1], sys.argv[2:]))
