"""States of the microscope and the camera, presets and calibrations."""

from sinedon.fields import Boolean, Double, Integer, Reference, Sequence, Text
from sinedon.models.leginondata.base import CameraGeometry, InSession, LeginonRow, Optics


class ScopeEMData(Optics):
    """The microscope when an image was taken; high tension in V, stage position in m and rad."""

    system_time = Double("system time")
    focus = Double()
    reset_defocus = Integer("reset defocus")
    screen_current = Double("screen current")
    beam_blank = Text("beam blank")
    beam_tilt_x = Double("SUBD|beam tilt|x")
    beam_tilt_y = Double("SUBD|beam tilt|y")
    gun_shift_x = Double("SUBD|gun shift|x")
    gun_shift_y = Double("SUBD|gun shift|y")
    gun_tilt_x = Double("SUBD|gun tilt|x")
    gun_tilt_y = Double("SUBD|gun tilt|y")
    stigmator_condenser_x = Double("SUBD|stigmator|SUBD|condenser|x")
    stigmator_condenser_y = Double("SUBD|stigmator|SUBD|condenser|y")
    stigmator_objective_x = Double("SUBD|stigmator|SUBD|objective|x")
    stigmator_objective_y = Double("SUBD|stigmator|SUBD|objective|y")
    stigmator_diffraction_x = Double("SUBD|stigmator|SUBD|diffraction|x")
    stigmator_diffraction_y = Double("SUBD|stigmator|SUBD|diffraction|y")
    corrected_stage_position = Integer("corrected stage position")
    stage_position_a = Double("SUBD|stage position|a")
    stage_position_b = Double("SUBD|stage position|b")
    stage_position_x = Double("SUBD|stage position|x")
    stage_position_y = Double("SUBD|stage position|y")
    stage_position_z = Double("SUBD|stage position|z")
    holder_type = Text("holder type")
    holder_status = Text("holder status")
    stage_status = Text("stage status")
    vacuum_status = Text("vacuum status")
    column_valves = Text("column valves")
    column_pressure = Double("column pressure")
    turbo_pump = Text("turbo pump")
    high_tension = Integer("high tension")
    main_screen_position = Text("main screen position")
    main_screen_magnification = Integer("main screen magnification")
    small_screen_position = Text("small screen position")
    low_dose = Text("low dose")
    low_dose_mode = Text("low dose mode")
    film_stock = Integer("film stock")
    film_exposure_number = Integer("film exposure number")
    pre_film_exposure = Boolean("pre film exposure")
    post_film_exposure = Boolean("post film exposure")
    film_exposure = Boolean("film exposure")
    film_exposure_type = Text("film exposure type")
    film_exposure_time = Double("film exposure time")
    film_manual_exposure_time = Double("film manual exposure time")
    film_automatic_exposure_time = Double("film automatic exposure time")
    film_text = Text("film text")
    film_user_code = Text("film user code")
    film_date_type = Text("film date type")
    objective_current = Double("objective current")
    exp_wait_time = Double("exp wait time")
    tem_energy_filtered = Boolean("tem energy filtered")


class CameraEMData(CameraGeometry):
    """The camera when an image was taken; exposure and frame time in ms, pixel size of the sensor in m."""

    ccdcamera = Reference("InstrumentData")
    system_time = Double("system time")
    binned_multiplier = Double("binned multiplier")
    exposure_type = Text("exposure type")
    exposure_timestamp = Double("exposure timestamp")
    inserted = Boolean()
    dump = Boolean()
    pixel_size_x = Double("SUBD|pixel size|x")
    pixel_size_y = Double("SUBD|pixel size|y")
    energy_filtered = Boolean("energy filtered")
    nframes = Integer()
    frames_name = Text("frames name")
    frame_flip = Boolean("frame flip")
    frame_rotate = Integer("frame rotate")
    temperature = Double()
    temperature_status = Text("temperature status")
    gain_index = Integer("gain index")
    system_corrected = Boolean("system corrected")
    system_dark_subtracted = Boolean("system dark subtracted")
    frame_gain_corrected = Boolean("frame gain corrected")
    sum_gain_corrected = Boolean("sum gain corrected")
    intensity_averaged = Boolean("intensity averaged")
    tiff_frames = Boolean("tiff frames")
    eer_frames = Boolean("eer frames")


class PresetData(Optics, CameraGeometry):  # type: ignore[misc]  # each has a Meta
    """The settings an image is taken with; dose in e/m²."""

    ccdcamera = Reference("InstrumentData")
    number = Integer()
    name = Text()
    defocus_range_min = Double("defocus range min")
    defocus_range_max = Double("defocus range max")
    removed = Boolean()
    hasref = Boolean()
    dose = Double()
    film = Boolean()
    pre_exposure = Double("pre exposure")
    skip = Boolean()
    alt_channel = Boolean("alt channel")


class PixelSizeCalibrationData(InSession):
    """The pixel size (m, unbinned) of a camera at a magnification; the newest row not younger than an image counts."""

    tem = Reference("InstrumentData")
    ccdcamera = Reference("InstrumentData")
    magnification = Integer()
    high_tension = Integer("high tension")
    pixelsize = Double()
    comment = Text()


class K2FrameDMVersionChangeData(LeginonRow):
    """From which image on a K2's movies have another orientation, because the camera's software was changed."""

    k2camera = Reference("InstrumentData")
    image = Reference("AcquisitionImageData")
    dm_version = Sequence("SEQ|dm version")
    frame_flip = Boolean("frame flip")
    frame_rotate = Integer("frame rotate")
