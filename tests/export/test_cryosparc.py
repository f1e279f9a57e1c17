"""Tables for CryoSPARC: what an External job takes, read back as it does and by our own reader."""

from __future__ import annotations

import math
import os

import mrcfile
import numpy as np
import pytest

import sinedon
from appion.base.retrieve.cryosparc.arrays import readTable
from appion.cli import main
from sinedon.models import appiondata, leginondata
from tests.export.made import makeRows


@pytest.mark.usefixtures("database")
def test_tablesHaveWhatAnExternalJobTakes(tmp_path, capsys):
    site = makeRows(tmp_path, 3)
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    for path in sorted((tmp_path / "leginon").rglob("*-a.mrc")):
        path.unlink()
        with mrcfile.new(path) as mrc:
            mrc.set_data(image)
    # of one the fit is not known as a whole
    lost = leginondata.AcquisitionImageData.objects.filter(filename__endswith="-a").order_by("filename").last()
    series = next((site.ctf / ".appion").glob("series*"))
    lines = series.read_text().splitlines()
    series.write_text("".join(f"{line}\n" for line in lines if f'"image":{lost.def_id},' not in line.replace(" ", "")))
    row = appiondata.ApCtfData.objects.get(image_id=lost.def_id)
    sinedon.updateRow(appiondata.ApCtfData, row.def_id, defocus1=None)
    project = tmp_path / "P7"
    words = ["export", str(site.motion), str(site.ctf), "--cryosparc", f"--out={project / 'J42'}",
             f"--project={project}"]  # fmt: skip
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "3 micrographs, 2 with a CTF" in told
    assert "its CTF is not known" in told
    every, fitted = (readTable(str(project / "J42" / name)) for name in ("micrographs.cs", "exposures.cs"))
    assert (len(every), len(fitted)) == (3, 2)
    assert set(fitted["uid"]) < set(every["uid"])
    assert {name.partition("/")[0] for name in fitted.dtype.names} == {
        "uid", "micrograph_blob", "mscope_params", "ctf"
    }  # fmt: skip
    for one in fitted:
        path = project / one["micrograph_blob/path"].decode()
        assert np.array_equal(mrcfile.read(path), image)
        assert not os.path.isabs(one["micrograph_blob/path"])
        assert tuple(one["micrograph_blob/shape"]) == (3, 4)
        assert (one["ctf/df1_A"], one["ctf/df2_A"]) == (16000, 15000)
        assert one["ctf/df_angle_rad"] == pytest.approx(math.radians(-80))  # the axis of the larger one
        assert (one["ctf/accel_kv"], one["ctf/amp_contrast"]) == (300, pytest.approx(0.1))
        assert one["mscope_params/cs_mm"] == pytest.approx(2.7)
    for table in (every, fitted):
        assert all(np.isfinite(table[name]).all() for name in table.dtype.names if table[name].dtype.kind == "f")
    before = (project / "J42" / "exposures.cs").read_bytes()
    assert main(words) == 0
    assert (project / "J42" / "exposures.cs").read_bytes() == before, "uids are the same at every export"
    assert main([*words, "--orientation=movie"]) == 2
