"""Bases of the Leginon models."""

from sinedon.fields import Boolean, Double, File, Integer, Reference, ReferenceId, Sequence, Text
from sinedon.models.base import Row


class LeginonRow(Row):
    """A row of the Leginon database."""

    class Meta(Row.Meta):
        abstract = True
        app_label = "leginondata"


class InSession(LeginonRow):
    """A row that belongs to a session."""

    session = Reference("SessionData")

    class Meta(LeginonRow.Meta):
        abstract = True


class CameraImage(InSession):
    """An image taken with a camera: what micrographs and reference images have in common."""

    mrc_image = File("MRC|image")
    pixeltype = Text()
    pixels = Integer()
    label = Text()
    filename = Text()
    list = Reference("ImageListData")
    queue = Reference("QueueData")
    scope = Reference("ScopeEMData")
    camera = Reference("CameraEMData")
    corrector_plan = Reference("CorrectorPlanData", "corrector plan")
    correction_channel = Integer("correction channel")
    channel = Integer()
    dark = Reference("DarkImageData")
    bright = Reference("BrightImageData")
    norm = Reference("NormImageData")
    use_frames = Sequence("SEQ|use frames")
    denoised = Boolean()

    class Meta(InSession.Meta):
        abstract = True


class CameraGeometry(InSession):
    """Dimension, binning and offset in pixels, and the exposure time in ms."""

    dimension_x = Integer("SUBD|dimension|x")
    dimension_y = Integer("SUBD|dimension|y")
    binning_x = Integer("SUBD|binning|x")
    binning_y = Integer("SUBD|binning|y")
    offset_x = Integer("SUBD|offset|x")
    offset_y = Integer("SUBD|offset|y")
    exposure_time = Double("exposure time")
    save_frames = Boolean("save frames")
    frame_time = Double("frame time")
    align_frames = Boolean("align frames")
    align_filter = Text("align filter")
    use_frames = Sequence("SEQ|use frames")
    readout_delay = Integer("readout delay")
    energy_filter = Boolean("energy filter")
    energy_filter_width = Double("energy filter width")
    energy_filter_offset = Double("energy filter offset")
    use_cds = Boolean("use cds")
    fast_save = Boolean("fast save")

    class Meta(InSession.Meta):
        abstract = True


class Optics(InSession):
    """The settings of a microscope that a preset and a state of the microscope share. Lengths in m, tilts in rad."""

    tem = Reference("InstrumentData")
    magnification = Integer()
    spot_size = Integer("spot size")
    intensity = Double()
    defocus = Double()
    image_shift_x = Double("SUBD|image shift|x")
    image_shift_y = Double("SUBD|image shift|y")
    beam_shift_x = Double("SUBD|beam shift|x")
    beam_shift_y = Double("SUBD|beam shift|y")
    diffraction_shift_x = Double("SUBD|diffraction shift|x")
    diffraction_shift_y = Double("SUBD|diffraction shift|y")
    tem_energy_filter = Boolean("tem energy filter")
    tem_energy_filter_width = Double("tem energy filter width")
    probe_mode = Text("probe mode")
    projection_mode = Text("projection mode")
    aperture_size_condenser_2 = Integer("SUBD|aperture size|condenser_2")
    aperture_size_objective = Integer("SUBD|aperture size|objective")
    aperture_size_selected_area = Integer("SUBD|aperture size|selected_area")

    class Meta(InSession.Meta):
        abstract = True


class Target(InSession):
    """A place on an image that is to be acquired."""

    delta_row = Double("delta row")
    delta_column = Double("delta column")
    scope = Reference("ScopeEMData")
    camera = Reference("CameraEMData")
    preset = Reference("PresetData")
    type = Text()
    version = Integer()
    number = Integer()
    status = Text()
    grid_id = ReferenceId("REF|GridData|grid")
    list_id = ReferenceId("REF|ImageTargetListData|list")
    spotmap_id = ReferenceId("REF|SpotWellMapData|spotmap")

    class Meta(InSession.Meta):
        abstract = True
