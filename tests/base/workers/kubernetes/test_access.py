"""Where Kubernetes is: kubeconfigs as clouds and sites write them; and that no token is told."""

from __future__ import annotations

import base64
import sys

import pytest
import yaml

from appion.base.failures import ConfigurationFailure
from appion.base.workers.doors import constructCertificate
from appion.base.workers.kubernetes import access as module
from appion.base.workers.kubernetes.access import readAccess
from appion.base.workers.kubernetes.api import Api, KubernetesError
from tests.services.kubernetes import NAMESPACE, TOKEN, Kubernetes

CERTIFICATE, KEY = constructCertificate()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a kubeconfig with one context, and returns its path."""
    path = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(path))

    def write(user=None, server="https://127.0.0.1:1", **cluster):
        path.write_text(yaml.safe_dump({
            "current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "u", "user": user or {}}],
        }))  # fmt: skip
        return path

    return write


def encode(text):
    return base64.b64encode(text.encode()).decode()


def test_tokens_are_read_from_where_they_are(write, tmp_path):
    write({"token": TOKEN}, **{"certificate-authority-data": encode(CERTIFICATE)})
    access = readAccess()
    assert (access.findToken(), access.server, access.namespace) == (TOKEN, "https://127.0.0.1:1", "default")
    assert TOKEN not in repr(access)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    write({"tokenFile": "token"})
    assert readAccess().findToken() == TOKEN
    program = "import os; print('{\"status\": {\"token\": \"' + os.environ['GIVEN'] + '\"}}')"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-c", program]}
    write({"exec": plugin | {"env": [{"name": "GIVEN", "value": TOKEN}]}})
    assert readAccess().findToken() == TOKEN
    write({"exec": plugin})
    with pytest.raises(OSError, match="gave none"):
        readAccess().findToken()


def test_a_certificate_of_the_user_is_taken(write):
    write({"client-certificate-data": encode(CERTIFICATE), "client-key-data": encode(KEY)})
    assert readAccess().findToken() == ""


def test_a_pod_finds_its_service_account(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ACCOUNT", tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    with pytest.raises(ConfigurationFailure, match="has no service account"):
        readAccess()
    for name, text in {"ca.crt": CERTIFICATE, "namespace": "lab\n", "token": TOKEN}.items():
        (tmp_path / name).write_text(text)
    access = readAccess()
    assert (access.server, access.namespace, access.findToken()) == ("https://[fd00::1]:443", "lab", TOKEN)
    assert access.pod


@pytest.mark.parametrize(("user", "cluster", "told"), [
    ({"token": TOKEN}, {"server": "http://kubernetes.lab:8080"}, "must begin with https://"),
    ({"token": TOKEN}, {"insecure-skip-tls-verify": True}, "could take the token"),
    ({"username": "me", "password": TOKEN}, {}, "use a token, a certificate or exec"),
    ({"client-certificate": "nowhere.pem"}, {}, "names what cannot be used"),
    ({"client-certificate-data": "%"}, {}, "is not whole"),
    ({"exec": {"args": [TOKEN]}}, {}, "gets the token, is not there|is not whole"),
    ({}, {"certificate-authority": "nowhere.pem"}, "names what cannot be used"),
])  # fmt: skip
def test_what_is_wrong_is_named_and_no_token_told(write, user, cluster, told):
    write(user, **cluster)
    with pytest.raises(ConfigurationFailure, match=told) as caught:
        readAccess().findToken()
    assert TOKEN not in str(caught.value)


def test_a_kubeconfig_that_is_none(write, tmp_path, monkeypatch):
    path = write()
    with pytest.raises(ConfigurationFailure, match="has no context 'b'"):
        readAccess("b")
    for text, told in ((f"a: [{TOKEN}", "is no YAML"), ("[]", "is not whole"), ("{}", "no current context")):
        path.write_text(text)
        with pytest.raises(ConfigurationFailure, match=told) as caught:
            readAccess()
        assert TOKEN not in str(caught.value)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ConfigurationFailure, match="No such file"):
        readAccess()


def test_what_kubernetes_says_is_told_and_the_token_is_not(tmp_path, monkeypatch):
    service = Kubernetes(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(service.kubeconfig))
    api = Api(readAccess(), NAMESPACE)
    assert api.list("pods") == []
    api.delete("pods", "none")
    with pytest.raises(KubernetesError, match='404 services "none" not found'):
        api.get("services", "none")
    with pytest.raises(KubernetesError, match="422 KeyError"):
        api.create("secrets", {"metadata": {"name": "a"}})
    service.refusals["GET", "pods"] = 403, f"pods is forbidden: User \"me\" cannot list\n{'x' * 5000}"
    with pytest.raises(KubernetesError, match="403 pods is forbidden") as caught:
        api.list("pods")
    assert len(str(caught.value)) <= 1000
    service.stop()
    with pytest.raises(OSError, match="refused"):
        api.list("pods")
