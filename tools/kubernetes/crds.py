"""Custom resource definitions of the operators that a stack on Kubernetes uses: test data that the user downloads."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import yaml

from tools.console import ToolError

FOLDER = "MLOPS_CRDS"
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "crds"
RELEASES = {
    "kserve/kserve": "0.20.0",
    "ray-project/kuberay": "1.7.0",
    "kubeflow/trainer": "2.3.0",
    "kubernetes-sigs/jobset": "0.12.0",
    "kubernetes-sigs/kueue": "0.19.2",
    "prometheus-operator/prometheus-operator": "0.93.0",
    "feast-dev/feast": "0.66.0",
    "argoproj/argo-workflows": "4.1.2",
    "kubernetes-sigs/gateway-api": "1.6.1",
    "external-secrets/external-secrets": "2.9.0",
}
"""GitHub repositories whose releases carry the definitions that the tests are written against."""

HOW_TO_GET = (
    "no custom resource definitions here: download the CRD manifests of these releases "
    f"(github.com/REPOSITORY/releases) into a folder, and name it in {FOLDER}: "
    + ", ".join(f"{name} {tag}" for name, tag in RELEASES.items())
)


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a lone `=`, which AlertmanagerConfig's enum has, is a string."""


def _text(loader: _Loader, node: yaml.ScalarNode) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:value", _text)


def documents(file: Path) -> list[dict[str, Any]]:
    """The objects of a manifest (`.yaml`, `.yml`, `.json`), or of a file with one in each line (`.jsonl`).

    Raises:
        ToolError: the file is not what its name says.
    """
    text = file.read_text()
    try:
        if file.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line]
        return [each for each in yaml.load_all(text, Loader=_Loader) if each]
    except (ValueError, yaml.YAMLError) as error:
        raise ToolError(f"{file}: neither JSON nor YAML: {error}") from error


def folder() -> Path | None:
    """Where the definitions are: the folder in `MLOPS_CRDS`, else `../shared/crds`; none if that is not there.

    Raises:
        ToolError: `MLOPS_CRDS` names no folder.
    """
    if own := os.environ.get(FOLDER):
        if not Path(own).is_dir():
            raise ToolError(f"{FOLDER}={own!r}: no such folder")
        return Path(own)
    return BESIDE if BESIDE.is_dir() else None


def read(source: Path | None) -> list[dict[str, Any]]:
    """Every definition in a folder, sorted by name; other kinds in its files are left out.

    Raises:
        ToolError: a file is not what its name says.
    """
    if source is None:
        return []
    files = [file for file in source.iterdir() if file.suffix in (".jsonl", ".json", ".yaml", ".yml")]
    found = {
        each["metadata"]["name"]: each
        for file in sorted(files)
        for each in documents(file)
        if each.get("kind") == "CustomResourceDefinition"
    }
    return [found[name] for name in sorted(found)]


def digest(definitions: list[dict[str, Any]]) -> str:
    """Names a set of objects by its content."""
    return hashlib.sha256(json.dumps(definitions, sort_keys=True).encode()).hexdigest()[:16]
