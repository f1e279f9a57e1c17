"""Which scheduler, and by which certificates: an error that names what is wrong."""

from __future__ import annotations

import json

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure, InfrastructureFailure
from appion.base.workers.cluster import calcWorkers, checkCluster
from appion.base.workers.elsewhere.address import constructClientSecurity, isElsewhere, readAddress
from tests.services.daskscheduler import saveCertificate


@pytest.mark.parametrize("kind", ["tls://host", "tls://:8786", "tls://host:x", "http://host:80", "ucx://host:1"])
def test_what_is_no_address_is_refused(kind):
    with (
        dask.config.set({"appion.cluster": kind}),
        pytest.raises(ConfigurationFailure, match=r"appion.cluster is .*write tls://HOST:PORT"),
    ):
        checkCluster()


def test_a_scheduler_that_anybody_can_talk_to_must_be_allowed():
    with dask.config.set({"appion.cluster": "tcp://host:8786"}):
        with pytest.raises(ConfigurationFailure, match=r"can run code as its workers' user.*elsewhere\.unencrypted"):
            checkCluster()
        with dask.config.set({"appion.elsewhere.unencrypted": True}):
            assert checkCluster() == "tcp://host:8786"
            assert constructClientSecurity("tcp://host:8786") is None
            assert calcWorkers() == 1


def test_certificates_that_are_missing_are_named(tmp_path):
    settings = saveCertificate(tmp_path / "tls")
    with dask.config.set({"appion.cluster": "tls://host:8786"}):
        with pytest.raises(ConfigurationFailure, match=r"tls\.ca-file, .*client\.cert, .*client\.key is not set"):
            checkCluster()
        with dask.config.set(settings):
            assert checkCluster() == "tls://host:8786"
            (tmp_path / "tls" / "key.pem").rename(tmp_path / "away")
            with pytest.raises(ConfigurationFailure, match=r"client\.key is .*key\.pem, which cannot be read"):
                checkCluster()
            (tmp_path / "tls" / "key.pem").write_text("no key\n")
            with pytest.raises(ConfigurationFailure, match=r"cannot be used \(.*key\.pem\)"):
                checkCluster()


def test_nothing_is_fetched_ahead_by_workers_of_others(tmp_path):
    settings = saveCertificate(tmp_path / "tls") | {"appion.cluster": "tls://host:8786", "appion.stage": "cache"}
    with dask.config.set(settings), pytest.raises(ConfigurationFailure, match="stage is 'cache'"):
        checkCluster()


def test_a_scheduler_file_is_read_each_time(tmp_path):
    path = tmp_path / "scheduler.json"
    assert isElsewhere(str(path))
    assert not isElsewhere("slurm")
    with pytest.raises(InfrastructureFailure, match=r"scheduler\.json cannot be read: No such file"):
        readAddress(str(path))
    for text in ("", "[]", "{}", "{"):
        path.write_text(text)
        with pytest.raises(InfrastructureFailure, match="no address is in it"):
            readAddress(str(path))
    path.write_text(json.dumps({"address": "tls://one:1"}))
    assert readAddress(str(path)) == "tls://one:1"
    path.write_text(json.dumps({"address": "tcp://one:1"}))
    with pytest.raises(ConfigurationFailure, match=r"the address in .*scheduler.json is 'tcp://one:1'"):
        readAddress(str(path))
    with (
        dask.config.set({"appion.cluster": "scheduler.json"}),
        pytest.raises(ConfigurationFailure, match="the whole path"),
    ):
        checkCluster()
