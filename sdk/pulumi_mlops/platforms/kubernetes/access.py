"""Service accounts, each with what its pods need of the API server and not one verb more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.kubernetes.objects import Objects

Rule = Mapping[str, Any]
"""A rule of a Role: `apiGroups`, `resources`, `verbs`, and `resourceNames` wherever objects are known by name."""


RBAC: Final = "rbac.authorization.k8s.io"


class Accounts:
    """The service accounts of a platform.

    Arguments:
        objects: where objects are made.
        annotations: on accounts that read the store.
        pull_secrets: Secrets that images are pulled with.
    """

    def __init__(self, objects: Objects, annotations: Mapping[str, str], pull_secrets: Sequence[str]) -> None:
        self._objects, self._annotations = objects, dict(annotations)
        self._pull_secrets = [{"name": secret} for secret in pull_secrets]
        self._made: dict[str, tuple[list[pulumi.Resource], object]] = {}
        self._granted: dict[str, Sequence[Rule]] = {}

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

        Raises:
            ValueError: it was made with other rights.
        """
        asked = ([dict(rule) for rule in rules], store, list(secrets))
        if name in self._made:
            made, before = self._made[name]
            if before != asked:
                raise ValueError(f"the service account {name} is asked for with other rights than before")
            return name, made
        manifest: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": False}
        if self._pull_secrets:
            manifest["imagePullSecrets"] = self._pull_secrets
        if secrets:
            manifest["secrets"] = [{"name": secret} for secret in secrets]
        annotations = self._annotations if store else {}
        resource = f"{self._objects.prefix}-{name}"
        account = self._objects.add(f"{resource}-account", manifest, name=name, parent=parent, annotations=annotations)
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self._objects.namespace}
        made = [account, *self.grant(name, rules, [subject], parent=parent, needs=[account])]
        self._made[name] = made, asked
        return name, made

    def grant(
        self,
        name: str,
        rules: Sequence[Rule],
        subjects: Sequence[Mapping[str, str]],
        *,
        parent: pulumi.Resource | None = None,
        needs: Sequence[pulumi.Resource] = (),
    ) -> list[pulumi.Resource]:
        """A Role, and who has it.

        Arguments:
            name: its name, and that of the binding.
            rules: what they may do; none: nothing is made.
            subjects: service accounts, users or groups.
            parent: component that it belongs to.
            needs: what must exist before.

        Returns:
            What to depend on.
        """
        if not rules:
            return []
        self._granted[name] = [dict(rule) for rule in rules]
        role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "rules": self._granted[name]}
        resource = f"{self._objects.prefix}-{name}"
        made = self._objects.add(f"{resource}-role", role, name=name, parent=parent)
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
            "subjects": [dict(subject) for subject in subjects],
        }
        return [self._objects.add(f"{resource}-binding", binding, name=name, parent=parent, needs=[made, *needs])]

    @property
    def granted(self) -> Mapping[str, Sequence[Rule]]:
        """The rules of the Roles that were declared so far, by their names."""
        return dict(self._granted)
