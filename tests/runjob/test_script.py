"""The script that Slurm gets."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.base.failures import ConfigurationFailure
from appion.runjob.command import readRequest
from appion.runjob.script import constructDirectives, constructScript, fillTemplate

GOLDEN = Path(__file__).parent / "data" / "ddstack1.appionsub.job"


def testTheShippedTemplateFilledIn(monkeypatch):
    monkeypatch.setattr("appion.runjob.script.findCommands", lambda: "/opt/appion/bin")
    request = readRequest(
        shlex.split("wrap makeDDAlignMotionCor2_UCSF.py --bin=2 --description 'it'\"'\"'s $(late)' "
                    "--rundir='/h1/a b/ddstack1' --runname=ddstack1 --ppn=2 --nodes=1 --walltime=120 --mem=16 "
                    "--queue=main")
    )  # fmt: skip
    assert constructScript(request, None, 36) == GOLDEN.read_text()


def testBareNumbersAreHoursAndGigabytes():
    def construct(**options):
        return [line.removeprefix("#SBATCH ") for line in constructDirectives(options)]

    assert construct(walltime="120", mem="8") == ["--mem=8G", "--time=120:00:00"]
    assert construct(walltime="1-12:00:00", mem="800mb") == ["--mem=800M", "--time=1-12:00:00"]
    assert construct(nodes="1", ppn="8", queue="a,b") == ["--nodes=1", "--cpus-per-task=8", "--partition=a,b"]
    assert construct(jobid="5", cput="5") == []


@pytest.mark.parametrize("name", ["nodes", "ppn", "walltime", "mem", "queue"])
@pytest.mark.parametrize("value", ["", "x y", "1\n#SBATCH --uid=0", "$(ls)", ",1", "\u0661"])
def testAValueThatCannotBeIsRefused(name, value):
    with pytest.raises(ConfigurationFailure, match=f"--{name}="):
        constructDirectives({name: value})


def testATemplateOfTheSite(tmp_path):
    template = tmp_path / "own.sh"
    request = readRequest(["gctf.py", "--rundir=/r/d1", "--description={{ rundir }} $HOME"])
    template.write_text("#!/bin/sh\nname=${HOME}$$\n{{command}} >> {{ log }}\n")
    assert constructScript(request, str(template), None) == (
        "#!/bin/sh\nname=${HOME}$$\n"
        "gctf.py --rundir=/r/d1 '--description={{ rundir }} $HOME' >> /r/d1/d1.appionsub.log\n"
    )
    template.write_text("{{ command }} {{ comand }}")
    with pytest.raises(ConfigurationFailure, match=r"wants \{\{ comand \}\} \(there are command, "):
        constructScript(request, str(template), None)
    template.write_text("sleep 1")
    with pytest.raises(ConfigurationFailure, match="runs nothing"):
        constructScript(request, str(template), None)
    with pytest.raises(ConfigurationFailure, match=r"appion\.runjob\.template"):
        constructScript(request, str(tmp_path / "none.sh"), None)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4))
def testWordsOfTheCommandReachTheProgramUnchanged(words):
    program = [sys.executable, "-S", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", "--", *words]
    script = fillTemplate("{{ command }}", {"command": shlex.join(program)}, "test")
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=600)
    assert json.loads(done.stdout)[1:] == words
