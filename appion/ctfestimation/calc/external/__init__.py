"""Running CTFFIND, ctffind-cpu or Gctf on one micrograph."""

from appion.ctfestimation.calc.external.ctf import calcCTF, constructArgv
from appion.ctfestimation.calc.external.program import checkProgram
from appion.ctfestimation.calc.external.prompts import constructAnswers

__all__ = ["calcCTF", "checkProgram", "constructAnswers", "constructArgv"]
