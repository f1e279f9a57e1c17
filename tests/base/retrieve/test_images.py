"""Which images a step gets, and which of them are rejected at this moment."""

import itertools
import logging
import math

import pytest
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

import sinedon
from appion.base.cli.options import TILT_ANGLES, constructParser, parseArguments
from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.images import OVERLAP, FoundImage, constructSelection
from appion.base.retrieve.session import readSession
from appion.base.retrieve.tilts import TILT_TESTS, TiltFilter
from sinedon.models import appiondata, leginondata
from tests.services.sessions import addImages, makeSession


def select(*words, **needs):
    args = parseArguments(constructParser("program.py"), words)
    args.stackid = needs.pop("stackid", None)
    return constructSelection(args, readSession(args), **needs)


def names(candidates):
    return [candidate.filename for candidate in candidates]


def take(made, filename, preset=None, save=True, align=False, tilt=0.0, scope=None, target=None):
    """Insert one image; `tilt` in degrees."""
    camera = leginondata.CameraEMData.objects.create(session_id=made.session_id, save_frames=save, align_frames=align)
    if scope is None:
        radians = None if tilt is None else math.radians(tilt)
        scope = leginondata.ScopeEMData.objects.create(session_id=made.session_id, stage_position_a=radians).def_id
    image = leginondata.AcquisitionImageData.objects.create(
        session_id=made.session_id, filename=filename, camera=camera, scope_id=scope, preset_id=preset,
        target_id=target)
    return image.def_id


def addPreset(made, name, session_id=None):
    return sinedon.insertRow(leginondata.PresetData, session=session_id or made.session_id, name=name).def_id


def align(made, image_id, pair=True, save=True):
    """Insert an aligned image as motion correction does."""
    source = leginondata.AcquisitionImageData.objects.get(def_id=image_id)
    result = take(made, f"{source.filename}-a", addPreset(made, "enn-a"), align=True, save=save, scope=source.scope_id)
    if pair:
        appiondata.ApDDAlignImagePairData.objects.create(source_id=image_id, result_id=result)
    return result


@pytest.mark.usefixtures("anydatabase")
def test_images_of_a_preset_of_this_session_with_movies():
    made = makeSession(images=2)
    other = makeSession(images=2, name="26mar20b")
    changed = sinedon.insertRow(leginondata.PresetData, session=made.session_id, name="enn", dose=1.0)
    take(made, "changed", changed.def_id)
    take(made, "without-movie", made.preset_id, save=False)
    take(made, "hole", addPreset(made, "hl"))
    take(made, "foreign-preset", other.preset_id)
    take(made, "by-hand")
    with connections["leginondata"].cursor() as cursor:
        cursor.execute("UPDATE AcquisitionImageData SET `REF|PresetData|preset` = 0 WHERE DEF_id = %s",
                       [take(made, "by-hand-too")])
    session = f"--session={made.name}"
    found = [*made.filenames, "changed"]
    assert names(select(session, "--preset=enn")[0](0)) == found
    assert names(select(session, "--preset=enn", saved_frames=False)[0](0)) == [*found, "without-movie"]
    assert names(select(session, "--preset=manual")[0](0)) == ["by-hand", "by-hand-too"]
    assert names(select(session)[0](0)) == [*found, "hole", "foreign-preset", "by-hand", "by-hand-too"]
    first, last = made.image_ids
    assert [c.image_id for c in select(session, f"--startimgid={last}", f"--endimgid={last}")[0](0)] == [last]
    assert names(select(session, f"--endimgid={first}")[0](0)) == [made.filenames[0]]


@pytest.mark.usefixtures("database")
def test_a_preset_without_images_names_those_there_are(caplog):
    made = makeSession(images=3)
    take(made, "by-hand")
    retrieveCandidates, _ = select(f"--session={made.name}", "--preset=esn")
    assert retrieveCandidates(0) == retrieveCandidates(0) == []
    assert caplog.messages == ["no images of preset esn with a movie yet in session 26mar19a; there are "
                               "1 of preset manual, 3 of preset enn"], "said once"


