"""Runs of frame alignment and their results."""

from sinedon.fields import Boolean, Double, Integer, Reference, ReferenceId, Sequence, Text
from sinedon.models.appiondata.base import AppionRow


class ApDDStackParamsData(AppionRow):
    preset = Text()
    align = Boolean()
    bin = Integer()
    stack = Reference("ApStackData")
    unaligned_ddstackrun = Reference("ApDDStackRunData")
    method = Text()
    de_aligner_id = ReferenceId("REF|ApDEAlignerParamsData|de_aligner")


class ApDDStackRunData(AppionRow):
    runname = Text()
    params = Reference("ApDDStackParamsData")
    session = Reference("leginondata.SessionData")
    path = Reference("ApPathData")


class ApDDAlignImagePairData(AppionRow):
    """An image and the aligned image made from its movie: the row that says an exposure is done."""

    source = Reference("leginondata.AcquisitionImageData")
    result = Reference("leginondata.AcquisitionImageData")
    ddstackrun = Reference("ApDDStackRunData")


class ApDDFrameTrajectoryData(AppionRow):
    """Position of each frame relative to the middle one, pixels of the aligned image, negated shifts."""

    image = Reference("leginondata.AcquisitionImageData")
    particle = Reference("ApStackParticleData")
    ddstackrun = Reference("ApDDStackRunData")
    pos_x = Sequence("SEQ|pos_x")
    pos_y = Sequence("SEQ|pos_y")
    last_x = Double()
    last_y = Double()
    number_of_positions = Integer()
    reference_index = Integer()


class ApDDAlignStatsData(AppionRow):
    """The largest shifts between neighbouring frames, pixels of the aligned image; `apix` is that pixel, Å."""

    image = Reference("leginondata.AcquisitionImageData")
    apix = Double()
    ddstackrun = Reference("ApDDStackRunData")
    top_shift1_index = Integer()
    top_shift1_value = Double()
    top_shift2_index = Integer()
    top_shift2_value = Double()
    top_shift3_index = Integer()
    top_shift3_value = Double()
    median_shift_value = Double()
    trajectory = Reference("ApDDFrameTrajectoryData")


class ApAssessmentRunData(AppionRow):
    session = Reference("leginondata.SessionData")
    name = Text()


class ApAssessmentData(AppionRow):
    """Whether a person keeps an image (1) or not (0); the newest row of an image counts."""

    assessmentrun = Reference("ApAssessmentRunData")
    image = Reference("leginondata.AcquisitionImageData")
    selectionkeep = Integer()
