"""Maturity scorecard: which practices the spec and the store of a stack show, each with its evidence.

The 28 tests are those of Breck, Cai, Nielsen, Salib, Sculley: "The ML Test Score: A Rubric for ML Production
Readiness and Technical Debt Reduction" (IEEE Big Data 2017), sections II to V. The paper gives half a point for a
test done by hand and recorded, one point for one that runs by itself; the score is the least of the four sections'
sums. Only what runs by itself can be seen here, so tests that people do count as not shown, and the score is a lower
bound. The levels are those of Google's "MLOps: Continuous delivery and automation pipelines in machine learning"
(Cloud Architecture Center).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pulumi_mlops.cli.overview import Component
from pulumi_mlops.cli.stack import Stack

SOURCE: Final = "Breck et al. 2017, The ML Test Score (IEEE Big Data)"


@dataclass(frozen=True)
class Practice:
    """A test of the rubric.

    Arguments:
        section: data, model, infrastructure or monitoring.
        number: number within the section, as in the paper.
        title: the paper's words.
        shown: whether spec and store show that it runs by itself.
        evidence: what shows it, or what is missing.
    """

    section: str
    number: int
    title: str
    shown: bool
    evidence: str


@dataclass(frozen=True)
class Scorecard:
    """Practices and what they amount to.

    Arguments:
        practices: the tests of the rubric.
        score: least sum of a section; a lower bound of the ML Test Score.
        meaning: the paper's reading of the score.
        level: level of MLOps, 0 or 1; level 2 needs delivery by CI/CD, which the spec can't declare yet.
        level_evidence: why that level.
    """

    practices: list[Practice]
    score: int
    meaning: str
    level: int
    level_evidence: str

    def as_json(self) -> dict[str, Any]:
        """The scorecard as JSON values."""
        return {
            "source": SOURCE,
            "score": self.score,
            "meaning": self.meaning,
            "level": self.level,
            "level_evidence": self.level_evidence,
            "practices": [vars(practice) for practice in self.practices],
        }


def scorecard(stack: Stack, components: list[Component]) -> Scorecard:
    """Judge a stack.

    Arguments:
        stack: the stack.
        components: what `overview` found.
    """
    facts = _Facts(stack, components)
    practices = []
    for section, number, title, judge in _TESTS:
        evidence = judge(facts) if judge is not None else None
        practices.append(
            Practice(
                section, number, title, evidence is not None, evidence or _MISSING.get((section, number), "by hand")
            )
        )
    sums = {section: sum(p.shown for p in practices if p.section == section) for section in _SECTIONS}
    score = min(sums.values())
    level, evidence = _level(facts)
    return Scorecard(practices, score, _meaning(score), level, evidence)


class _Facts:
    """What the tests look at."""

    def __init__(self, stack: Stack, components: list[Component]) -> None:
        from mlops_runtime.stores import deployments

        self.spec = stack.spec
        self.by_kind: dict[str, list[Component]] = {}
        for component in components:
            self.by_kind.setdefault(component.kind, []).append(component)
        registry = next(iter(self.by_kind.get("registry", [])), None)
        self.champion: int | None = registry.facts.get("champion") if registry else None
        self.manifest = (stack.bundle_manifest(self.champion) if self.champion else None) or {}
        names = [endpoint.name for endpoint in stack.spec.endpoints]
        self.line = deployments.lineage(deployments.history(stack.store, names[0])) if names else []
        self.windows = any(component.facts for component in self.by_kind.get("monitor", []))

    @property
    def ran(self) -> bool:
        """Whether the pipeline has run."""
        return any(component.facts for component in self.by_kind.get("pipeline", []))


def _schema(f: _Facts) -> str | None:
    checked = [name for name, source in f.spec.data.sources.items() if source.columns]
    return f"columns checked of {', '.join(checked)} before each training" if checked and f.ran else None


def _beneficial(f: _Facts) -> str | None:
    return "permutation importance in each evaluation" if f.ran and f.spec.evaluation.importance != "none" else None


def _reviewed(f: _Facts) -> str | None:
    commit = f.manifest.get("commit")
    return f"spec and code of version {f.champion} are commit {commit[:12]}" if commit else None


def _tuned(f: _Facts) -> str | None:
    tuning = f.spec.training.tuning
    return f"{tuning.trials} trials over {', '.join(tuning.space)}" if tuning is not None and f.ran else None


def _slices(f: _Facts) -> str | None:
    judged = [segment.column for segment in f.spec.evaluation.segments if segment.floors]
    return f"floors for each value of {', '.join(judged)}" if judged and f.ran else None


def _reproducible(f: _Facts) -> str | None:
    if not (f.manifest.get("data") and f.manifest.get("code")):
        return None
    return f"version {f.champion} records data, code, seed and packages by digest"


def _gate(f: _Facts) -> str | None:
    evaluation = f.spec.evaluation
    parts = [f"floors on {', '.join(evaluation.floors)}"] if evaluation.floors else []
    parts += ["comparison with the champion"] if evaluation.champion is not None else []
    return " and ".join(parts) + " before a version may serve" if parts and f.ran else None


def _rollback(f: _Facts) -> str | None:
    return f"mlops rollback goes back to version {f.line[-2]} with no failed request" if len(f.line) > 1 else None


def _invariants(f: _Facts) -> str | None:
    watched = [m.name for m in f.spec.monitors if m.signals.feature_drift is not None]
    return f"feature drift is watched by {', '.join(watched)}" if watched and f.windows else None


def _skew(f: _Facts) -> str | None:
    verification = f.manifest.get("verification")
    if not verification:
        return None
    return f"served graph equals the estimator on {verification['rows']:,} rows (within {verification['tolerance']:g})"


def _stale(f: _Facts) -> str | None:
    overdue = f.spec.retraining.overdue
    return f"an alert when no run succeeded for {overdue}" if overdue is not None else None


def _stable(f: _Facts) -> str | None:
    watched = [m.name for m in f.spec.monitors if m.signals.prediction_drift is not None]
    return f"prediction drift is watched by {', '.join(watched)}" if watched and f.windows else None


def _performance(f: _Facts) -> str | None:
    watched = [m.name for m in f.spec.monitors if m.signals.latency_p99 is not None or m.signals.error_rate is not None]
    return f"latency or errors are watched by {', '.join(watched)}" if watched and f.windows else None


_SECTIONS: Final = ("data", "model", "infrastructure", "monitoring")

_TESTS: Final[list[tuple[str, int, str, Callable[[_Facts], str | None] | None]]] = [
    ("data", 1, "Feature expectations are captured in a schema", _schema),
    ("data", 2, "All features are beneficial", _beneficial),
    ("data", 3, "No feature's cost is too much", None),
    ("data", 4, "Features adhere to meta-level requirements", None),
    ("data", 5, "The data pipeline has appropriate privacy controls", None),
    ("data", 6, "New features can be added quickly", None),
    ("data", 7, "All input feature code is tested", None),
    ("model", 1, "Model specs are reviewed and submitted", _reviewed),
    ("model", 2, "Offline and online metrics correlate", None),
    ("model", 3, "All hyperparameters have been tuned", _tuned),
    ("model", 4, "The impact of model staleness is known", None),
    ("model", 5, "A simpler model is not better", None),
    ("model", 6, "Model quality is sufficient on important data slices", _slices),
    ("model", 7, "The model is tested for considerations of inclusion", None),
    ("infrastructure", 1, "Training is reproducible", _reproducible),
    ("infrastructure", 2, "Model specs are unit tested", None),
    ("infrastructure", 3, "The ML pipeline is integration tested", None),
    ("infrastructure", 4, "Model quality is validated before serving", _gate),
    ("infrastructure", 5, "The model is debuggable", None),
    ("infrastructure", 6, "Models are canaried before serving", None),
    ("infrastructure", 7, "Serving models can be rolled back", _rollback),
    ("monitoring", 1, "Dependency changes result in notification", None),
    ("monitoring", 2, "Data invariants hold for inputs", _invariants),
    ("monitoring", 3, "Training and serving are not skewed", _skew),
    ("monitoring", 4, "Models are not too stale", _stale),
    ("monitoring", 5, "Models are numerically stable", _stable),
    ("monitoring", 6, "Computing performance has not regressed", _performance),
    ("monitoring", 7, "Prediction quality has not regressed", None),
]

_MISSING: Final = {
    ("data", 1): "declare data.sources.NAME.columns",
    ("data", 2): "set evaluation.importance",
    ("model", 1): "keep spec and code in git",
    ("model", 3): "declare training.tuning",
    ("model", 6): "declare evaluation.segments with floors",
    ("infrastructure", 1): "no version is live yet",
    ("infrastructure", 4): "declare evaluation.floors",
    ("infrastructure", 6): "not on this platform yet",
    ("infrastructure", 7): "no second version was deployed yet",
    ("monitoring", 2): "watch feature_drift in a monitor, and wait for its first window",
    ("monitoring", 3): "no verified ONNX export is live",
    ("monitoring", 4): "set retraining.overdue",
    ("monitoring", 5): "watch prediction_drift in a monitor, and wait for its first window",
    ("monitoring", 6): "watch latency_p99 or error_rate in a monitor, and wait for its first window",
    ("monitoring", 7): "not on this platform yet",
}


def _meaning(score: int) -> str:
    """Table I of the paper; the score is whole here, so its half steps do not occur."""
    if score == 0:
        return "more of a research project than a productionized system"
    if score == 1:
        return "not totally untested, but serious holes in reliability are likely"
    if score == 2:
        return "a first pass at basic productionization; more investment is likely needed"
    if score == 3:
        return "reasonably tested, more of the tests could be automated"
    if score <= 5:
        return "strong levels of automated testing and monitoring"
    return "exceptional levels of automated testing and monitoring"


def _level(f: _Facts) -> tuple[int, str]:
    triggers = f.spec.retraining.triggers
    started = [
        *(["a schedule"] if triggers.schedule else []),
        *(["drift"] if triggers.drift else []),
        *(["new data"] if triggers.new_data else []),
    ]
    missing = [
        *([] if f.ran else ["a pipeline run"]),
        *([] if started else ["a trigger (retraining.triggers)"]),
        *([] if _schema(f) else ["data validation (data.sources.NAME.columns)"]),
        *([] if _gate(f) else ["model validation (evaluation.floors or champion)"]),
    ]
    if missing:
        return 0, f"level 1 needs {', '.join(missing)}"
    return 1, f"automated pipeline with data and model validation, started by {', '.join(started)}"