@pytest.mark.usefixtures("database")
def test_listed_images_by_their_newest_row(caplog):
    made = makeSession(images=3)
    makeSession(images=3, name="26mar20b")
    newest = take(made, made.filenames[1], made.preset_id)
    line = f"--mrclist={made.filenames[1]}.mrc,/x/{made.filenames[0]}.box,nothing,26mar20b_00001enn"
    found = select(f"--session={made.name}", line)[0](0)
    assert [candidate.image_id for candidate in found] == [made.image_ids[0], newest]
    assert caplog.messages == ["--mrclist: no such image with a movie in session 26mar19a: 26mar20b_00001enn, nothing"]
    assert names(select(line.rpartition(",")[0])[0](0)) == names(found)


@pytest.mark.usefixtures("anydatabase")
def test_aligned_images_are_never_inputs(caplog):
    made = makeSession(images=3)
    results = [align(made, image_id, pair=image_id != made.image_ids[1]) for image_id in made.image_ids]
    by_camera = take(made, "aligned-by-the-camera", made.preset_id, align=True)
    session = f"--session={made.name}"
    everything = [*made.image_ids, *results, by_camera]
    assert [c.image_id for c in select(session)[0](0)] == [*made.image_ids, by_camera]
    assert [c.image_id for c in select(session, aligned=True)[0](0)] == everything
    assert [c.image_id for c in select(session, "--preset=enn-a", aligned=True)[0](0)] == results
    assert caplog.messages == []
    assert select(session, f"--mrclist={made.filenames[0]}-a")[0](0) == []
    assert caplog.messages == [f"1 aligned images are no input: {made.filenames[0]}-a"]


@pytest.mark.usefixtures("database")
def test_a_preset_of_aligned_images_only_is_refused():
    made = makeSession(images=1)
    session = f"--session={made.name}"
    retrieve, _ = select(session, "--preset=enn-a")
    assert retrieve(0) == []
    align(made, made.image_ids[0])
    with pytest.raises(ConfigurationFailure, match=r"--preset=enn-a: all 1 images .*1 of preset enn"):
        retrieve(0)
    take(made, "no-result", addPreset(made, "enn-a"))
    assert names(retrieve(0)) == ["no-result"]


@pytest.mark.usefixtures("anydatabase")
def test_new_images_are_found_and_old_ones_not_read_again():
    made = makeSession(images=2 * OVERLAP)
    retrieveCandidates, _ = select(f"--session={made.name}", "--preset=enn")
    with sinedon.countQueries() as first:
        assert len(retrieveCandidates(0)) == 2 * OVERLAP
    align(made, made.image_ids[0])
    last = made.image_ids[-1]
    with sinedon.countQueries() as second:
        assert retrieveCandidates(last) == []
    made = addImages(made, 2)
    with sinedon.countQueries() as third:
        assert [c.image_id for c in retrieveCandidates(last)] == list(made.image_ids[-2:])
    assert retrieveCandidates(made.image_ids[-1]) == []
    assert (first.count, second.count, third.count) == (3, 3, 3)
    assert [c.image_id for c in retrieveCandidates(made.image_ids[4])] == list(made.image_ids[5:])
    assert [c.image_id for c in retrieveCandidates(0)] == list(made.image_ids)


@pytest.mark.usefixtures("database")
def test_a_row_that_becomes_visible_late_is_not_missed():
    made = makeSession(images=3)
    late = leginondata.AcquisitionImageData.objects.filter(def_id=made.image_ids[1])
    late.update(session_id=None)
    retrieveCandidates, _ = select(f"--session={made.name}")
    assert len(retrieveCandidates(0)) == 2
    late.update(session_id=made.session_id)
    assert retrieveCandidates(made.image_ids[2]) == []
    assert {c.image_id for c in retrieveCandidates(made.image_ids[0])} == set(made.image_ids[1:])


