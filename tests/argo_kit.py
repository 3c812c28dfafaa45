"""Plays Argo's controller for one workflow: steps in order, conditions, parameters; pods are processes (`pod_kit`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.pod_kit import Done, Node, filled

Manifest = Mapping[str, Any]

_CONDITION: Final = re.compile(r"'(.*)' == '(.*)'")


class FailedError(Exception):
    """A step failed; `name` is its template, `done` its container."""

    def __init__(self, name: str, done: Done) -> None:
        super().__init__(f"{name} ended with {done.code}:\n{done.text}")
        self.name, self.done = name, done


@dataclass
class Workflow:
    """A workflow of a template.

    Arguments:
        spec: the WorkflowTemplate's.
        node: where pods run.
        name: the workflow's.
        arguments: its parameters, over the template's.
        accounts: folder with the token of each service account, by its name.
        environment: what the kubelet adds to containers with a token.
        resource: plays the operator of a template's resource.

    Attributes:
        ran: templates whose pods ran, in order, with what they said.
    """

    spec: Manifest
    node: Node
    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    resource: Callable[[Manifest, Mapping[str, str]], Done] | None = None
    ran: list[tuple[str, str]] = field(default_factory=list)

    def run(self) -> str:
        """Run it to its end, exit handler included; returns its status."""
        try:
            self._template(self.spec["entrypoint"], {}, self.arguments)
            status, failures = "Succeeded", "[]"
        except FailedError as error:
            status = "Failed"
            failures = f'[{{"displayName":"{error.name}","message":"exit code {error.done.code}","finishedAt":"x"}}]'
        if "onExit" in self.spec:
            self._template(self.spec["onExit"], {"workflow.status": status, "workflow.failures": failures})
        return status

    def said(self, name: str) -> str:
        """What the pod of a template said."""
        return next(text for each, text in self.ran if each == name)

    @property
    def names(self) -> list[str]:
        """Templates whose pods ran, in order."""
        return [name for name, _ in self.ran]

    def _template(
        self, name: str, variables: Mapping[str, str], arguments: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        template = next(each for each in self.spec["templates"] if each["name"] == name)
        names = [each["name"] for each in template.get("inputs", {}).get("parameters", [])]
        inputs = {f"inputs.parameters.{name}": (arguments or {})[name] for name in names}
        if "steps" in template:
            return self._steps(template, inputs)
        if "suspend" in template:
            self.ran.append((name, "suspended"))
            return {}
        known = {**self._globals(), **variables, **inputs}
        if "resource" in template:
            assert self.resource is not None
            done = self.resource(template["resource"], known)
        else:
            done = self._pod(template, known)
        self.ran.append((name, done.text))
        if done.code != 0:
            raise FailedError(name, done)
        return self._outputs(template, done)

    def _pod(self, template: Manifest, variables: Mapping[str, str]) -> Done:
        account = template.get("serviceAccountName")
        token = self.accounts[account] if account else None
        environment = self.environment if token else {}
        return self.node.run(
            template["container"], self.spec["volumes"], variables, token=token, environment=environment
        )

    def _outputs(self, template: Manifest, done: Done) -> dict[str, str]:
        mounts = template.get("container", {}).get("volumeMounts", [])
        found = {}
        for parameter in template.get("outputs", {}).get("parameters", []):
            path = Path(parameter["valueFrom"]["path"])
            mount = next(each for each in mounts if path.is_relative_to(each["mountPath"]))
            found[parameter["name"]] = (done.folders[mount["name"]] / path.relative_to(mount["mountPath"])).read_text()
        return found

    def _steps(self, template: Manifest, inputs: Mapping[str, str]) -> dict[str, str]:
        known = dict(inputs)
        for group in template["steps"]:
            for step in group:
                if "when" in step and not _holds(filled(step["when"], known)):
                    continue
                given = step.get("arguments", {}).get("parameters", [])
                for item in self._items(step, known):
                    arguments = {each["name"]: filled(each["value"], {**known, **item}) for each in given}
                    outputs = self._template(step["template"], {}, arguments)
                    known |= {f"steps.{step['name']}.outputs.parameters.{key}": value for key, value in outputs.items()}
        found = {}
        for parameter in template.get("outputs", {}).get("parameters", []):
            source = parameter["valueFrom"]
            found[parameter["name"]] = known.get(source["parameter"].strip("{} "), source.get("default"))
        return found

    def _globals(self) -> dict[str, str]:
        names = [each["name"] for each in self.spec.get("arguments", {}).get("parameters", [])]
        return {"workflow.name": self.name, **{f"workflow.parameters.{name}": self._parameter(name) for name in names}}

    def _parameter(self, name: str) -> str:
        declared = self.spec.get("arguments", {}).get("parameters", [])
        values = {each["name"]: each["value"] for each in declared} | dict(self.arguments)
        return str(values[name])

    @staticmethod
    def _items(step: Manifest, known: Mapping[str, str]) -> list[dict[str, str]]:
        if "withSequence" not in step:
            return [{}]
        return [{"item": str(item)} for item in range(int(filled(step["withSequence"]["count"], known)))]


def _holds(condition: str) -> bool:
    found = _CONDITION.fullmatch(condition)
    assert found is not None, f"a condition that is not understood here: {condition}"
    return found[1] == found[2]
