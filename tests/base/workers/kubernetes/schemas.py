"""Manifests against the schemas that Kubernetes and Dask's operator publish."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path

import jsonschema
import kubernetes_validate
import kubernetes_validate.utils
import referencing.jsonschema
import yaml

DASKCLUSTER = Path(__file__).parent / "data" / "daskcluster.yaml"

#: The oldest version of Kubernetes whose schemas are at hand, and the newest.
VERSIONS = kubernetes_validate.utils.all_versions()[0], kubernetes_validate.latest_version()


def validate(manifest: dict) -> None:
    """Raise an error unless a manifest is what Kubernetes takes, and has no field that it does not know."""
    for version in VERSIONS:
        if manifest["kind"] == "DaskCluster":
            validateDaskCluster(manifest, version)
        else:
            kubernetes_validate.validate(manifest, version, strict=True)


def validateDaskCluster(manifest: dict, version: str) -> None:
    """Raise an error unless a DaskCluster is what its schema says, and its pods and service what Kubernetes takes."""
    constructValidator(version).validate(manifest)


@cache
def constructValidator(version: str) -> jsonschema.Draft7Validator:
    package = resources.files("kubernetes_validate").joinpath("kubernetes-json-schema")
    folder = next(one for one in package.iterdir() if one.name.startswith(f"v{version}") and "strict" in one.name)

    @cache
    def retrieve(name: str) -> referencing.Resource:
        contents = json.loads(folder.joinpath(name.rpartition("/")[2]).read_text())
        return referencing.jsonschema.DRAFT7.create_resource(contents)

    schema = yaml.safe_load(DASKCLUSTER.read_text())
    return jsonschema.Draft7Validator(schema, registry=referencing.Registry(retrieve=retrieve))
