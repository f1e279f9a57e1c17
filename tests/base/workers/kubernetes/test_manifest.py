"""What is made in Kubernetes is what its published schemas take."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import dask.config
import jsonschema
import pytest
import yaml

from appion.base.config import DEFAULTS
from appion.base.failures import ConfigurationFailure
from appion.base.workers.cluster import calcWorkers, checkCluster
from appion.base.workers.doors import constructSecurity
from appion.base.workers.kubernetes import manifest
from appion.base.workers.kubernetes.api import GROUPS, RIGHTS
from appion.base.workers.kubernetes.options import checkMounted
from tests.base.workers.kubernetes.schemas import validate

#: A site with everything.
SITE = {
    "cluster": "kubernetes",
    "jobs.gpus": 1,
    "kubernetes.image": "registry.lab/appion:1",
    "kubernetes.pull_secrets": ["registry"],
    "kubernetes.service_account": "cryoem",
    "kubernetes.limits": {"memory": "32Gi"},
    "kubernetes.volumes": [
        {"name": "frames", "nfs": {"server": "nas", "path": "/frames", "readOnly": True}},
        {"name": "runs", "persistentVolumeClaim": {"claimName": "runs"}},
        {"name": "scratch", "hostPath": {"path": "/scratch", "type": "Directory"}},
    ],
    "kubernetes.mounts": [
        {"name": "frames", "mountPath": "/frames", "readOnly": True},
        {"name": "runs", "mountPath": "/runs", "subPath": "appion"},
        {"name": "scratch", "mountPath": "/scratch"},
    ],
    "kubernetes.node_selector": {"gpu": "a100"},
    "kubernetes.tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "kubernetes.env": {"LICENSE_PORT": 27000},
    "kubernetes.pod": {"securityContext": {"runAsUser": 1000, "fsGroup": 1000}, "priorityClassName": "low"},
}


OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "daemon", "uid": "1-2"}


@pytest.fixture
def site():
    with dask.config.set({f"appion.{key}": value for key, value in SITE.items()}):
        yield


def change(**settings):
    return dask.config.set({f"appion.kubernetes.{key}": value for key, value in settings.items()})


def construct(gpus=1):
    label = manifest.calcRunLabel(Path("/runs/Ä 1"))
    return manifest.constructCluster(manifest.constructName(label, "0123456789AB"), "lab", label, gpus, 3, [OWNER])


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("service", [{}, {"service": "LoadBalancer", "port": 9000},
                                     {"service": "NodePort", "address": "node1", "port": 30001}])  # fmt: skip
def test_cluster_fits_the_schemas(service):
    with change(**service):
        assert checkCluster() == "kubernetes"
        made = construct()
    validate(made)
    for part in ("scheduler", "worker"):
        validate({"apiVersion": "v1", "kind": "Pod", "metadata": made["metadata"], "spec": made["spec"][part]["spec"]})
    validate({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
              "spec": made["spec"]["scheduler"]["service"]})  # fmt: skip
    assert calcWorkers() == 1


@pytest.mark.usefixtures("site")
def test_a_worker_is_what_the_site_says():
    made = construct()["spec"]
    pod = made["worker"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"memory": "32Gi", "nvidia.com/gpu": "1"},
    }  # fmt: skip
    assert {volume["name"] for volume in pod["volumes"]} == {"appion-tls", "frames", "runs", "scratch"}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
        "/etc/appion/tls", "/frames", "/runs", "/scratch"
    }  # fmt: skip
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    name = made["scheduler"]["service"]["selector"]["dask.org/cluster-name"]
    assert env["DASK_SCHEDULER_ADDRESS"] == f"tls://{name}-scheduler.lab.svc:8786"
    assert (env["LICENSE_PORT"], env["OMP_NUM_THREADS"]) == ("27000", "2")
    assert (pod["nodeSelector"], pod["securityContext"]["runAsUser"]) == ({"gpu": "a100"}, 1000)
    for one in (pod, made["scheduler"]["spec"]):
        assert one["automountServiceAccountToken"] is False
        assert (one["imagePullSecrets"], one["serviceAccountName"]) == ([{"name": "registry"}], "cryoem")
        assert one["tolerations"] == SITE["kubernetes.tolerations"]
    assert "nvidia.com/gpu" not in construct(0)["spec"]["worker"]["spec"]["containers"][0]["resources"]["limits"]


@pytest.mark.usefixtures("site")
def test_certificates_are_in_a_secret_and_nowhere_else():
    security = constructSecurity()
    secret = manifest.constructSecret("appion-1", "lab", "mark", security, [OWNER])
    validate(secret)
    files = security.get_tls_config_for_role("worker")
    assert base64.b64decode(secret["data"]["tls.key"]).decode() == files["key"]
    assert base64.b64decode(secret["data"]["ca.crt"]).decode() == files["ca_file"]
    assert "PRIVATE KEY" not in str(construct())


@pytest.mark.usefixtures("site")
def test_the_schemas_bite():
    made = construct()
    made["spec"]["worker"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(jsonschema.ValidationError, match="volumeMount"):
        validate(made)


def test_names_are_short_and_tell_users_folders_and_starts_apart():
    one, other = (manifest.calcRunLabel(Path(path)) for path in ("/runs/a", "/runs/b"))
    assert one != other
    assert manifest.constructName(one, "aaaaaaaa") != manifest.constructName(one, "bbbbbbbb")
    assert len(manifest.nameService(manifest.constructName(one, "a" * 90))) <= 63


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(("key", "value", "told"), [
    ("image", None, "appion.kubernetes.image is None"),
    ("service", "ExternalName", "ClusterIP, NodePort, LoadBalancer"),
    ("service", "NodePort", "name a node that this host reaches"),
    ("port", 70000, "a whole number from 1 to 65535"),
    ("volumes", [{"nfs": {}}], "write {name, …}"),
    ("volumes", "frames", "write a list"),
    ("mounts", [{"name": "frames"}], "write {name, mountPath, …}"),
    ("mounts", [{"name": "frame", "mountPath": "/frames"}], "'frame', which appion.kubernetes.volumes has not"),
    ("mounts", [], "which appion.kubernetes.mounts has not"),
    ("mounts", [{"name": name, "mountPath": "frames"} for name in ("frames", "runs", "scratch")], "the whole path"),
    ("env", {"A-B": 1}, "write NAME: value"),
    ("env", {"A": True}, "write NAME: value"),
    ("env", [], "write a table"),
    ("pod", {"containers": []}, "set kubernetes.image"),
])  # fmt: skip
def test_what_does_not_fit_is_named(key, value, told):
    with change(**{key: value}), pytest.raises(ConfigurationFailure) as caught:
        checkCluster()
    assert told in str(caught.value)


@pytest.mark.usefixtures("site")
def test_folders_that_no_volume_holds_are_named():
    checkMounted("/runs", "the run folder")
    checkMounted("/runs/26nov", "the run folder")
    with pytest.raises(ConfigurationFailure, match=r"cannot see the run folder /runs2: .*/frames, /runs, /scratch"):
        checkMounted("/runs2", "the run folder")


def readExample(document, title):
    text = (Path(__file__).parents[4] / "docs" / document).read_text()
    (section,) = re.findall(rf"^## {title}\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(re.search(r"^```yaml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1])


def test_the_documented_site_fits():
    example = readExample("backends.md", "Kubernetes")["appion"]
    sections = [(section, key, value) for section in ("kubernetes", "jobs") for key, value in example[section].items()]
    settings = {f"{section}.{key}": value for section, key, value in sections} | {"cluster": example["cluster"]}
    assert settings.keys() <= DEFAULTS.keys()
    with dask.config.set({f"appion.{key}": value for key, value in settings.items()}):
        assert checkCluster() == "kubernetes"
        validate(construct())
        checkMounted("/data/leginon/26nov27a", "the run folder")


def test_the_documented_rights_are_those_that_are_used():
    role = readExample("security.md", "Rights in Kubernetes")
    validate(role)
    documented = {kind: tuple(rule["verbs"]) for rule in role["rules"] for kind in rule["resources"]}
    assert documented == RIGHTS
    for rule in role["rules"]:
        (group,), (kind,) = rule["apiGroups"], rule["resources"]
        assert GROUPS[kind].split("/")[1:-1] == (["apis", group] if group else ["api"])
