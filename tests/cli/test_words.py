"""What is made of the parsers of all commands: completion, tried in a real bash, and manual pages, seen by groff."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from appion.cli import constructParser, parsers
from appion.cli import main as appion
from appion.cli.manual import constructPages, escape
from appion.cli.parsers import constructParsers, subcommands

ROOT = Path(__file__).resolve().parent.parent.parent
COMMANDS = sorted(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])
TIMEOUT = 600

#: Words are typed after the command, the last one as far as it stands: what bash makes of the line, and what it offers.
ASK = """
ask() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  local spec=$(complete -p "$1"); spec=${spec##*-F }
  ${spec%% *} "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2> >(grep -v compopt >&2)
  echo "${COMPREPLY[@]}"
}
"""

TYPED = {
    "appion st": {"status"},
    "appion status --": {"--help", "--json", "--watch"},
    "appion export --optics-by ''": {"setting", "imageshift"},
    "appion demo --mov": {"--movie"},
    "appion completion ''": {"bash", "zsh", "fish"},
    "motioncor2.py --tiltangle = h": {"hightilt"},
    "motioncor2.py --tiltangle =": {"notilt", "hightilt", "lowtilt", "minustilt", "plustilt", "all"},
    "motioncor3.py --preset = enn --dosew": {"--doseweight"},
    "ctffind5.py --ampc": {"--ampcontrast"},
    "gctffind.py --runn": {"--runname"},
    "runJob.py ctff": {"ctffind4.py", "ctffind5.py"},
    "runJob.py --wall": {"--walltime"},
    "motioncor-cpu -InT": {"-InTiff"},
    "ctffind-cpu --omp": {"--omp-num-threads"},
    "sinedon in": {"init"},
    "sinedon init --app": {"--appiondb"},
}


def run(*words: object, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=TIMEOUT, **more)  # type: ignore


def listActions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.help != argparse.SUPPRESS]


def testEveryCommandIsDescribed():
    assert sorted(constructParsers(constructParser())) == COMMANDS
    assert subcommands(constructParser()).keys() == subcommands(constructParsers(constructParser())["appion"]).keys()


@pytest.mark.parametrize(("name", "described"), [("runJob.py", parsers.RUNJOB), ("ctffind-cpu", parsers.CTFFIND)])
def testWhatReadsItsWordsItselfHasTheOptionsOfItsHelp(name, described):
    said = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", run(sys.executable, ROOT / "bin" / name, "--help").stdout))
    assert said - {"-cpu"} <= {option for names, _, _ in described for option in names}
    assert {names[0] for names, _, _ in described} - said == set()


def testBashOffersWhatACommandTakes(tmp_path):
    done = run(sys.executable, "-m", "appion.cli", "completion", "bash", cwd=ROOT)
    (tmp_path / "all.bash").write_text(done.stdout)
    (tmp_path / "some where").mkdir()
    typed = [*TYPED, f"motioncor2.py --rundir = {shlex.quote(str(tmp_path / 'some'))}"]
    script = "\n".join([f"set -u\nsource {tmp_path}/all.bash", ASK, *(f"ask {words}" for words in typed)])
    done = run("bash", "--norc", "-c", script)
    assert done.stderr == ""
    offered = done.stdout.splitlines()
    assert {words: set(line.split()) for words, line in zip(TYPED, offered, strict=False)} == TYPED
    assert offered[-1] == str(tmp_path / "some where")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def testEachCommandHasAFileInWhichItsShellFindsNoFault(shell, tmp_path, capsys):
    assert appion(["completion", shell, "--out", str(tmp_path / "new")]) == 0
    files = sorted((tmp_path / "new").iterdir())
    assert len(capsys.readouterr().out.splitlines()) == len(files) == len(COMMANDS)
    options = {"appion": "watch", "motioncor2.py": "doseweight", "sinedon": "appiondb"}
    for name in COMMANDS:
        path = tmp_path / "new" / {"bash": name, "zsh": f"_{name}", "fish": f"{name}.fish"}[shell]
        assert options.get(name, "") in path.read_text()
        if shutil.which(shell):
            assert run(shell, "-n", path).stderr == ""


def testEveryOptionIsInItsPageAndGroffFindsNoFault(tmp_path):
    assert appion(["man", "--out", str(tmp_path)]) == 0
    described = {}
    for name, parser in constructParsers(constructParser()).items():
        described |= {name: parser, **{f"{name}-{one}": command for one, command in subcommands(parser).items()}}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.1" for name in described)
    for name, parser in described.items():
        text = (tmp_path / f"{name}.1").read_text(encoding="ascii")
        assert re.findall(r"^\.SH (\w+)", text, re.MULTILINE)[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
        assert "%(" not in text
        for action in listActions(parser):
            assert all(rf"\fB{escape(option)}\fR" in text for option in action.option_strings), f"{name}: {action}"
            named = [action.metavar or action.dest, *subcommands(parser)] if not action.option_strings else []
            assert all(escape(str(one)) in text for one in named[action.nargs == argparse.PARSER:]), f"{name}: {action}"
        if shutil.which("groff"):
            seen = run("groff", "-man", "-Tutf8", "-ww", "-rLL=200n", tmp_path / f"{name}.1")
            assert seen.stderr == ""
            plain = re.sub(r"\x1b\[[\d;]*m|.\x08", "", seen.stdout)
            assert all(option in plain for action in listActions(parser) for option in action.option_strings), name


def testWhatSteersRoffIsShownAsItIs():
    parser = argparse.ArgumentParser("appion", description=".so /etc/passwd \\n[.z] 'a' -- \u00c5\u00b2")
    parser.add_subparsers().add_parser("demo")
    page = constructPages(parser)["appion"]
    assert "\n.so" not in page
    if shutil.which("groff"):
        (seen := run("groff", "-man", "-Tutf8", "-ww", input=page)).check_returncode()
        assert ".so /etc/passwd \\n[.z] 'a' -- \u00c5\u00b2" in re.sub(r"\x1b\[[\d;]*m|.\x08", "", seen.stdout)
