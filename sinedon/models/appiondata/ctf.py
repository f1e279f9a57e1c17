"""Runs of CTF estimation, their parameters and their results."""

from sinedon.fields import Boolean, Double, Integer, Reference, ReferenceId, Text
from sinedon.models.appiondata.base import AppionRow


class ApAceParamsData(AppionRow):
    display = Integer()
    stig = Integer()
    medium = Text()
    df_override = Double()
    edgethcarbon = Double()
    edgethice = Double()
    pfcarbon = Double()
    pfice = Double()
    overlap = Integer()
    fieldsize = Integer()
    resamplefr = Double()
    drange = Integer()
    reprocess = Double()


class ApAce2ParamsData(AppionRow):
    bin = Integer()
    reprocess = Double()
    cs = Double()
    stig = Boolean()
    min_defocus = Double()
    max_defocus = Double()
    edge_thresh = Double()
    edge_blur = Double()
    rot_blur = Double()
    refine2d = Boolean()
    onepass = Double()
    zeropass = Double()


class ApCtfTiltParamsData(AppionRow):
    medium = Text()
    ampcarbon = Double()
    ampice = Double()
    fieldsize = Integer()
    cs = Double()
    bin = Integer()
    resmin = Double()
    resmax = Double()
    defstep = Double()
    dast = Double()


class ApCtfFind4ParamsData(AppionRow):
    """Parameters of ctffind4 and gctf; Cs in mm, defocus step in µm, phase shifts in degrees."""

    ampcontrast = Double()
    fieldsize = Integer()
    cs = Double()
    bestdb = Boolean()
    resmin = Double()
    defstep = Double()
    shift_phase = Boolean()
    min_phase_shift = Double()
    max_phase_shift = Double()
    phase_search_step = Double()
    local_refine = Boolean()


class ApGCtfFindParamsData(AppionRow):
    """Parameters of gctffind; Cs in mm, astigmatism as a fraction of the defocus, phase shifts in degrees."""

    ampcontrast = Double()
    fieldsize = Integer()
    cs = Double()
    shift_phase = Boolean()
    astig = Double()
    min_phase_shift = Double()
    max_phase_shift = Double()


class ApAceRunData(AppionRow):
    """A run of any CTF program: the parameters it refers to tell which."""

    aceparams = Reference("ApAceParamsData")
    ctftilt_params = Reference("ApCtfTiltParamsData")
    ace2_params = Reference("ApAce2ParamsData")
    ctffind4_params = Reference("ApCtfFind4ParamsData")
    gctffind_params = Reference("ApGCtfFindParamsData")
    xmipp_ctf_params_id = ReferenceId("REF|ApXmippCtfParamsData|xmipp_ctf_params")
    session = Reference("leginondata.SessionData")
    path = Reference("ApPathData")
    name = Text()
    hidden = Boolean()
    transferred = Boolean()


class ApCtfData(AppionRow):
    """The CTF of an image; defocus in m, positive for underfocus, angles in degrees, Cs in mm, resolutions in Å."""

    acerun = Reference("ApAceRunData")
    image = Reference("leginondata.AcquisitionImageData")
    cs = Double()
    defocusinit = Double()
    amplitude_contrast = Double()
    defocus1 = Double()
    defocus2 = Double()
    angle_astigmatism = Double()
    ctffind4_resolution = Double()
    confidence = Double()
    confidence_d = Double()
    confidence_30_10 = Double()
    confidence_5_peak = Double()
    overfocus_conf_30_10 = Double()
    overfocus_conf_5_peak = Double()
    resolution_80_percent = Double()
    resolution_50_percent = Double()
    graph1 = Text()
    graph2 = Text()
    graph3 = Text()
    graph4 = Text()
    localplot = Text()
    localCTFstarfile = Text()
    ctfvalues_file = Text()
    cross_correlation = Double()
    tilt_angle = Double()
    tilt_axis_angle = Double()
    mat_file = Text()
    extra_phase_shift = Double()
    snr = Double()
    noise1 = Double()
    noise2 = Double()
    noise3 = Double()
    noise4 = Double()
    envelope1 = Double()
    envelope2 = Double()
    envelope3 = Double()
    envelope4 = Double()
    lowercutoff = Double()
    uppercutoff = Double()
