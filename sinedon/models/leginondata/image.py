"""Images, their references and what is recorded about them."""

from sinedon.fields import Boolean, Double, Integer, Reference, ReferenceId, Sequence, Text
from sinedon.models.leginondata.base import CameraImage, InSession, LeginonRow


class AcquisitionImageData(CameraImage):
    """A micrograph, as acquired or as made from its movie."""

    preset = Reference("PresetData")
    target = Reference("AcquisitionImageTargetData")
    emtarget = Reference("EMTargetData")
    grid_id = ReferenceId("REF|GridData|grid")
    spotmap_id = ReferenceId("REF|SpotWellMapData|spotmap")
    tilt_series_id = ReferenceId("REF|TiltSeriesData|tilt series")
    version = Integer()
    tiltnumber = Integer()
    mover = Reference("MoverParamsData")
    phase_plate = Reference("PhasePlateUsageData", "phase plate")


class DarkImageData(CameraImage):
    """A dark reference."""


class BrightImageData(CameraImage):
    """A bright reference."""


class NormImageData(CameraImage):
    """A gain reference: what an image is multiplied with."""


class CorrectorPlanData(InSession):
    """Bad rows, columns and (x, y) pixels of a camera."""

    camera = Reference("CameraEMData")
    bad_rows = Sequence("SEQ|bad_rows")
    bad_cols = Sequence("SEQ|bad_cols")
    bad_pixels = Sequence("SEQ|bad_pixels")
    clip_limits = Sequence("SEQ|clip_limits")
    despike = Boolean()
    despike_size = Integer("despike size")
    despike_threshold = Double("despike threshold")


class ViewerImageStatus(InSession):
    """hidden, visible, exemplar or trash; the newest row of an image counts, whatever its session."""

    image = Reference("AcquisitionImageData")
    status = Text()


class ObjIceThicknessData(LeginonRow):
    """Ice thickness (nm) from the loss at the objective aperture."""

    vacuum_intensity = Double("vacuum intensity")
    mfp = Double()
    intensity = Double()
    thickness = Double()
    image = Reference("AcquisitionImageData")


class ZeroLossIceThicknessData(LeginonRow):
    """Ice thickness (nm) from the loss at the energy slit."""

    image = Reference("AcquisitionImageData")
    no_slit_mean = Double("no slit mean")
    no_slit_sd = Double("no slit sd")
    slit_mean = Double("slit mean")
    slit_sd = Double("slit sd")
    thickness = Double()
