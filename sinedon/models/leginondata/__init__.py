"""The Leginon database: sessions, images and the instruments they were taken with."""

from sinedon.models.leginondata.image import (
    AcquisitionImageData,
    BrightImageData,
    CorrectorPlanData,
    DarkImageData,
    NormImageData,
    ObjIceThicknessData,
    ViewerImageStatus,
    ZeroLossIceThicknessData,
)
from sinedon.models.leginondata.instrument import (
    CameraEMData,
    K2FrameDMVersionChangeData,
    PixelSizeCalibrationData,
    PresetData,
    ScopeEMData,
)
from sinedon.models.leginondata.session import (
    BufferFramePathData,
    BufferHostData,
    GridHolderData,
    GroupData,
    InstrumentData,
    SessionData,
    SessionDoneLog,
    UserData,
)
from sinedon.models.leginondata.target import (
    AcquisitionImageTargetData,
    EMTargetData,
    ImageListData,
    MoverParamsData,
    PhasePlateUsageData,
    QueueData,
)

__all__ = [
    "AcquisitionImageData",
    "AcquisitionImageTargetData",
    "BrightImageData",
    "BufferFramePathData",
    "BufferHostData",
    "CameraEMData",
    "CorrectorPlanData",
    "DarkImageData",
    "EMTargetData",
    "GridHolderData",
    "GroupData",
    "ImageListData",
    "InstrumentData",
    "K2FrameDMVersionChangeData",
    "MoverParamsData",
    "NormImageData",
    "ObjIceThicknessData",
    "PhasePlateUsageData",
    "PixelSizeCalibrationData",
    "PresetData",
    "QueueData",
    "ScopeEMData",
    "SessionData",
    "SessionDoneLog",
    "UserData",
    "ViewerImageStatus",
    "ZeroLossIceThicknessData",
]
