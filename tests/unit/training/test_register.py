from __future__ import annotations

import json

import polars as pl
import pytest
import training_kit as kit

from mlops_runtime.monitoring.baseline import Baseline
from mlops_runtime.scoring import Scorer
from mlops_runtime.serving.bundle import read_bundle
from mlops_runtime.steps import evaluate, register, train, validate
from mlops_runtime.steps.base import digest_of_file
from mlops_runtime.steps.featurize import FeaturizeOutputs
from mlops_runtime.stores import deployments
from mlops_runtime.stores.deployments import Change
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.tracking import Tracking


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A tracking database, made once: MLflow takes seconds for it."""
    root = tmp_path_factory.mktemp("template")
    Tracking(Store(root), "none")
    return root / "mlflow.db"


@pytest.fixture
def root(tmp_path, template):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "mlflow.db").write_bytes(template.read_bytes())
    return tmp_path


def registered(root, task="binary", run_id="r1", **overrides):
    run = kit.featurized(kit.definition(root, task, **overrides), kit.rows(800, task), run_id)
    for step in (train, evaluate, validate):
        step.STEP.execute(run)
    return run, register.STEP.execute(run)


def status(run, version):
    return Tracking(run.store, "late").version(version).tags["status"]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_bundle_serves_what_the_estimator_predicts(root, task):
    run, outputs = registered(root, task)
    assert (outputs.version, outputs.runtime, outputs.status) == (1, "onnxruntime", "approved")
    assert outputs.digest == digest_of_file(outputs.bundle / "model.onnx")
    manifest = read_bundle(outputs.bundle).manifest
    assert [(column.name, column.dtype, column.nullable) for column in manifest.inputs] == [
        ("a", "float32", True),
        ("h", "int64", False),
        ("flag", "bool", False),
        ("c", "string", True),
    ]
    holdout = pl.read_parquet(run.outputs("featurize", FeaturizeOutputs).holdout)
    found = Scorer(outputs.bundle).predict(holdout)
    kept = pl.read_parquet(run.outputs("evaluate", evaluate.EvaluateOutputs).predictions)
    if task == "regression":
        assert found["prediction"].ravel() == pytest.approx(kept["prediction"].to_numpy(), rel=1e-4)
    else:
        for place, name in enumerate(manifest.classes):
            assert found["probabilities"][:, place] == pytest.approx(kept[f"probability_{name}"].to_numpy(), abs=1e-4)
    baseline = Baseline.load(outputs.bundle / "baseline.json")
    assert set(baseline.features) == {"a", "h", "flag", "c"}
    assert len(manifest.sample["a"]) == 5


def test_the_version_and_its_run_carry_the_lineage(root):
    run, outputs = registered(root)
    tracking = Tracking(run.store, "late")
    version = tracking.version(1)
    assert version.run_id == "r1"
    assert version.tags["status"] == "approved"
    assert version.tags["digest"] == outputs.digest
    assert version.tags["team"] == "ops"
    assert version.tags["code"].startswith("sha256:")
    card = json.loads((outputs.bundle / "card.json").read_text())
    assert card["lineage"]["run"] == "r1"
    assert card["evaluation"]["metrics"]["roc_auc"]["low"] < card["evaluation"]["metrics"]["roc_auc"]["value"]
    text = (outputs.bundle / "card.md").read_text()
    for fact in (
        "Says whether it is late.",
        "ann",
        "Not for freight",
        "roc_auc (primary)",
        outputs.digest,
        "Apache-2.0",
    ):
        assert fact in text


def test_a_rejected_model_is_kept_with_its_reason(root):
    run, outputs = registered(root, evaluation__floors={"roc_auc": 0.999})
    assert outputs.status == "rejected"
    version = Tracking(run.store, "late").version(1)
    assert version.tags["status"] == "rejected"
    assert "below the floor 0.999" in version.tags["reason"]
    assert version.aliases == ()
    assert (outputs.bundle / "manifest.json").exists()


def test_manual_approval_leaves_a_candidate_that_waits(root):
    run, outputs = registered(root, registry__approval="manual")
    assert outputs.status == "pending"
    assert Tracking(run.store, "late").alias("candidate").number == 1


NATIVE = """
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

