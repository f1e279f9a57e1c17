"""Live databases that are older than the models, servers that come and go."""

from __future__ import annotations

import pytest
from django.db.utils import InternalError, OperationalError

import sinedon
from sinedon import live, rows
from sinedon.__main__ import main
from sinedon.errors import ConfigurationError, ConnectionFailure, SchemaError
from sinedon.models import appiondata, leginondata
from tests.services.mariadb import MariaDB
from tests.services.sessions import makeSession

Image = leginondata.AcquisitionImageData


@pytest.mark.usefixtures("classicdatabase")
def testOldTablesReadAsNoneAndEmpty():
    made = makeSession(images=4)
    with sinedon.countQueries() as queries:
        images = list(Image.objects.filter(session=made.session_id, preset__name="enn").order_by("-def_id"))
        for image in images:
            assert (image.use_frames, image.denoised, image.phase_plate, image.phase_plate_id) == (None,) * 4
            assert image.mrc_image == f"{image.filename}.mrc"
    assert queries.count == 1
    assert [image.def_id for image in images] == sorted(made.image_ids, reverse=True)
    assert not sinedon.hasColumn(Image, "use_frames")
    assert sinedon.hasColumn(Image, "norm")
    assert Image.objects.filter(denoised=None).count() == 4
    assert not Image.objects.filter(denoised=True).exists()
    assert list(Image.objects.order_by("phase_plate").values_list("denoised", "pixels")[:1]) == [(None, 5760 * 4092)]
    assert list(Image.objects.only("filename").values_list("filename", flat=True))
    camera = sinedon.readRows(leginondata.CameraEMData, [images[0].camera_id])[images[0].camera_id]
    assert (camera.offset_x, camera.eer_frames, camera.dimension_x, camera.save_frames) == (None, None, 5760, True)
    assert not sinedon.hasTable(leginondata.NormImageData)
    assert sinedon.readRows(leginondata.NormImageData, [1, 2]) == {}
    assert leginondata.SessionDoneLog.objects.filter(session=1).order_by("-def_id").first() is None


@pytest.mark.usefixtures("classicdatabase")
def testWhatAnOldLeginonTableCannotHoldIsDroppedWithOneWarning(caplog):
    made = makeSession(images=1)
    rows._warned.clear()
    caplog.clear()
    for name in ("a", "b"):
        number = sinedon.copyRow(Image, made.image_ids[0], filename=name)
        assert Image.objects.get(pk=number).filename == name
    camera = leginondata.CameraEMData.objects.first()
    for number in (7, 8):
        sinedon.copyRow(leginondata.CameraEMData, camera.def_id, nframes=number, offset_x=3)
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 1
    assert warned[0].startswith("table CameraEMData has no column 'SUBD|offset|x': its value is not stored")
    with pytest.raises(SchemaError, match="no table ObjIceThicknessData; Leginon has to"):
        sinedon.insertRow(leginondata.ObjIceThicknessData, thickness=20.0)


def testAppionTableThatLacksAColumnSaysWhatToDo(mariadb, classicdatabase):
    assert classicdatabase.engine == "classic"
    mariadb.loadClassicSchema()
    sinedon.setup(1)
    with pytest.raises(SchemaError, match="ApDDStackParamsData has no column 'align'; run: sinedon init"):
        sinedon.insertRow(appiondata.ApDDStackParamsData, preset="enn", align=True)
    with pytest.raises(SchemaError, match=r"no table ApDDAlignImagePairData; run: .* --appiondb ap1$"):
        sinedon.insertRow(appiondata.ApDDAlignImagePairData, source=1, result=2)
    row = sinedon.insertRow(appiondata.ApDDStackParamsData, preset="enn")
    assert (row.preset, row.align) == ("enn", None)
    assert list(appiondata.ApDDAlignImagePairData.objects.filter(ddstackrun__runname="a")) == []


def testTablesThatLeginonCreatesLaterAreSeen(mariadb, classicdatabase, monkeypatch):
    assert classicdatabase.engine == "classic"
    assert not sinedon.hasTable(leginondata.SessionDoneLog)
    mariadb.execute(
        "CREATE TABLE leginondb.SessionDoneLog (`DEF_id` INT NOT NULL AUTO_INCREMENT PRIMARY KEY, done TINYINT(1))",
        "INSERT INTO leginondb.SessionDoneLog (done) VALUES (1)",
    )
    assert not leginondata.SessionDoneLog.objects.exists()
    monkeypatch.setattr(live, "REFRESH", 0.0)
    row = leginondata.SessionDoneLog.objects.get()
    assert (row.done, row.session, row.def_timestamp) == (True, None, None)


def testAppionDatabaseThatIsGone(mariadb, classicdatabase, capsys):
    assert classicdatabase.projectid == 1
    mariadb.execute("DROP DATABASE ap1")
    with pytest.raises(ConnectionFailure, match="Create it with: sinedon init --appiondb ap1"):
        sinedon.setup(1)
    assert main(["check"]) == 1
    assert "init --appiondb ap1" in capsys.readouterr().out
    assert main(["init", "--project", "1"]) == 0
    sinedon.setup(1)


