"""Who may change the stack from CI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pulumi_mlops.spec.base import Section, repeated
from pulumi_mlops.spec.errors import Mistake

Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]


class Delivery(Section):
    """The one repository, and its branches or environments, whose CI may change the stack: it shows the OIDC token of
    its workflow and needs no stored credential. For clusters and clouds."""

    provider: Literal["github", "gitlab"] = "github"
    """Who runs the CI. Default: github."""

    repository: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$")]
    """`OWNER/NAME` of the repository."""

    branches: Annotated[list[Reference], Field(min_length=1)] = Field(default_factory=lambda: ["main"])
    """Branches whose workflows may. Default: main."""

    environments: list[Reference] = Field(default_factory=list)
    """Deployment environments of GitHub whose workflows may, instead of branches: there reviewers approve.
    Default: none."""

    def mistakes(self) -> Iterator[Mistake]:
        """Each once, and in one way."""
        yield from repeated(self.branches, "branches")
        yield from repeated(self.environments, "environments")
        if self.environments and "branches" in self.model_fields_set:
            message = "environments excludes branches: the token of a workflow names one of them"
            yield Mistake("MLOPS-S031", message, at=("environments",))
        if self.environments and self.provider == "gitlab":
            yield Mistake("MLOPS-S031", "environments are GitHub's", at=("environments",), hint="Use branches.")

    @property
    def subjects(self) -> list[str]:
        """The subjects (`sub`) of the tokens that are let in, as the provider writes them."""
        if self.provider == "gitlab":
            return [f"project_path:{self.repository}:ref_type:branch:ref:{branch}" for branch in self.branches]
        if self.environments:
            return [f"repo:{self.repository}:environment:{name}" for name in self.environments]
        return [f"repo:{self.repository}:ref:refs/heads/{branch}" for branch in self.branches]