def fit(X, y):
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=5)
    columns = ColumnTransformer([("c", encode, ["c"])], remainder="passthrough")
    return Pipeline([
        ("columns", columns),
        ("model", HistGradientBoostingClassifier(max_iter=30, categorical_features=[0], random_state=0)),
    ]).fit(X, y)
"""


@pytest.mark.parametrize(
    ("mode", "status", "runtime"), [("auto", "approved", "sklearn"), ("required", "rejected", "sklearn")]
)
def test_a_model_without_faithful_export_falls_back_or_is_rejected(root, mode, status, runtime):
    (root / "code").mkdir()
    (root / "code" / "mine.py").write_text(NATIVE)
    run, outputs = registered(
        root, training__function="mine:fit", registry__onnx={"mode": mode, "tolerance": 1e-4, "rows": 500}
    )
    assert (outputs.status, outputs.runtime) == (status, runtime)
    assert "differ from the estimator's" in outputs.fallback_reason
    assert read_bundle(outputs.bundle).manifest.fallback_reason == outputs.fallback_reason
    holdout = pl.read_parquet(run.outputs("featurize", FeaturizeOutputs).holdout)
    kept = pl.read_parquet(run.outputs("evaluate", evaluate.EvaluateOutputs).predictions)
    found = Scorer(outputs.bundle).predict(holdout)["probabilities"]
    assert found[:, 1] == pytest.approx(kept["probability_1"].to_numpy(), abs=1e-6)
    if mode == "required":
        assert "registry.onnx.mode is required" in outputs.reasons[0]


def test_export_can_be_switched_off(root):
    _, outputs = registered(root, registry__onnx={"mode": "off", "tolerance": 1e-4, "rows": 500})
    assert (outputs.runtime, outputs.fallback_reason) == ("sklearn", "registry.onnx.mode is off")


def test_a_crash_between_version_and_bundle_is_mended_without_a_second_version(root, monkeypatch):
    real = register._write_bundle

    def crash(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(register, "_write_bundle", crash)
    with pytest.raises(KeyboardInterrupt):
        registered(root)
    monkeypatch.setattr(register, "_write_bundle", real)
    run, outputs = registered(root)
    assert outputs.version == 1
    assert [version.number for version in Tracking(run.store, "late").versions()] == [1]
    assert sorted(path.name for path in run.store.bundles("late").iterdir()) == ["1"]


def test_a_crash_in_the_midst_of_a_bundle_leaves_none(root, monkeypatch):
    monkeypatch.setattr(register, "_baseline", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        registered(root)
    assert not Store(root / "store").bundle("late", 1).exists()


def test_the_oldest_bundles_go_but_never_what_serves_or_would_be_rolled_back_to(root):
    store = Store(root / "store")
    for number in (1, 2):
        run, outputs = registered(root, run_id=f"r{number}")
        change = Change(
            endpoint="late", model="late", version=number, bundle=f"bundles/late/{number}", digest=outputs.digest,
            deployed_at="2026-01-01T00:00:00Z", by="pipeline", run_id=run.id, action="deploy", previous=None,
            reason=None,
        )  # fmt: skip
        deployments.point(store, change)
        deployments.record(store, change)
    for number in (3, 4, 5):
        run, _ = registered(root, run_id=f"r{number}", registry__keep_versions=2)
    assert sorted(int(path.name) for path in store.bundles("late").iterdir()) == [1, 2, 4, 5]
    assert [version.number for version in Tracking(store, "late").versions()] == [5, 4, 3, 2, 1]


def test_no_bundle_goes_while_its_technical_file_is_to_be_kept(root):
    kept = {"technical_file": 3600.0}
    for number in (1, 2, 3):
        run, _ = registered(
            root, run_id=f"r{number}", registry__keep_versions=1, governance__retention=kept
        )  # fmt: skip
    bundles = run.store.bundles("late")
    assert sorted(path.name for path in bundles.iterdir()) == ["1", "2", "3"]

    manifest = bundles / "1" / "manifest.json"
    aged = json.loads(manifest.read_text()) | {"created_at": "2026-01-01T00:00:00Z"}
    manifest.write_text(json.dumps(aged))
    registered(root, run_id="r4", registry__keep_versions=1, governance__retention=kept)
    assert sorted(path.name for path in bundles.iterdir()) == ["2", "3", "4"]


def test_the_card_says_what_governance_and_the_sources_declare(root):
    _, outputs = registered(
        root,
        governance__frameworks=["eu-ai-act"],
        governance__oversight={"role": "Duty manager", "contact": "duty@example.org"},
        governance__review_by="2027-11-01",
        governance__impact_assessment="DPIA-7",
        sources__rows__classification="health",
        sources__rows__purpose="Care",
        sources__rows__justification="Consent of 2026",
    )
    card = json.loads((outputs.bundle / "card.json").read_text())
    assert card["governance"] == {
        "frameworks": ["eu-ai-act"],
        "oversight": {"role": "Duty manager", "contact": "duty@example.org"},
        "review_by": "2027-11-01",
        "impact_assessment": "DPIA-7",
    }
    declared = {"classification": "health", "purpose": "Care", "justification": "Consent of 2026"}
    assert card["data"]["sources"] == {"rows": declared}
    text = (outputs.bundle / "card.md").read_text()
    assert "| `rows` | health | Care | Consent of 2026 |" in text
    for line in (
        "- Watched by: Duty manager (duty@example.org)",
        "- To be reviewed or retired by: 2027-11-01",
        "- Impact assessment: DPIA-7",
        "- Frameworks that the owner claims to follow: eu-ai-act",
    ):
        assert line in text.splitlines()


def test_a_card_without_governance_says_so(root):
    _, outputs = registered(root)
    assert "## Governance\n\nNot stated.\n" in (outputs.bundle / "card.md").read_text()


def test_the_champion_is_compared_on_the_same_rows_and_one_that_can_not_score_them_is_reported(root):
    run, outputs = registered(root)
    store = run.store
    change = Change(
        endpoint="late", model="late", version=1, bundle="bundles/late/1", digest=outputs.digest,
        deployed_at="2026-01-01T00:00:00Z", by="pipeline", run_id="r1", action="deploy", previous=None, reason=None,
    )  # fmt: skip
    deployments.point(store, change)
    run, _ = registered(root, run_id="r2")
    comparison = run.outputs("validate", validate.ValidateOutputs).comparison
    assert comparison.champion == 1
    assert comparison.candidate_value == pytest.approx(comparison.champion_value, abs=1e-6)
    assert not comparison.worse

    made = kit.definition(root)
    weak = kit.featurized(made, kit.rows(800), "r3", columns=[kit.COLUMNS[2]])
    for step in (train, evaluate):
        step.STEP.execute(weak)
    verdict = validate.STEP.execute(weak)
    assert verdict.comparison is None
    assert any("not compared with the champion (version 1)" in note and "a" in note for note in verdict.notes)


def test_a_candidate_worse_than_the_champion_is_rejected(root):
    run, outputs = registered(root)
    change = Change(
        endpoint="late", model="late", version=1, bundle="bundles/late/1", digest=outputs.digest,
        deployed_at="2026-01-01T00:00:00Z", by="pipeline", run_id="r1", action="deploy", previous=None, reason=None,
    )  # fmt: skip
    deployments.point(run.store, change)
    _, worse = registered(root, run_id="r2", training__estimator="sklearn.dummy.DummyClassifier")
    assert worse.status == "rejected"
    assert "is worse than the champion's" in worse.reasons[0]
