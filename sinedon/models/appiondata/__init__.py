"""A project's Appion database: what was run on a session's images and what came out."""

from sinedon.models.appiondata.ctf import (
    ApAce2ParamsData,
    ApAceParamsData,
    ApAceRunData,
    ApCtfData,
    ApCtfFind4ParamsData,
    ApCtfTiltParamsData,
    ApGCtfFindParamsData,
)
from sinedon.models.appiondata.ddstack import (
    ApAssessmentData,
    ApAssessmentRunData,
    ApDDAlignImagePairData,
    ApDDAlignStatsData,
    ApDDFrameTrajectoryData,
    ApDDStackParamsData,
    ApDDStackRunData,
)
from sinedon.models.appiondata.script import (
    ApAppionJobData,
    ApPathData,
    ScriptHostName,
    ScriptParamName,
    ScriptParamValue,
    ScriptProgramName,
    ScriptProgramRun,
    ScriptUserName,
)
from sinedon.models.appiondata.stack import ApParticleData, ApSelectionRunData, ApStackData, ApStackParticleData

__all__ = [
    "ApAce2ParamsData",
    "ApAceParamsData",
    "ApAceRunData",
    "ApAppionJobData",
    "ApAssessmentData",
    "ApAssessmentRunData",
    "ApCtfData",
    "ApCtfFind4ParamsData",
    "ApCtfTiltParamsData",
    "ApDDAlignImagePairData",
    "ApDDAlignStatsData",
    "ApDDFrameTrajectoryData",
    "ApDDStackParamsData",
    "ApDDStackRunData",
    "ApGCtfFindParamsData",
    "ApParticleData",
    "ApPathData",
    "ApSelectionRunData",
    "ApStackData",
    "ApStackParticleData",
    "ScriptHostName",
    "ScriptParamName",
    "ScriptParamValue",
    "ScriptProgramName",
    "ScriptProgramRun",
    "ScriptUserName",
]
