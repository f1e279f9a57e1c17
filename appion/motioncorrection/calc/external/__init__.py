"""Running MotionCor2, MotionCor3 or motioncor-cpu on one exposure."""

from appion.motioncorrection.calc.external.command import constructMotionCorCmd
from appion.motioncorrection.calc.external.log import parseMotionCorLog
from appion.motioncorrection.calc.external.motioncor import calcMotionCorrection
from appion.motioncorrection.calc.external.program import checkProgram

__all__ = ["calcMotionCorrection", "checkProgram", "constructMotionCorCmd", "parseMotionCorLog"]
