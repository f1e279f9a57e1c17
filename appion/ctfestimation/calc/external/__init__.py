"""Running CTFFIND, ctffind-cpu, Gctf or GCtfFind on one micrograph."""

from appion.ctfestimation.calc.external.ctf import calcCTF, constructArgv
from appion.ctfestimation.calc.external.gctffind import listReservations
from appion.ctfestimation.calc.external.program import checkProgram
from appion.ctfestimation.calc.external.prompts import asksAboutSample, constructAnswers

__all__ = ["asksAboutSample", "calcCTF", "checkProgram", "constructAnswers", "constructArgv", "listReservations"]