@pytest.mark.usefixtures("database")
def test_images_of_a_particle_stack_and_their_exposures():
    made = makeSession(images=4)
    aligned = align(made, made.image_ids[2])
    stack = appiondata.ApStackData.objects.create(name="stack")
    for image_id in (made.image_ids[0], made.image_ids[0], aligned):
        particle = appiondata.ApParticleData.objects.create(image_id=image_id)
        appiondata.ApStackParticleData.objects.create(stack=stack, particle=particle)
    session = f"--session={made.name}"
    found = [c.image_id for c in select(session, stackid=stack.def_id)[0](0)]
    assert found == [made.image_ids[0], made.image_ids[2]]
    found = [c.image_id for c in select(session, stackid=stack.def_id, aligned=True)[0](0)]
    assert found == [made.image_ids[0], aligned]
    with pytest.raises(ConfigurationFailure, match="--stackid=99"):
        select(session, stackid=99)


@pytest.mark.usefixtures("database")
def test_stage_tilt(caplog):
    made = makeSession(images=0)
    for tilt in (-35, -2, 0, 3, 31, None):
        take(made, f"t{tilt}", tilt=tilt)
    session = f"--session={made.name}"
    assert len(select(session, "--tiltangle=all")[0](0)) == 6
    assert names(select(session, "--tiltangle=lowtilt")[0](0)) == ["t-2", "t0", "t3"]
    assert caplog.messages == ["--tiltangle=lowtilt: 1 images without a recorded stage tilt are left out: tNone"]
    retrieveCandidates, _ = select(session, "--tiltangle=hightilt")
    caplog.clear()
    assert names(retrieveCandidates(0)) == ["t-35", "t31"]
    assert retrieveCandidates(6) == []
    assert len(caplog.messages) == 1, "said once"


@pytest.mark.usefixtures("database")
def test_stage_tilts_that_cannot_be(caplog):
    """One of many is left out and told of; if all are in degrees nothing begins."""
    made = makeSession(images=0)
    for tilt in (0, math.degrees(45), 31):
        take(made, f"t{tilt:.0f}", tilt=tilt)
    session = f"--session={made.name}"
    assert names(select(session, "--tiltangle=hightilt")[0](0)) == ["t31"]
    assert "1 images are left out: image " in caplog.text
    assert "stage position a=45 is not possible: it looks like degrees" in caplog.text
    scopes = leginondata.ScopeEMData.objects
    for row in scopes.all():
        scopes.filter(def_id=row.def_id).update(stage_position_a=30.0)
    with pytest.raises(ConfigurationFailure, match="stage position a=30 is not possible: it looks like degrees"):
        select(session, "--tiltangle=hightilt")[0](0)


@settings(deadline=None)
@given(st.sampled_from(sorted(TILT_TESTS)), st.floats(-80, 80) | st.sampled_from([-30.0, -3.0, -2.0, 2.0, 3.0, 30.0]))
def test_tilt_filters_reject_what_their_names_say(tiltangle, tilt):
    rejected = {"notilt": abs(tilt) > 3, "hightilt": abs(tilt) < 30, "lowtilt": abs(tilt) >= 30,
                "minustilt": tilt > -2, "plustilt": tilt < 2, "all": False}
    assert TILT_TESTS[tiltangle](tilt) is not rejected[tiltangle]


def test_every_tilt_option_has_its_filter():
    assert set(TILT_ANGLES) == set(TILT_TESTS)
    assert TiltFilter("lowtilt").choose([FoundImage(1, "a", None, math.radians(40))]) == []


VIEWED = (None, "visible", "hidden", "trash", "exemplar")
ASSESSED = (None, 0, 1)


def judge(image_id, status=None, keep=None, session_id=None):
    if status is not None:
        leginondata.ViewerImageStatus.objects.create(image_id=image_id, status=status, session_id=session_id)
    if keep is not None:
        appiondata.ApAssessmentData.objects.create(image_id=image_id, selectionkeep=keep)


def combine(status, keep):
    viewed = {"hidden": False, "trash": False, "exemplar": True}.get(status)
    assessed = None if keep is None else bool(keep)
    if viewed is None or assessed is None:
        return assessed if viewed is None else viewed
    return viewed and assessed


