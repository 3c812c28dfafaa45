"""How versions are kept, approved and exported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pulumi_mlops.spec.base import Section, repeated
from pulumi_mlops.spec.errors import Mistake


class Card(Section):
    """Parts of the model card that no record can fill (Mitchell et al. 2019, Model Cards for Model Reporting)."""

    intended_users: str | None = None
    """Who uses the predictions. Default: not stated."""

    ethical_considerations: str | None = None
    """Risks and harms considered. Default: not stated."""

    caveats: str | None = None
    """Recommendations to users. Default: not stated."""


class Onnx(Section):
    """Export to ONNX, verified against the estimator on held-out rows."""

    mode: Literal["auto", "required", "off"] = "auto"
    """`auto` falls back to the estimator when the export fails or differs, and says so; `required` rejects the model
    then; `off` serves the estimator. Default: auto."""

    tolerance: Annotated[float, Field(gt=0)] = 1e-4
    """Largest difference of a prediction (absolute for probabilities, relative for numbers). Default: 0.0001."""

    rows: Annotated[int, Field(ge=1)] = 1000
    """Held-out rows compared. Default: 1000."""

    def mistakes(self) -> Iterator[Mistake]:
        """Nothing is set about an export that is off."""
        for name in ("tolerance", "rows"):
            if self.mode == "off" and name in self.model_fields_set:
                message = f"{name} has no effect: mode is off"
                yield Mistake("MLOPS-S033", message, at=(name,), hint="Take it out.")


class Registry(Section):
    """Versions of the model, their approval and their export."""

    approval: Literal["automatic", "manual"] = "automatic"
    """`automatic` deploys a version that passes the gate; `manual` waits for `mlops approve`. Default: automatic."""

    approvers: list[Annotated[str, StringConstraints(min_length=1)]] = Field(default_factory=list)
    """People who may approve; the owner may not. Default: anybody but the owner."""

    card: Card = Card()
    """Parts of the model card written by hand."""

    onnx: Onnx = Onnx()
    """Export to ONNX."""

    keep_versions: Annotated[int, Field(ge=1)] | None = None
    """Bundles kept beside the deployed one and the one before it; records and metrics of all versions stay.
    Default: all."""

    def mistakes(self) -> Iterator[Mistake]:
        """Approvers differ, and are named only where they are asked."""
        yield from repeated(self.approvers, "approvers")
        if self.approvers and self.approval == "automatic":
            message = "approvers has no effect: approval is automatic"
            yield Mistake("MLOPS-S033", message, at=("approvers",), hint="Set approval: manual, or take approvers out.")
