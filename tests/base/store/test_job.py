"""The job row: exactly the given one, else that of the run folder, else a new one; its status letters."""

import socket

import pytest
from django.db import OperationalError

import sinedon
from appion.base.cli.options import constructParser, parseArguments
from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.host import readUserName
from appion.base.store.job import failQueuedJob, finishJob, isAborted, startJob, updateJobStatus
from appion.base.store.path import savePathData
from sinedon.models import appiondata
from tests.services.sessions import makeSession

PROGRAM = "makeDDAlignMotionCor2_UCSF"
WEB_JOBTYPE = "makeddrawframestack"
OTHER_JOBTYPES = ("makeddalignmotioncor2_ucsf", "makeddalignmotioncor3")
jobs = appiondata.ApAppionJobData.objects


def start(*words, path="/r/ddstack1"):
    args = parseArguments(constructParser(PROGRAM), ["--runname=ddstack1", *words])
    return startJob(args, 3, savePathData(path), WEB_JOBTYPE, OTHER_JOBTYPES, readUserName())


def makeWebJob(path="/r/ddstack1", jobtype=WEB_JOBTYPE, **fields):
    path_id = savePathData(path)
    return jobs.create(path_id=path_id, clusterpath_id=path_id, name="ddstack1.appionsub.job", jobtype=jobtype,
                       **fields).def_id


@pytest.mark.usefixtures("anydatabase")
def test_a_path_is_stored_once_without_its_trailing_slash():
    assert savePathData("/a/b/") == savePathData("/a/b") == savePathData("/a/./c/../b")
    assert list(appiondata.ApPathData.objects.values_list("path", flat=True)) == ["/a/b"]


@pytest.mark.usefixtures("anydatabase")
def test_a_new_job_row_column_by_column():
    made = makeSession(images=0)
    args = parseArguments(constructParser(PROGRAM), ["--runname=ddstack1"])
    path_id = savePathData("/r/ddstack1/")
    job_id = startJob(args, made.session_id, path_id, WEB_JOBTYPE, OTHER_JOBTYPES, readUserName())
    row = jobs.values().get()
    row.pop("def_timestamp")
    assert row == {
        "def_id": job_id, "path_id": path_id, "clusterpath_id": path_id, "dmfpath_id": None,
        "name": "ddstack1.appionsub.job", "jobtype": WEB_JOBTYPE, "session_id": made.session_id,
        "user": readUserName(), "cluster": socket.gethostname(), "clusterjobid": None, "status": "R"}
    finishJob(job_id, True)
    assert jobs.get().status == "D"
    assert start() == job_id, "a rerun takes the same row"
    assert jobs.get().status == "R"
    assert start(path="/r/other/ddstack1") != job_id
    assert start("--jobtype=special", path="/r/third/ddstack1")
    assert jobs.order_by("-def_id").first().jobtype == "special"


@pytest.mark.usefixtures("anydatabase")
@pytest.mark.parametrize(("before", "after"), [("Q", "E"), (None, "E"), ("", "E"), ("R", "R"), ("A", "A")])
def test_job_of_a_program_that_is_refused_does_not_stay_queued(before, after):
    job_id, other = makeWebJob(status=before), makeWebJob(status="Q")

    def refuse(*words):
        args = parseArguments(constructParser(PROGRAM), ["--projectid=1", f"--jobid={job_id}", *words])
        with pytest.raises(ConfigurationFailure, match="no such preset"), failQueuedJob(args):
            raise ConfigurationFailure("no such preset")
        sinedon.setup(1)
        return jobs.get(pk=job_id).status

    assert refuse("--dry-run") == refuse("--no-commit") == before
    assert refuse() == after
    assert jobs.get(pk=other).status == "Q"


@pytest.mark.usefixtures("database")
def test_the_first_error_is_the_one_that_is_told():
    for words in (["--projectid=77", "--jobid=1"], ["--jobid=1"], ["--projectid=1"]):
        args = parseArguments(constructParser(PROGRAM), words)
        with pytest.raises(ConfigurationFailure, match="no such preset"), failQueuedJob(args):
            raise ConfigurationFailure("no such preset")


@pytest.mark.usefixtures("database")
def test_the_given_row_and_no_other():
    other = makeWebJob()
    given = makeWebJob(path="/elsewhere", status=None, clusterjobid=77)
    assert start(f"--jobid={given}", f"--jobtype={WEB_JOBTYPE}") == given
    row = jobs.get(def_id=given)
    assert (row.status, row.jobtype, row.name, row.clusterjobid) == ("R", WEB_JOBTYPE, "ddstack1.appionsub.job", 77)
    finishJob(given, False)
    assert jobs.get(def_id=given).status == "E"
    assert jobs.get(def_id=other).status is None
    assert jobs.count() == 2


@pytest.mark.usefixtures("database")
def test_the_newest_row_of_the_run_folder_is_taken_instead_of_a_second_one():
    makeWebJob(status="D")
    newest = makeWebJob(status="Q")
    jobs.create(path_id=savePathData("/r/ddstack1"), jobtype="ctfestimate")
    assert start() == newest
    assert jobs.count() == 3


@pytest.mark.usefixtures("anydatabase")
@pytest.mark.parametrize("jobtype", [WEB_JOBTYPE, *OTHER_JOBTYPES, "special"])
def test_a_row_of_any_name_of_the_step_is_taken_and_keeps_its_type(jobtype):
    job_id = makeWebJob(jobtype=jobtype, status="D")
    assert start(*["--jobtype=special"] * (jobtype == "special")) == job_id
    row = jobs.get()
    assert (row.status, row.jobtype) == ("R", jobtype)


@pytest.mark.usefixtures("database")
def test_an_unknown_job_id_is_said_and_the_run_folder_counts(caplog):
    known = makeWebJob()
    assert start("--jobid=999") == known
    assert "--jobid=999" in caplog.text


@pytest.mark.usefixtures("database")
def test_without_commit_there_is_no_job():
    assert start("--no-commit") is None
    finishJob(None, True)
    assert jobs.count() == 0


@pytest.mark.usefixtures("database")
def test_what_a_person_has_set_stays():
    job_id = start()
    jobs.filter(def_id=job_id).update(status="A")
    finishJob(job_id, True)
    assert jobs.get().status == "A"
    updateJobStatus(job_id, "R")
    assert jobs.get().status == "R"


@pytest.mark.usefixtures("anydatabase")
def test_a_person_ends_a_job_on_the_web_pages():
    job_id = start()
    assert not isAborted(job_id)
    assert not isAborted(None)
    assert not isAborted(job_id + 1)
    for status, ended in (("A", True), ("D", True), ("R", False), ("I", False), ("E", False), (None, False)):
        jobs.filter(def_id=job_id).update(status=status)
        assert isAborted(job_id) == ended


@pytest.mark.usefixtures("database")
def test_a_database_that_is_away_does_not_hide_how_the_run_ended(monkeypatch, caplog):
    job_id = start()

    def beAway(*_, **__):
        raise OperationalError(2006, "server has gone away")

    monkeypatch.setattr(sinedon, "updateRow", beAway)
    finishJob(job_id, True)
    assert "does not answer" in caplog.text