@pytest.mark.usefixtures("anydatabase")
def test_judgements_are_combined_as_classic_does():
    cases = list(itertools.product(VIEWED, ASSESSED))
    made = makeSession(images=len(cases))
    verdicts = {}
    for image_id, (status, keep) in zip(made.image_ids, cases, strict=True):
        judge(image_id, status, keep)
        verdicts[image_id] = combine(status, keep)
    session = f"--session={made.name}"
    bad = {image_id for image_id, verdict in verdicts.items() if verdict is False}
    not_good = {image_id for image_id, verdict in verdicts.items() if verdict is not True}
    for words, rejected, queries in (((), set(), 0), (("--no-rejects",), bad, 5), (("--best-images",), not_good, 7),
                                     (("--no-rejects", "--best-images"), not_good, 7)):
        _, retrieveRejected = select(session, *words)
        for _ in range(2):
            with sinedon.countQueries() as asked:
                assert retrieveRejected() == rejected
            assert asked.count == queries, "new images are looked for, then their judgements"


@pytest.mark.usefixtures("database")
def test_the_newest_judgement_counts_and_is_asked_for_afresh():
    made = makeSession(images=2)
    image_id = made.image_ids[0]
    retrieveCandidates, retrieveRejected = select(f"--session={made.name}", "--no-rejects")
    retrieveCandidates(0)
    for status, rejected in (("hidden", {image_id}), ("visible", set()), ("trash", {image_id}), ("exemplar", set())):
        judge(image_id, status, session_id=made.session_id if status == "trash" else None)
        assert retrieveRejected() == rejected
    for keep, rejected in ((0, {image_id}), (1, set())):
        judge(image_id, keep=keep)
        assert retrieveRejected() == rejected


@pytest.mark.usefixtures("anydatabase")
def test_an_image_is_judged_by_its_sibling():
    made = makeSession(images=0)
    near, far, hole = (addPreset(made, name) for name in ("ef", "en", "hl"))

    def target(parent, number):
        return leginondata.AcquisitionImageTargetData.objects.create(image_id=parent, number=number).def_id

    square = take(made, "square", save=False)
    holes = [take(made, name, hole, save=False, target=target(square, 1)) for name in ("hole", "hole-again")]
    pairs = [(take(made, f"near{number}", near, target=target(holes[0], number)),
              take(made, f"far{number}", far, target=target(parent, number)))
             for number, parent in ((1, holes[0]), (2, holes[1]))]
    alone = take(made, "alone", near, target=target(square, 7))
    uploaded = [take(made, name) for name in ("up_1", "up_2")]
    for image_id in (pairs[0][1], pairs[1][1], uploaded[1]):
        judge(image_id, "hidden")
    session = f"--session={made.name}"
    retrieveCandidates, retrieveRejected = select(session, "--preset=ef", "--no-rejects", "--sib-assess")
    assert {c.image_id for c in retrieveCandidates(0)} == {pairs[0][0], pairs[1][0], alone}
    assert retrieveRejected() == {pairs[0][0], pairs[1][0]}
    judge(pairs[0][1], "exemplar")
    assert retrieveRejected() == {pairs[1][0]}
    retrieveCandidates, retrieveRejected = select(session, "--preset=ef", "--best-images", "--sib-assess")
    retrieveCandidates(0)
    assert retrieveRejected() == {pairs[1][0], alone}
    retrieveCandidates, retrieveRejected = select(session, "--preset=manual", "--no-rejects", "--sib-assess")
    retrieveCandidates(0)
    assert retrieveRejected() == {uploaded[0]}


@pytest.mark.usefixtures("classicdatabase")
def test_an_old_installation_without_the_newer_tables(caplog):
    caplog.set_level(logging.INFO)
    made = makeSession(images=2)
    retrieveCandidates, retrieveRejected = select(f"--session={made.name}", "--no-rejects", "--sib-assess")
    assert names(retrieveCandidates(0)) == list(made.filenames)
    assert retrieveRejected() == set()
