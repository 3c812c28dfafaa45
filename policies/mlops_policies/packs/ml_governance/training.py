"""How models are made and judged before they serve."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, jobs, mlops, watching, workflows
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, Stack
from mlops_policies.several import some
from mlops_policies.values import UNKNOWN, NotApplicable

rule = pack("ml-governance")


@rule(
    mlops.PIPELINE,
    *workflows.WORKFLOWS,
    severity="high",
    remediation="Set `evaluation.floors`; in a workflow, put a condition on the evaluation's metrics before what "
    "deploys.",
    references={
        "eu-ai-act": ["Art. 9(6)", "Art. 9(8)", "Art. 15(1)", "Art. 17(1)(d)"],
        "nist-ai-rmf": ["MEASURE 2.3", "MEASURE 2.5"],
        "iso-42001": ["A.6.2.4"],
        "sr-26-2": ["V. Validation"],
        "gmlp": ["Principle 8"],
        "soc2": ["CC8.1"],
    },
)
def evaluation_gate_before_deploy(pipeline: Resource) -> Iterator[Finding]:
    """A model is deployed only if its metrics on held-out data are above floors that were set before.

    Floors of segments count. The comparison with the version that serves does not: the first version has none to be
    compared with. Of a workflow, only one that both trains and deploys is judged.
    """
    if pipeline.type != mlops.PIPELINE:
        if (step := workflows.ungated(pipeline)) is not None:
            yield pipeline.finding(f"the step {step} deploys what was trained, whatever its evaluation says")
    elif not pipeline.has("endpoints"):
        raise NotApplicable("the pipeline deploys nothing")
    elif not (pipeline.has("evaluation.floors") or _floors(pipeline)):
        message = "models are deployed with no floor for any metric"
        yield pipeline.finding(message, "evaluation.floors", field="evaluation.floors")


@rule(
    mlops.PIPELINE,
    *jobs.TRAINING,
    graph=True,
    severity="medium",
    remediation="Set `training.split.strategy: time`; give each channel of a training job its own location.",
    references={"eu-ai-act": ["Art. 3(32)", "Annex IV(2)(g)"], "nist-ai-rmf": ["MEASURE 2.1"], "gmlp": ["Principle 4"]},
)
def train_test_isolated(training: Resource, stack: Stack) -> Iterator[Finding]:
    """Models are judged on data that they were not trained on.

    Our pipelines hold rows out before anything is learned. Rows with a timestamp must be held out by time: with
    neighbours of each row on both sides, a random split shows the model what it will be asked. In SageMaker, the
    channel of training data and the one of test or validation data are different locations.
    """
    if training.type == mlops.PIPELINE:
        if not training.number("split.holdout"):
            yield training.finding("no rows are held out", "split.holdout", field="training.split.holdout")
        elif training.text("split.strategy") != "time" and _timestamped(training, stack):
            message = "rows that follow one another in time are split at random"
            yield training.finding(message, "split.strategy", field="training.split.strategy")
        return
    judged = False
    for job in jobs.jobs(training, jobs.Work.TRAINING):
        channels = dict(_channels(job))
        known = {uri for channel, uri in channels.items() if uri and channel.startswith("train")}
        for channel, uri in channels.items():
            if not channel.startswith(("test", "val", "eval", "holdout")):
                continue
            judged = True
            if uri in known:
                message = f"the channel {channel} of {job.name} reads the location that the model is trained on"
                yield job.finding(message, "inputDataConfig")
    if not judged:
        raise NotApplicable("no training job of it reads data that a model is judged on")


@rule(
    mlops.REGISTRY,
    *aws.ENDPOINT,
    graph=True,
    severity="high",
    remediation="Set `evaluation.segments` with floors, and `signals.bias` of a monitor of each REST endpoint; for a "
    "SageMaker endpoint declare a MonitoringSchedule of the type ModelBias.",
    references={
        "eu-ai-act": ["Art. 10(2)(f)", "Art. 10(2)(g)"],
        "nist-ai-rmf": ["MEASURE 2.11"],
        "iso-42001": ["A.5.4"],
        "prowler": ["sagemaker_clarify_exists", "AISF-ML-05"],
    },
)
def bias_check_high_risk(model: Resource, stack: Stack) -> Iterator[Finding]:
    """A high-risk model is examined for bias before it serves, and while it does.

    Before: each pipeline has floors for the segments of a column. While: a monitor of each REST endpoint compares the
    predictions of groups. Which columns matter, no tool can tell.
    """
    mlops.only_high_risk(stack, model)
    if model.type != mlops.REGISTRY:
        mlops.not_ours(model)
        if not watching.schedules(stack, model, "ModelBias"):
            yield model.finding("no schedule of the type ModelBias watches this high-risk endpoint")
        return
    pipelines = mlops.about(stack, model, mlops.PIPELINE)
    endpoints = [found for found in mlops.about(stack, model, mlops.ENDPOINT) if found.text("kind") == "rest"]
    if not pipelines and not endpoints:
        raise NotApplicable("the program neither trains the model nor answers requests with it")
    for pipeline in pipelines:
        if not _floors(pipeline):
            yield model.finding("no segment of the held-out rows has a floor", field="evaluation.segments")
    for endpoint in endpoints:
        if not any(monitor.has("signals.bias") for monitor in mlops.monitors(stack, endpoint)):
            name = endpoint.text("endpoint")
            yield model.finding(f"no monitor watches the endpoint {name} for bias", field=_signals(stack, endpoint))


@rule(
    mlops.REGISTRY,
    *aws.ENDPOINT,
    graph=True,
    severity="medium",
    remediation="Set `evaluation.importance: permutation`; for a SageMaker endpoint declare a MonitoringSchedule of "
    "the type ModelExplainability.",
    references={
        "eu-ai-act": ["Art. 13(1)", "Art. 86(1)"],
        "nist-ai-rmf": ["MEASURE 2.9"],
        "sr-26-2": ["V. Conceptual soundness"],
    },
)
def explainability_high_risk(model: Resource, stack: Stack) -> Iterator[Finding]:
    """It is measured what the predictions of a high-risk model depend on.

    Our pipelines measure permutation importance of each input (Breiman 2001), which goes into the card; SageMaker has
    schedules of the type ModelExplainability. To explain a single decision to a person, neither is enough.
    """
    mlops.only_high_risk(stack, model)
    if model.type != mlops.REGISTRY:
        mlops.not_ours(model)
        if not watching.schedules(stack, model, "ModelExplainability"):
            yield model.finding("no schedule of the type ModelExplainability watches this high-risk endpoint")
        return
    for pipeline in some(mlops.about(stack, model, mlops.PIPELINE), "the program does not train the model"):
        if (pipeline.text("evaluation.importance") or "none") == "none":
            yield model.finding("the importance of the inputs is not measured", field="evaluation.importance")


@rule(
    mlops.RETRAINING,
    *workflows.WORKFLOWS,
    graph=True,
    severity="high",
    remediation="Set `evaluation.floors`, or `registry.approval: manual`; in a workflow that is started by itself, put "
    "a condition before what deploys.",
    references={
        "eu-ai-act": ["Art. 15(4)"],
        "gmlp": ["Principle 10"],
        "sr-26-2": ["V. Validation"],
        "nist-ai-rmf": ["MANAGE 4.1"],
        "soc2": ["CC8.1"],
    },
)
def retraining_gated(retraining: Resource, stack: Stack) -> Iterator[Finding]:
    """No model that was trained without a person's doing is deployed without a gate.

    A gate is a floor, the comparison with the version that serves, or approval by a person. Workflows are judged where
    a rule of EventBridge or a schedule of the program starts them.
    """
    if retraining.type == mlops.RETRAINING:
        if not retraining.flag("gated"):
            yield retraining.finding("runs that start by themselves do not pass the gate", "gated", field="retraining")
        elif retraining.text("approval") != "manual":
            if all(trigger == "manual" for trigger in retraining.texts("triggers")):
                raise NotApplicable("training starts only when somebody asks for it")
            for pipeline in some(
                mlops.about(stack, retraining, mlops.PIPELINE), "the program does not train the model"
            ):
                floors = pipeline.has("evaluation.floors") or _floors(pipeline)
                if not floors and not pipeline.flag("evaluation.champion"):
                    message = "a run that starts by itself deploys its model, however good it is"
                    yield retraining.finding(message, field="evaluation.floors")
    elif not _started(stack, retraining):
        raise NotApplicable("nothing in the program starts the workflow")
    elif (step := workflows.ungated(retraining)) is not None:
        yield retraining.finding(
            f"it starts by itself, and its step {step} deploys what was trained with no gate before"
        )


def _floors(pipeline: Resource) -> bool:
    return any(segment.has("floors") for segment in pipeline.each("evaluation.segments"))


def _timestamped(pipeline: Resource, stack: Stack) -> bool:
    name = pipeline.text("source")
    return any(data.has(f"sources.{name}.timestamp") for data in mlops.about(stack, pipeline, mlops.DATASET))


def _channels(job: jobs.Job) -> Iterator[tuple[str, str]]:
    """Name and location of a job's inputs; the location is empty where an earlier step makes what lies there."""
    for path in ("inputDataConfig", "inputDataConfigs"):
        for channel in job.each(path):
            location = channel.view("dataSource.s3DataSource")
            later = job.resource.type in workflows.WORKFLOWS and location.value("s3Uri") is UNKNOWN
            yield (channel.text("channelName") or "").casefold(), "" if later else location.text("s3Uri") or ""


def _signals(stack: Stack, endpoint: Resource) -> str:
    for monitor in mlops.monitors(stack, endpoint):
        return f"monitors[{monitor.text('monitor')}].signals"
    return "monitors"


def _started(stack: Stack, workflow: Resource) -> bool:
    if stack.referring(workflow, aws.EVENT_TARGET, "arn") or stack.referring(workflow, aws.SCHEDULE, "target.arn"):
        return True
    return any(
        stack.refers(target, "arn", workflow) for rule in stack.of(*aws.EVENT_RULE) for target in rule.each("targets")
    )
