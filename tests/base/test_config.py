"""Settings: where each value comes from, and what is said about a wrong one."""

from __future__ import annotations

import copy

import dask.config
import pytest

from appion.base import config
from appion.base.config import checkSettings, describeSettings, overrideSettings, setting
from appion.base.failures import ConfigurationFailure


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A function that loads the text of a site's appion.yaml and these environment variables, and undoes it."""
    before = copy.deepcopy(dask.config.config)
    monkeypatch.setattr(config, "_commandline", {})
    monkeypatch.setattr(dask.config, "paths", [str(tmp_path)])

    def load(text="", **environment):
        (tmp_path / "appion.yaml").write_text(text)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        dask.config.refresh(paths=[str(tmp_path)])
        return str(tmp_path / "appion.yaml")

    yield load
    dask.config.config.clear()
    dask.config.config.update(before)


def originOf(key):
    return {item.key: (item.value, item.origin) for item in describeSettings()}[key]


def test_defaults_are_all_described(site):
    site()
    checkSettings()
    assert originOf("poll") == (5, "default")
    assert {item.origin for item in describeSettings()} == {"default"}
    assert setting("quit_after_idle") is None


def test_tables_and_lists_in_the_words_of_others_are_taken_whole(site):
    path = site("appion:\n  kubernetes:\n    node-selector: {a/b-c: 'true'}\n    volumes: [{name: a, emptyDir: {}}]\n")
    checkSettings()
    assert originOf("kubernetes.node_selector") == ({"a/b-c": "true"}, path)
    assert originOf("kubernetes.volumes") == ([{"name": "a", "emptyDir": {}}], path)


def test_command_line_over_environment_over_file(site):
    path = site(
        "appion:\n  poll: 7\n  stop-timeout: 60\n  motioncorrection:\n    timeout: 900\n  window: 3\n",
        DASK_APPION__POLL="9",
        DASK_APPION__MOTIONCORRECTION__SETTLE="2.5",
    )
    overrideSettings({"window": 4}, "--window")
    checkSettings()
    assert originOf("poll") == (9, "environment variable DASK_APPION__POLL")
    assert originOf("stop_timeout") == (60, path)
    assert originOf("motioncorrection.timeout") == (900, path)
    assert originOf("motioncorrection.settle") == (2.5, "environment variable DASK_APPION__MOTIONCORRECTION__SETTLE")
    assert originOf("window") == (4, "--window")


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("appion:\n  pol: 7\n", {}, r"appion.pol \(from .*appion.yaml\) \(did you mean appion.poll\?\)"),
        ("appion:\n  motioncorrection:\n    timout: 7\n", {}, "did you mean appion.motioncorrection.timeout"),
        ("", {"DASK_APPION__ATTEMTPS": "3"}, "DASK_APPION__ATTEMTPS.*did you mean appion.attempts"),
        ("appion:\n  poll: often\n", {}, "appion.poll is 'often'.*write a number"),
        ("appion:\n  attempts: -1\n", {}, "appion.attempts is -1"),
        ("appion:\n  backlog_share: 2\n", {}, "a share lies between 0 and 1"),
        ("appion:\n  cluster: 3\n", {}, "write text"),
        ("appion:\n  workers: many\n", {}, "or null"),
        ("appion: 3\n", {}, "the value of `appion` is 3"),
        ("apion:\n  poll: 3\n", {}, r"unknown section apion \(from .*did you mean appion\?"),
        ("job_queue:\n  slurm: {}\n", {}, "did you mean jobqueue"),
        ("jobqueue:\n  slrum: {}\n", {}, r"did you mean jobqueue\.slurm\?"),
        ("", {"DASK_APPOIN__POLL": "3"}, "DASK_APPOIN__POLL.*did you mean appion"),
    ],
)
def test_wrong_settings_name_key_value_origin_and_remedy(site, text, environment, message):
    site(text, **environment)
    with pytest.raises(ConfigurationFailure, match=message):
        checkSettings()


def test_unknown_keys_of_the_program_itself():
    with pytest.raises(ConfigurationFailure, match=r"unknown setting appion\.nope"):
        setting("nope")
    with pytest.raises(ConfigurationFailure, match="--nope"):
        overrideSettings({"nope": 1}, "--nope")


def test_jobs_may_be_set_by_the_former_name_of_their_section(site):
    path = site("appion:\n  slurm:\n    maximum: 3\n    hold: 7\n", DASK_APPION__SLURM__POLL="9")
    checkSettings()
    assert (setting("jobs.maximum"), setting("jobs.hold"), setting("jobs.poll")) == (3, 7, 9)
    assert originOf("jobs.maximum") == (3, path)
    assert originOf("jobs.poll") == (9, "environment variable DASK_APPION__SLURM__POLL")
    assert originOf("jobs.latency") == (300, "default")
    path = site("appion:\n  jobs:\n    maximum: 4\n")
    assert originOf("jobs.maximum") == (4, path)


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("appion:\n  slurm:\n    maximum: 3\n  jobs:\n    maximum: 4\n", {},
         r"appion.slurm.maximum \(from .*\) and appion.jobs.maximum \(from .*\) are the same setting \(keep .*jobs"),
        ("appion:\n  jobs:\n    maximum: 4\n", {"DASK_APPION__SLURM__MAXIMUM": "3"}, "are the same setting"),
        ("appion:\n  slurm:\n    maximun: 3\n", {}, "unknown setting appion.slurm.maximun"),
        ("appion:\n  slurm:\n    maximum: many\n", {}, "appion.jobs.maximum is 'many'"),
        ("jobqueue:\n  htcondr: {}\n", {}, r"did you mean jobqueue\.htcondor\?"),
    ],
)  # fmt: skip
def test_former_names_are_checked_as_well(site, text, environment, message):
    site(text, **environment)
    with pytest.raises(ConfigurationFailure, match=message):
        checkSettings()