def testServerThatRestarts(tmp_path, monkeypatch, mariadb):
    """Errors of a server that is gone are known as such, and after closeConnections work goes on."""
    assert mariadb.port
    server = MariaDB(tmp_path / "server").start()
    try:
        server.loadClassicSchema()
        (tmp_path / "sinedon.cfg").write_text(server.constructConfig())
        monkeypatch.setenv("SINEDON_CFG_PATH", str(tmp_path))
        sinedon.setup(1)
        session = sinedon.insertRow(leginondata.SessionData, name="a")
        port = server.port
        server.stop()
        for _ in range(2):
            with pytest.raises(Exception) as error:  # noqa: PT011
                sinedon.insertRow(leginondata.SessionData, name="b")
            assert sinedon.isDatabaseAway(error.value)
            sinedon.closeConnections()
        server.start(port=port)
        assert sinedon.insertRow(leginondata.SessionData, name="a").def_id == session.def_id
    finally:
        server.stop()


def testErrorsThatAreNotOfTheConnection():
    assert not sinedon.isDatabaseAway(OperationalError(1054, "Unknown column 'x' in 'field list'"))
    assert not sinedon.isDatabaseAway(OperationalError(1045, "Access denied"))
    assert not sinedon.isDatabaseAway(OperationalError("no such column: x"))
    assert not sinedon.isDatabaseAway(ValueError(2006))
    assert sinedon.isDatabaseAway(OperationalError(2013, "Lost connection"))
    for number in (28, 126, 145, 1030, 1194, 1290):  # disk, index and table of the server
        assert sinedon.isDatabaseAway(InternalError(number, "Table './ap1/x' is marked as crashed"))


@pytest.mark.usefixtures("anydatabase")
def testMadeSessionIsWholeAndGrows():
    made = makeSession(images=3, bad_cols=(5,), nframes=4)
    image = Image.objects.get(pk=made.image_ids[-1])
    assert (image.session.name, image.preset.name, image.camera.ccdcamera.name) == (made.name, "enn", "GatanK3")
    assert (image.corrector_plan.bad_cols, image.norm.filename) == ((5,), f"{made.name}_norm_0")
    assert (image.camera.use_frames, image.scope.high_tension) == ((0, 1, 2, 3), 300000)
    calibration = leginondata.PixelSizeCalibrationData.objects.get(pk=made.calibration_id)
    assert calibration.def_timestamp < image.def_timestamp


@pytest.mark.usefixtures("classicdatabase")
def testCharactersThatADatabaseLacksAreNoErrors():
    """Classic's databases are Latin-1: the rest becomes question marks, whether it is stored or looked for."""
    insert = sinedon.insertRow
    row = insert(appiondata.ScriptParamValue, value="λ-phage, 3 µm Å", usage="")
    assert row.value == "?-phage, 3 µm Å"
    assert insert(appiondata.ScriptParamValue, value="λ-phage, 3 µm Å", usage="").def_id == row.def_id
    assert not leginondata.SessionData.objects.filter(name="β").exists()
    assert not appiondata.ApPathData.objects.filter(path__in=["/data/你好", "/"]).exists()
    sinedon.updateRow(appiondata.ScriptParamValue, row.def_id, usage="β")


def testSeveralAppionDatabasesAreReadAtATime(mariadb, classicdatabase):
    """Each by an alias of its own: rows, what a row refers to, and missing columns are those of its database."""
    assert classicdatabase.projectid == 1
    sinedon.setup(1)
    path = sinedon.insertRow(appiondata.ApPathData, path="/a")
    sinedon.insertRow(appiondata.ApAceRunData, name="one", path=path)
    mariadb.execute(
        "DROP DATABASE IF EXISTS ap2", "CREATE DATABASE ap2",
        "CREATE TABLE ap2.ApPathData LIKE ap1.ApPathData",
        "CREATE TABLE ap2.ApAceRunData LIKE ap1.ApAceRunData",
        "ALTER TABLE ap2.ApAceRunData DROP COLUMN hidden",
        f"INSERT INTO ap2.ApPathData (DEF_id, path) VALUES ({path.def_id}, '/b')",
        f"INSERT INTO ap2.ApAceRunData (name, `REF|ApPathData|path`) VALUES ('two', {path.def_id})",
    )  # fmt: skip
    try:
        sinedon.setup()
        aliases = [sinedon.addAppionDatabase(name) for name in ("ap1", "ap2", "ap2")]
        assert aliases == ["appiondata/ap1", "appiondata/ap2", "appiondata/ap2"]
        rows = [appiondata.ApAceRunData.objects.using(alias).get() for alias in aliases[:2]]
        assert [(row.name, row.path.path, row.hidden) for row in rows] == [("one", "/a", None), ("two", "/b", None)]
        assert list(appiondata.ApCtfData.objects.using(aliases[1])) == []
        assert not sinedon.hasTable(appiondata.ApCtfData, aliases[1])
        assert sinedon.hasColumn(appiondata.ApAceRunData, "hidden", aliases[0])
        assert not sinedon.hasColumn(appiondata.ApAceRunData, "hidden", aliases[1])
        with pytest.raises(ConfigurationError, match="is not set up"):
            appiondata.ApAceRunData.objects.get()
        with pytest.raises(ConnectionFailure, match="ap3"):
            sinedon.addAppionDatabase("ap3")
        with pytest.raises(ConnectionFailure, match="ap3"):
            sinedon.addAppionDatabase("ap3")  # it was not registered
    finally:
        mariadb.execute("DROP DATABASE ap2")
