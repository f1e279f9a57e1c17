"""Particle stacks: which images their particles come from."""

from sinedon.fields import Boolean, Double, Integer, Reference, ReferenceId, Text
from sinedon.models.appiondata.base import AppionRow


class ApSelectionRunData(AppionRow):
    name = Text()
    hidden = Boolean()
    path = Reference("ApPathData")
    session = Reference("leginondata.SessionData")
    params_id = ReferenceId("REF|ApSelectionParamsData|params")
    dogparams_id = ReferenceId("REF|ApDogParamsData|dogparams")
    manparams_id = ReferenceId("REF|ApManualParamsData|manparams")
    tiltparams_id = ReferenceId("REF|ApTiltAlignParamsData|tiltparams")
    description = Text()


class ApParticleData(AppionRow):
    selectionrun = Reference("ApSelectionRunData")
    image = Reference("leginondata.AcquisitionImageData")
    xcoord = Integer()
    ycoord = Integer()
    angle = Double()
    correlation = Double()
    template_id = ReferenceId("REF|ApTemplateImageData|template")
    peakmoment = Double()
    peakstddev = Double()
    peakarea = Integer()
    diameter = Double()
    label = Text()
    helixnum = Integer()


class ApStackData(AppionRow):
    path = Reference("ApPathData")
    name = Text()
    description = Text()
    hidden = Boolean()
    oldstack = Reference("ApStackData")
    substackname = Text()
    pixelsize = Double()
    centered = Boolean()
    junksorted = Boolean()
    beamtilt_corrected = Boolean()
    mask = Integer()
    maxshift = Integer()
    boxsize = Integer()


class ApStackParticleData(AppionRow):
    particleNumber = Integer()
    stack = Reference("ApStackData")
    stackRun_id = ReferenceId("REF|ApStackRunData|stackRun")
    particle = Reference("ApParticleData")
    mean = Double()
    stdev = Double()
    min = Double()
    max = Double()
    skew = Double()
    kurtosis = Double()
    edgemean = Double()
    edgestdev = Double()
    centermean = Double()
    centerstdev = Double()
