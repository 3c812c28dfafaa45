"""A pack under the Pulumi engine: `pulumi preview --policy-pack policies/packs/security`.

It answers the engine's analyzer protocol itself, on the stubs that come with `pulumi`: each resource is decoded once
for all rules, every rule is reported by its own name, secrets keep their marks, and what is not known yet is told as
such and never passes silently (docs/decisions/007-policies.md).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from concurrent import futures
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from mlops_policies.findings import Level, Outcome
from mlops_policies.judge import Judge, Result, remedied
from mlops_policies.registry import PACKS, Rule, Scope, rules
from mlops_policies.resources import Resource, Stack
from mlops_policies.settings import PACK_SETTINGS, Settings, SettingsError, selected
from mlops_policies.sources.normal import normalised
from mlops_policies.sources.wire import decoded, encoded
from mlops_policies.values import Undecided

_LEVELS: Final = {
    Level.ADVISORY: analyzer_pb2.ADVISORY,
    Level.MANDATORY: analyzer_pb2.MANDATORY,
    Level.REMEDIATE: analyzer_pb2.REMEDIATE,
    Level.DISABLED: analyzer_pb2.DISABLED,
}
_NAMES: Final = {number: level for level, number in _LEVELS.items()}
_LARGEST_MESSAGE: Final = 400 * 2**20
"""Bytes; the limit of Pulumi's own SDKs."""


def serve(pack: str) -> None:
    """Answer the engine until it ends: the whole program of a policy pack.

    Arguments:
        pack: key of `PACKS`.
    """
    server = start(Analyzer(pack))
    sys.stdout.flush()
    server.wait_for_termination()


