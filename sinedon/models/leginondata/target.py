"""Targets, and the lists and parameters that images refer to."""

from sinedon.fields import Boolean, Double, Integer, Reference, ReferenceId, Text
from sinedon.models.leginondata.base import InSession, Target


class AcquisitionImageTargetData(Target):
    """A target on an image: images of one parent and number are siblings."""

    image = Reference("AcquisitionImageData")
    pause = Boolean()
    last_focused_id = ReferenceId("REF|ImageTargetListData|last_focused")


class EMTargetData(InSession):
    """How the microscope is moved to a target; lengths in m."""

    preset = Reference("PresetData")
    movetype = Text()
    image_shift_x = Double("SUBD|image shift|x")
    image_shift_y = Double("SUBD|image shift|y")
    beam_shift_x = Double("SUBD|beam shift|x")
    beam_shift_y = Double("SUBD|beam shift|y")
    stage_position_a = Double("SUBD|stage position|a")
    stage_position_b = Double("SUBD|stage position|b")
    stage_position_x = Double("SUBD|stage position|x")
    stage_position_y = Double("SUBD|stage position|y")
    stage_position_z = Double("SUBD|stage position|z")
    delta_z = Double("delta z")
    target = Reference("AcquisitionImageTargetData")


class ImageListData(InSession):
    targets_id = ReferenceId("REF|ImageTargetListData|targets")


class QueueData(InSession):
    label = Text()


class MoverParamsData(InSession):
    mover = Text()
    move_precision = Double("move precision")
    acquire_beam_tilt_x = Double("SUBD|acquire beam tilt|x")
    acquire_beam_tilt_y = Double("SUBD|acquire beam tilt|y")


class PhasePlateUsageData(InSession):
    """How often a patch of a phase plate has been used."""

    tem = Reference("InstrumentData")
    phase_plate_number = Integer("phase plate number")
    patch_position = Integer("patch position")
