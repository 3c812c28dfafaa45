"""Service accounts, each with what its pods need of the API server and not one verb more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from pulumi_mlops.platforms.kubernetes.objects import Objects

Rule = Mapping[str, Any]
"""A rule of a Role: `apiGroups`, `resources`, `verbs`, and `resourceNames` wherever objects are known by name."""


class Accounts:
    """The service accounts of a platform.

    Arguments:
        objects: where objects are made.
        annotations: on accounts that read the store.
    """

    def __init__(self, objects: Objects, annotations: Mapping[str, str]) -> None:
        self._objects, self._annotations = objects, dict(annotations)
        self._made: dict[str, pulumi.Resource] = {}

    def account(
        self,
        name: str,
        *,
        parent: pulumi.Resource | None = None,
        rules: Sequence[Rule] = (),
        store: bool = False,
        secrets: Sequence[str] = (),
    ) -> tuple[str, list[pulumi.Resource]]:
        """A service account with a Role; one of that name is made once.

        Arguments:
            name: its name.
            parent: component that it belongs to.
            rules: what it may do; none: it gets no token of the API server.
            store: whether its pods read the store, with an identity of the cloud.
            secrets: Secrets that it refers to, for operators that look there.

        Returns:
            The name, and what to depend on.
        """
        if name not in self._made:
            manifest: dict[str, Any] = {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "automountServiceAccountToken": False,
            }
            if secrets:
                manifest["secrets"] = [{"name": secret} for secret in secrets]
            annotations = self._annotations if store else {}
            self._made[name] = self._objects.add(
                f"{name}-account", manifest, name=name, parent=parent, annotations=annotations
            )
            if rules:
                self._bind(name, rules, parent)
        return name, [self._made[name]]

    def _bind(self, name: str, rules: Sequence[Rule], parent: pulumi.Resource | None) -> None:
        api = "rbac.authorization.k8s.io/v1"
        role = {"apiVersion": api, "kind": "Role", "rules": [dict(rule) for rule in rules]}
        made = self._objects.add(f"{name}-role", role, name=name, parent=parent)
        binding = {
            "apiVersion": api,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self._objects.namespace}],
        }
        self._objects.add(
            f"{name}-binding", binding, name=name, parent=parent, needs=[made, self._made[name]]
        )