def start(analyzer: analyzer_pb2_grpc.AnalyzerServicer) -> grpc.Server:
    """Serve an analyzer on a port of loopback, and print the port."""
    limits = [("grpc.max_receive_message_length", _LARGEST_MESSAGE), ("grpc.max_send_message_length", _LARGEST_MESSAGE)]
    # One worker: what a resource says about governance holds for those that come after it.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=limits)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(analyzer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 - how the engine learns of it
    return server


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Judges what one engine registers.

    Arguments:
        pack: the pack whose rules are applied.
    """

    def __init__(self, pack: str) -> None:
        self.pack, self.version = f"mlops-{pack}", version("pulumi-mlops")
        self.rules = selected([pack])
        self.description = PACKS[pack]
        self.judge = Judge(self.rules, Settings())
        self.resources: dict[str, Resource] = {}
        self.stack_name, self.preview = "", False

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The engine says who it is; nothing depends on it."""
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Our version."""
        return plugin_pb2.PluginInfo(version=self.version)

    def ConfigureStack(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Which stack it is, and whether this is a preview."""
        self.stack_name, self.preview = request.stack, request.dry_run
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def GetAnalyzerInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The rules, as the engine lists and configures them."""
        info = analyzer_pb2.AnalyzerInfo(
            name=self.pack, displayName=self.pack, version=self.version, description=self.description
        )
        info.supportsConfig = True
        info.policies.extend(_info(rule) for rule in self.rules)
        # The engine refuses an entry that is no rule and has no level; this one means nothing.
        info.initialConfig[PACK_SETTINGS].enforcementLevel = analyzer_pb2.ADVISORY
        return info

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Levels and parameters, as `--policy-pack-config` gives them."""
        document: dict[str, Any] = {}
        for name, entry in request.policyConfig.items():
            properties = json_format.MessageToDict(entry.properties)
            level = {} if name == PACK_SETTINGS else {"enforcementLevel": _NAMES[entry.enforcementLevel]}
            document[name] = {**properties, **level}
        try:
            self.judge.settings = Settings.read(document, environment=self.stack_name)
        except SettingsError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"policy configuration: {error}")
        return empty_pb2.Empty()

    def Remediate(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Mend a resource by the rules whose level is `remediate`."""
        response = analyzer_pb2.RemediateResponse()
        mending = [rule for rule, level in self.judge.levels.items() if level is Level.REMEDIATE and rule.remedy]
        # Asked of every resource, whether or not anything mends: decoded only then.
        wire = json_format.MessageToDict(request.properties) if mending else {}
        for rule in mending:
            resource = _resource(request, wire)
            found = [result for result in self.judge.resource(resource) if result.rule is rule and result.blocks]
            if found and (mended := self._mended(rule, resource)) is not None:
                changed = {key: encoded(value) for key, value in mended.items() if value != resource.props.get(key)}
                wire = {**{key: value for key, value in wire.items() if key in mended or key[:2] == "__"}, **changed}
                properties = struct_pb2.Struct()
                properties.update(wire)
                remediation = response.remediations.add(properties=properties, description=rule.remediation)
                self._sign(remediation, rule)
        return response

    def Analyze(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Judge a resource before it is made."""
        response = analyzer_pb2.AnalyzeResponse()
        resource = _resource(request, json_format.MessageToDict(request.properties))
        if resource.type.startswith("pulumi:"):
            return response
        self.resources[resource.urn] = resource
        self._govern(resource, context)
        self._report(response, self.judge.resource(normalised(resource)))
        return response

    def AnalyzeStack(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Judge the stack when everything is registered, and the judgement itself."""
        response = analyzer_pb2.AnalyzeResponse()
        stack = self._stack(request)
        found = list(self.judge.stack(stack))
        self._report(response, found)
        if any(rule.last for rule in self.judge.levels):
            judged = [result for resource in stack.resources for result in self.judge.resource(resource)]
            self._report(response, self.judge.last(stack, [*judged, *found]))
        return response

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Nothing is under way that would have to be stopped."""
        return empty_pb2.Empty()

    def _mended(self, rule: Rule, resource: Resource) -> Mapping[str, Any] | None:
        try:
            return remedied(rule, resource, self.judge.settings)
        except Undecided:
            return None

    def _govern(self, resource: Resource, context: grpc.ServicerContext) -> None:
        try:
            self.judge.govern(resource)
        except SettingsError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{resource.name}: {error}")

    def _stack(self, request: Any) -> Stack:
        """What was registered, with what only the whole stack tells: parents, dependencies, outputs."""
        found: list[Resource] = []
        told = {each.urn: each for each in request.resources if not each.type.startswith("pulumi:")}
        for urn in [*self.resources, *(urn for urn in told if urn not in self.resources)]:
            if (each := told.get(urn)) is None:
                continue
            outputs = json_format.MessageToDict(each.properties)
            whole = replace(
                self.resources.get(urn) or _resource(each, outputs),
                parent=each.parent,
                dependencies=frozenset(each.dependencies),
                property_dependencies={key: list(made.urns) for key, made in each.propertyDependencies.items()},
                outputs=decoded(outputs),
            )
            found.append(normalised(whole))
        return Stack(found, name=self.stack_name or _stack_of(found), complete=not self.preview)

    def _report(self, response: Any, results: Iterable[Result]) -> None:
        for result in results:
            if result.outcome is Outcome.NOT_APPLICABLE:
                response.not_applicable.add(policy_name=result.rule.id, reason=result.message)
                continue
            missing = result.outcome is Outcome.UNDECIDED and not self.preview and result.exemption is None
            level = Level.MANDATORY if result.blocks or (missing and self._strict) else Level.ADVISORY
            diagnostic = response.diagnostics.add(
                message=f"could not be judged: {result.message}" if missing else _message(result),
                description=result.rule.title,
                urn=result.resource.urn if result.resource else "",
                enforcementLevel=_LEVELS[level],
                severity=_severity(result.rule),
            )
            self._sign(diagnostic, result.rule)

    @property
    def _strict(self) -> bool:
        """Whether what stays undecided fails: a pack may run alone, so each heeds that rule, whosever it is."""
        return self.judge.settings.level(rules()["not-evaluable-is-failure"]) in (Level.MANDATORY, Level.REMEDIATE)

    def _sign(self, message: Any, rule: Rule) -> None:
        message.policyName, message.policyPackName, message.policyPackVersion = rule.id, self.pack, self.version


def _resource(request: Any, wire: Mapping[str, Any]) -> Resource:
    provider = request.provider
    return Resource(
        request.type,
        request.name,
        decoded(wire),
        urn=request.urn,
        parent=request.options.parent,
        provider=decoded(json_format.MessageToDict(provider.properties)) if provider.urn else None,
        protect=request.options.protect,
    )


def _message(result: Result) -> str:
    where = f" ({result.path})" if result.path else ""
    if result.exemption is not None:
        ground = result.exemption
        return (
            f"exempted until {ground.expires} by {ground.approver} ({ground.ticket}: {ground.reason}): "
            f"{result.message}{where}"
        )
    if result.outcome is Outcome.UNDECIDED:
        return result.message
    return f"{result.message}{where}\n{result.rule.remediation}"


def _stack_of(resources: list[Resource]) -> str:
    return resources[0].urn.split(":")[2] if resources else ""


def _severity(rule: Rule) -> Any:
    return getattr(analyzer_pb2, f"POLICY_SEVERITY_{rule.severity.name}")


def _info(rule: Rule) -> Any:
    info = analyzer_pb2.PolicyInfo(
        name=rule.id,
        displayName=rule.title,
        description=rule.description or rule.title,
        enforcementLevel=_LEVELS[Settings().level(rule)],
        severity=_severity(rule),
        remediation_steps=rule.remediation,
        policy_type=analyzer_pb2.POLICY_TYPE_STACK if rule.scope is Scope.STACK else analyzer_pb2.POLICY_TYPE_RESOURCE,
        tags=sorted(rule.references),
    )
    if rule.parameters is not None:
        schema = rule.parameters.model_json_schema()
        info.configSchema.properties.update(schema.get("properties", {}))
        info.configSchema.required.extend(schema.get("required", []))
    return info
