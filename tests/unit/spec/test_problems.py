# ruff: noqa: E501 - a table has a line for each case
"""Every mistake is found with its code, field and position. ⟨ marks the position in the mistaken text."""

from pathlib import Path

import pytest

from pulumi_mlops.spec import SpecError, load
from pulumi_mlops.spec.errors import CODES, Problem
from tests.unit.spec.alternatives import FULL

# (text of full.yaml, what it is replaced with, code, field)
CASES: list[tuple[str, str, str, str]] = [
    # keys and types
    ("risk_tier:", "⟨risk_teir:", "S010", "identity.risk_teir"),
    ("  views: [weather, planes]", "  ⟨veiws: [weather, planes]", "S010", "training.veiws"),
    ("max_rows: 5000", "⟨max_row: 5000", "S010", "endpoints[0].max_row"),
    ("archive: zip", "⟨chunk_rows: 1", "S010", "endpoints[2].chunk_rows"),
    ("metrics: [roc_auc, log_loss, f1]", "⟨metric: [roc_auc]", "S010", "evaluation.metric"),
    ("  owner: Ann Smith\n", "", "S011", "identity.owner"),
    ("keep: 2}", "keep: ⟨2.5}", "S012", "platform.local.logs.keep"),
    ("keep: 2}", 'keep: ⟨"2"}', "S012", "platform.local.logs.keep"),
    ("enrichment: true", "enrichment: ⟨yes", "S012", "endpoints[0].enrichment"),
    ("cost-centre: \"4711\"", "cost-centre: ⟨4711", "S012", "identity.tags.cost-centre"),
    ("key: [flight_id]", "key: ⟨flight_id", "S012", "data.sources.flights.key"),
    ("  card:\n", "  card: ⟨none\n  x-card:\n", "S012", "registry.card"),
    ("threshold: 0.4", "threshold: ⟨.nan", "S012", "evaluation.threshold"),
    ("seed: 7", "seed: ⟨" + "9" * 5000, "S012", "training.seed"),
    ("allowed: [EWR, JFK, LGA]", "allowed: [⟨null, JFK]", "S012", "data.sources.flights.columns.origin.allowed[0]"),
    ("data_dir: .mlops", 'data_dir: ⟨""', "S012", "platform.local.data_dir"),
    ("impute: mean", "impute: ⟨maen", "S013", "training.preprocessing.impute"),
    ("task: binary", "task: ⟨classification", "S013", "training.task"),
    ("port: 8081", "port: ⟨80", "S014", "endpoints[0].port"),
    ("holdout: 0.25", "holdout: ⟨1", "S014", "training.split.holdout"),
    ("seed: 7", "seed: ⟨-1", "S014", "training.seed"),
    ("cpu: 1500m", "cpu: ⟨0", "S014", "training.compute.cpu"),
    ("low: 3, high: 12", "low: ⟨3.5, high: 12", "S014", "training.tuning.space.max_depth.low"),
    ("low: 0.01", "low: ⟨0", "S014", "training.tuning.space.learning_rate.low"),
    ("  name: delay\n  owner", "  name: ⟨Delay\n  owner", "S015", "identity.name"),
    ("contact: ann@example.com", "contact: ⟨ann", "S015", "identity.contact"),
    ("owner: Ann Smith", 'owner: ⟨""', "S015", "identity.owner"),
    ("        distance: {", "        ⟨2nd: {", "S015", "data.sources.flights.columns.2nd"),
    ("requirements: [scikit-learn>=1.6]", 'requirements: [⟨"not a requirement"]', "S015", "code.requirements[0]"),
    ('pattern: "[A-Z]{3}"', 'pattern: ⟨"[A-Z"', "S015", "data.sources.flights.columns.origin.pattern"),
    ("features: [seats]", "⟨features: []", "S016", "features.views.planes.features"),
    ("frameworks: [eu-ai-act, nist-ai-rmf]", "frameworks: [⟨eu-aiact]", "S013", "governance.frameworks[0]"),
    ("contact: duty@example.com", "contact: ⟨duty", "S015", "governance.oversight.contact"),
    ("data-domain: punctuality", "⟨aws:domain: punctuality", "S015", "governance.tags.aws:domain"),
    ("data-domain: punctuality", "⟨-domain: punctuality", "S015", "governance.tags.-domain"),
    ("resource: stack-traffic", 'resource: ⟨"*"', "S015", "governance.exemptions[0].resource"),
    ("      ticket: OPS-12\n", "", "S011", "governance.exemptions[0].ticket"),
    # human forms
    ("drain: 5s", "drain: ⟨5", "S017", "endpoints[0].drain"),
    ("drain: 5s", "drain: ⟨0s", "S017", "endpoints[0].drain"),
    ("drain: 5s", "drain: ⟨5 sec", "S017", "endpoints[0].drain"),
    ("drain: 5s", "drain: ⟨" + "9" * 400 + "d", "S017", "endpoints[0].drain"),
    ("memory: 3Gi", "memory: ⟨3Gib", "S018", "training.compute.memory"),
    ("memory: 3Gi", "memory: ⟨" + "9" * 400 + "Ti", "S018", "training.compute.memory"),
    ("cpu: 1500m", "cpu: ⟨two", "S019", "training.compute.cpu"),
    ('schedule: "0 3 * * *"', 'schedule: ⟨"0 3 * *"', "S020", "endpoints[1].schedule"),
    ('schedule: "0 3 * * *"', 'schedule: ⟨"@daily"', "S020", "endpoints[1].schedule"),
    ('schedule: "0 3 * * *"', 'schedule: ⟨"0 25 * * *"', "S020", "endpoints[1].schedule"),
    ('schedule: "0 3 * * *"', 'schedule: ⟨"0 0 30 2 *"', "S020", "endpoints[1].schedule"),
    ('schedule: "0 3 * * *"', 'schedule: ⟨"0 3 L * *"', "S020", "endpoints[1].schedule"),
    ("transform: flights:clean", "transform: ⟨flights.clean", "S021", "data.sources.flights.transform"),
    ("estimator: sklearn.", "estimator: ⟨sk-learn.", "S021", "training.estimator"),
    ("token: file:secrets/token", "token: ⟨hunter2", "S022", "endpoints[0].token"),
    ("webhook: env:ALERTS", "webhook: ⟨ftp://x", "S022", "monitors[0].alerts[0].webhook"),
    ("email: ada@example.com", "email: ⟨Ada <ada@example.com>", "S015", "monitors[0].alerts[1].email"),
    ("email: ada@example.com", 'email: ⟨"ada@example.com\\nBcc: b@example.com"', "S015", "monitors[0].alerts[1].email"),
    ("start: 2013-01-01", "start: ⟨yesterday", "S024", "training.window.start"),
    ("start: 2013-01-01", "start: ⟨2013", "S024", "training.window.start"),
    ("start: 2013-01-01", "start: ⟨2013-02-30", "S024", "training.window.start"),
    ("review_by: 2027-11-01", "review_by: ⟨2027-11-31", "S024", "governance.review_by"),
    ("review_by: 2027-11-01", "review_by: ⟨2027-11-01T12:00", "S024", "governance.review_by"),
    ("    kind: edge", "    kind: ⟨edeg", "S025", "endpoints[2].kind"),
    ("    kind: edge\n", "", "S025", "endpoints[2]"),
    ("uri: s3://warehouse/routes/", "uri: ⟨s3:/warehouse", "S026", "data.sources.routes.uri"),
    ("uri: sqlite:///planes.db", "uri: ⟨gs://bucket/x", "S026", "data.sources.planes.uri"),
    # a section by itself
    ("min: 0, max: 6000", "min: ⟨7000, max: 6000", "S030", "data.sources.flights.columns.distance.min"),
    ("low: 3, high: 12", "low: ⟨13, high: 12", "S030", "training.tuning.space.max_depth.low"),
    ("min_rows: 100\n        max_rows", "min_rows: ⟨2000000\n        max_rows", "S030", "data.sources.flights.checks.min_rows"),
    ("start: 2013-01-01", "start: ⟨2014-01-01", "S030", "training.window.start"),
    ("parallel: 2", "parallel: ⟨11", "S030", "training.tuning.parallel"),
    ("overdue: 8d", "overdue: ⟨1h", "S030", "retraining.overdue"),
    ("window: {start", "window: {last: ⟨3d, start", "S031", "training.window.last"),
    ("  params:", "  function: ⟨a:b\n  params:", "S031", "training.function"),
    ("dtype: int, unique", "dtype: int, pattern: ⟨x, unique", "S031", "data.sources.flights.columns.flight_id.pattern"),
    ("uri: sqlite:///planes.db", "endpoint_url: ⟨http://x\n      uri: sqlite:///planes.db", "S031", "data.sources.planes.endpoint_url"),
    ("features: [seats]", "features: [⟨tailnum]", "S031", "features.views.planes.features[0]"),
    ("inputs: [origin, distance]", "inputs: [⟨departure, distance]", "S031", "training.inputs[0]"),
    ("params: {max_iter: 100}", "params: {random_state: ⟨3}", "S031", "training.params.random_state"),
    ("dtype: float, nullable: true", "dtype: string, nullable: true", "S031", "data.sources.flights.columns.distance.max"),
    ("webhook: env:ALERTS,", "webhook: env:ALERTS, email: ⟨ada@example.com,", "S031", "monitors[0].alerts[0].email"),
    ("security: tls", "security: ⟨none", "S031", "platform.local.smtp.security"),
    ("{webhook: env:ALERTS, min_interval: 2h}", "⟨{min_interval: 2h}", "S032", "monitors[0].alerts[0]"),
    ("username: mlops, password: ", "password: ⟨", "S032", "platform.local.smtp.password"),
    ("username: mlops, password: env:SMTP_PASSWORD", "username: ⟨mlops", "S032", "platform.local.smtp.username"),
    ("password: env:SMTP_PASSWORD", "password: ⟨hunter2", "S022", "platform.local.smtp.password"),
    ("{email: ada@example.com}", "{webhook: env:ALERTS}", "S034", "monitors[0].alerts[1]"),
    ("estimator: sklearn.ensemble.HistGradientBoostingClassifier\n  ", "", "S032", "training"),
    ("      query: select * from planes\n", "", "S032", "data.sources.planes"),
    ("uri: data/flights.csv\n      format: csv", "uri: ⟨data/flights.json", "S032", "data.sources.flights.uri"),
    ("nullable: true, max_null_fraction: 0.1", "nullable: false, max_null_fraction: ⟨0.1", "S033", "data.sources.flights.columns.distance.max_null_fraction"),
    ("params: {max_iter: 100}", "params: {max_depth: ⟨3}", "S033", "training.params.max_depth"),
    ("timeout: 10m", "timeout: ⟨2h", "S033", "training.tuning.timeout"),
    ("mode: required", "mode: off", "S033", "registry.onnx.tolerance"),
    ("approval: manual\n", "approval: automatic\n", "S033", "registry.approvers"),
    ("  views:\n    weather:", "  entities_: 1\n  views:\n    weather:", "S010", "features.entities_"),
    ("    plane: {keys", "    ⟨runway: {keys: [id]}\n    plane: {keys", "S033", "features.entities.runway"),
    ("inputs: [origin, distance]", "inputs: [origin, ⟨origin, distance]", "S034", "training.inputs[1]"),
    ("  - name: gate", "  - name: ⟨nightly", "S034", "endpoints[2].name"),
    ("frameworks: [eu-ai-act, nist-ai-rmf]", "frameworks: [eu-ai-act, ⟨eu-ai-act]", "S034", "governance.frameworks[1]"),
    ("  exemptions:\n", "  exemptions:\n    - {rule: monitor-has-alert-route, resource: stack-traffic, reason: r, approver: a, ticket: t, expires: 2026-12-31}\n", "S034", "governance.exemptions[1]"),
    ("classification: health", "classification: personal", "S033", "data.sources.planes.justification"),
    # sections together
    ("source: weather\n      entity", "source: ⟨wether\n      entity", "S040", "features.views.weather.source"),
    ("entity: airport", "entity: ⟨airprt", "S040", "features.views.weather.entity"),
    ("source: flights\n  label", "source: ⟨flight\n  label", "S040", "training.source"),
    ("views: [weather, planes]", "views: [weather, ⟨plains]", "S040", "training.views[1]"),
    ("    source: flights\n    schedule", "    source: ⟨flght\n    schedule", "S040", "endpoints[1].source"),
    ("endpoint: delay", "endpoint: ⟨dellay", "S040", "monitors[0].endpoint"),
    ("endpoint: delay", "endpoint: ⟨nightly", "S040", "monitors[0].endpoint"),
    ("columns: [distance, wind]", "columns: [distance, ⟨wnd]", "S040", "monitors[0].signals.feature_drift.columns[1]"),
    ("bias: {column: origin", "bias: {column: ⟨orign", "S040", "monitors[0].signals.bias.column"),
    ("drift: [traffic]", "drift: [⟨trafic]", "S040", "retraining.triggers.drift[0]"),
    ("new_data: {source: weather", "new_data: {source: ⟨wether", "S040", "retraining.triggers.new_data.source"),
    ("metrics: [roc_auc, log_loss, f1]", "metrics: [roc_auc, log_loss, ⟨rmse]", "S041", "evaluation.metrics[2]"),
    ("primary: roc_auc", "primary: ⟨accuracy", "S041", "evaluation.primary"),
    ("  floors: {roc_auc: 0.65}", "  floors: {⟨recall: 0.65}", "S041", "evaluation.floors.recall"),
    ("floors: {roc_auc: 0.6}}", "floors: {⟨recall: 0.6}}", "S041", "evaluation.segments[0].floors.recall"),
    ("  floors: {roc_auc: 0.65}", "  floors: {roc_auc: ⟨65}", "S042", "evaluation.floors.roc_auc"),
    ("port: 8081", "port: ⟨5001", "S043", "endpoints[0].port"),
    ("port: 9101", "port: ⟨8081", "S043", "monitors[0].port"),
    ("      timestamp: observed\n", "", "S044", "features.views.weather.ttl"),
    ("inputs: [origin, distance]", "inputs: [origin, ⟨late]", "S045", "training.inputs[1]"),
    ("approvers: [Bob Jones]", "approvers: [⟨ann smith]", "S046", "registry.approvers[0]"),
    ("capture: {sample: 0.5, retention: 7d}", "capture: false", "S047", "monitors[0].signals.feature_drift"),
    ("retention: 7d", "retention: 10m", "S047", "monitors[0].window"),
    ("capture: {sample: 0.5, retention: 7d}", "capture: {sample: 0.5, retention: ⟨1d}", "S049", "endpoints[0].capture.retention"),
    # environments
    ("    training: {tuning: {trials: 100}}", "    training: {tuning: {trials: ⟨many}}", "S012", "environments.prod.training.tuning.trials"),
    ("    training: {tuning: {trials: 100}}", "    training: {tuning: {⟨trails: 100}}", "S010", "environments.prod.training.tuning.trails"),
    ("    training: {tuning: null}", "    training: {⟨tunning: null}", "S051", "environments.dev.training.tunning"),
    ("    training: {tuning: null}", "    ⟨apiVersion: mlops/v2", "S050", "environments.dev.apiVersion"),
    ("    training: {tuning: null}", "    endpoints: [{name: a, kind: rest, port: ⟨1}]", "S014", "environments.dev.endpoints[0].port"),
    ("  prod:", "  ⟨Prod:", "S015", "environments.Prod"),
    # version
    ("apiVersion: mlops/v1", "apiVersion: ⟨mlops/v9", "S008", "apiVersion"),
    ("apiVersion: mlops/v1\n", "", "S008", "apiVersion"),
]  # fmt: skip


def problems(tmp_path: Path, text: str, environment: str | None = None) -> tuple[Problem, ...]:
    file = tmp_path / "mlops.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(file, environment)
    return caught.value.problems


@pytest.mark.parametrize(("old", "new", "code", "field"), CASES)
def test_mistake(tmp_path: Path, old: str, new: str, code: str, field: str) -> None:
    full = FULL.read_text(encoding="utf-8")
    assert full.count(old) == 1, "the mistake must be made in one place"
    text = full.replace(old, new)
    before, mark, _ = text.partition("⟨")
    found = problems(tmp_path, text.replace("⟨", ""))
    matching = [problem for problem in found if (problem.code, problem.field) == (f"MLOPS-{code}", field)]
    assert len(matching) == 1, "\n".join(map(str, found))
    (problem,) = matching
    assert problem.file == str(tmp_path / "mlops.yaml")
    if mark:
        written = before.rsplit("\n", 1)[-1]
        assert (problem.line, problem.column) == (before.count("\n") + 1, len(written) + 1)
    # Most mistakes have no others in their wake; those that do, name the field that is missed.
    assert len(found) <= 6, "\n".join(map(str, found))


def test_every_code_is_shown_by_a_test() -> None:
    elsewhere = {"S001", "S002", "S003", "S004", "S005", "S006", "S007", "S009", "S023", "S029", "S048", "S060"}
    assert {code for _, _, code, _ in CASES} | elsewhere == {code.removeprefix("MLOPS-") for code in CODES}


def test_all_problems_are_reported_at_once_in_order_of_lines(tmp_path: Path) -> None:
    text = FULL.read_text(encoding="utf-8")
    for old, new in (("keep: 2}", "keep: x}"), ("drain: 5s", "drain: 5"), ("drift: [traffic]", "drift: [trafic]")):
        text = text.replace(old, new)
    found = problems(tmp_path, text)
    # The last is a rule between two sections that could be read, though others could not.
    assert [problem.field for problem in found] == [
        "platform.local.logs.keep",
        "endpoints[0].drain",
        "retraining.triggers.drift[0]",
    ]
    assert [problem.line for problem in found] == sorted(problem.line or 0 for problem in found)


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("risk_tier:", "risk_teir:", "Did you mean `risk_tier`?"),
        ("impute: mean", "impute: maen", "Did you mean `mean`?"),
        ("source: flights\n  label", "source: flight\n  label", "Did you mean `flights`?"),
        ('cost-centre: "4711"', "cost-centre: 4711", 'Quote it: "4711".'),
        ("keep: 2}", 'keep: "2"}', "Take the quotes away."),
        ("key: [flight_id]", "key: flight_id", "Write it as a list: [flight_id]."),
        ("approval: manual\n", "approval: automatic\n", "Set approval: manual, or take approvers out."),
    ],
)
def test_hint(tmp_path: Path, old: str, new: str, hint: str) -> None:
    found = problems(tmp_path, FULL.read_text(encoding="utf-8").replace(old, new))
    assert hint in [problem.hint for problem in found]


def test_text_of_a_problem(tmp_path: Path) -> None:
    text = FULL.read_text(encoding="utf-8").replace("impute: mean", "impute: maen")
    (line,) = [number for number, words in enumerate(text.splitlines(), 1) if "maen" in words]
    (problem,) = problems(tmp_path, text)
    assert str(problem) == (
        f"{tmp_path}/mlops.yaml:{line}:42: MLOPS-S013 training.preprocessing.impute: not one of the allowed values\n"
        "    expected one of none, median, mean, found 'maen'\n"
        "    Did you mean `mean`?"
    )


REGRESSION = """
apiVersion: mlops/v1
identity: {name: price, owner: ann, purpose: test}
data: {sources: {homes: {uri: homes.csv}, rents: {uri: rents.csv, timestamp: at}}}
features:
  entities: {home: {keys: [id]}}
  views: {rents: {source: rents, entity: home, features: [rent]}}
training: {task: regression, source: homes, label: price, inputs: [rooms], estimator: sklearn.linear_model.Ridge}
"""


@pytest.mark.parametrize(
    ("addition", "code", "field"),
    [
        ("evaluation: {threshold: 0.5}", "S033", "evaluation.threshold"),
        ("evaluation: {calibration_bins: 10}", "S033", "evaluation.calibration_bins"),
        ("evaluation: {floors: {rmse: -1}}", "S042", "evaluation.floors.rmse"),
        ("evaluation: {floors: {roc_auc: 0.5}}", "S041", "evaluation.floors.roc_auc"),
        ("retraining: {cooldown: 1h}", "S033", "retraining.cooldown"),
        ("registry: {onnx: {mode: 'off'}}\nendpoints: [{name: a, kind: edge}]", "S048", "endpoints[0].kind"),
        ("endpoints: [{name: a, kind: rest, enrichment: true}]", "S033", "endpoints[0].enrichment"),
        (
            "endpoints: [{name: a, kind: rest}]\n"
            "monitors: [{name: m, endpoint: a, min_rows: 5, signals: {error_rate: 0.1}}]",
            "S033",
            "monitors[0].min_rows",
        ),
        (
            "endpoints: [{name: a, kind: rest}]\n"
            "monitors: [{name: m, endpoint: a, signals: {error_rate: 0.1}}]\n"
            "retraining: {triggers: {drift: [m]}}",
            "S047",
            "retraining.triggers.drift[0]",
        ),
        (
            "endpoints: [{name: a, kind: rest, capture: false}]\n"
            "monitors: [{name: m, endpoint: a, min_rows: 5, signals: {bias: {column: rooms}}}]",
            "S047",
            "monitors[0].signals.bias",
        ),
        (
            "endpoints: [{name: a, kind: rest, capture: {sample: 0.1}}]\n"
            "monitors: [{name: m, endpoint: a, signals: {bias: {column: rooms}}}]\n"
            "retraining: {triggers: {drift: [m]}}",
            "S047",
            "retraining.triggers.drift[0]",
        ),
        (
            "endpoints: [{name: a, kind: rest}]\nmonitors: [{name: m, endpoint: a, signals: {}}]",
            "S032",
            "monitors[0].signals",
        ),
        ("endpoints: [{name: a, kind: rest}, {name: b, kind: rest}]", "S043", "endpoints[1].port"),
    ],
)
def test_field_without_effect(tmp_path: Path, addition: str, code: str, field: str) -> None:
    found = problems(tmp_path, REGRESSION + addition + "\n")
    assert [(problem.code, problem.field) for problem in found] == [(f"MLOPS-{code}", field)]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("inputs: [rooms]", "inputs: [rooms], views: [rents]", "training.views[0]"),
        ("inputs: [rooms]", "inputs: [rooms], split: {strategy: time}", "training.split.strategy"),
        ("inputs: [rooms]", "inputs: [rooms], window: {last: 3d}", "training.window.last"),
        ("uri: homes.csv", "uri: homes.csv, incremental: true", "data.sources.homes.incremental"),
        ("uri: homes.csv", "uri: homes.csv, checks: {freshness: 3d}", "data.sources.homes.checks.freshness"),
    ],
)
def test_timestamp_needed(tmp_path: Path, old: str, new: str, field: str) -> None:
    found = problems(tmp_path, REGRESSION.replace(old, new))
    assert [(problem.code, problem.field) for problem in found] == [("MLOPS-S044", field)]


def test_bias_needs_one_outcome(tmp_path: Path) -> None:
    monitored = (
        REGRESSION + "endpoints: [{name: a, kind: rest, capture: {sample: 0.1}}]\n"
        "monitors: [{name: m, endpoint: a, signals: {bias: {column: rooms}}}]\n"
    )
    (tmp_path / "mlops.yaml").write_text(monitored)
    assert load(tmp_path / "mlops.yaml").monitors[0].signals.captured_signals == ["bias"]
    several = monitored.replace("task: regression", "task: multiclass").replace("linear_model.Ridge", "svm.SVC")
    assert [(problem.code, problem.field) for problem in problems(tmp_path, several)] == [
        ("MLOPS-S031", "monitors[0].signals.bias")
    ]


def test_high_risk_needs_manual_approval(tmp_path: Path) -> None:
    found = problems(tmp_path, REGRESSION.replace("owner: ann", "owner: ann, risk_tier: high"))
    assert [(problem.code, problem.field, problem.expected) for problem in found] == [
        ("MLOPS-S046", "registry.approval", "manual")
    ]


def test_the_label_of_the_same_rows_is_no_feature(tmp_path: Path) -> None:
    text = REGRESSION.replace(
        "source: rents, entity: home, features: [rent]", "source: homes, entity: home, features: [price]"
    )
    found = problems(tmp_path, text.replace("inputs: [rooms]", "views: [rents]"))
    assert [problem.code for problem in found] == ["MLOPS-S045"]


def test_a_list_of_an_overlay_hides_the_one_of_the_spec(tmp_path: Path) -> None:
    overlay = "    platform: {local: {tracking: {ui: {port: 8080}}}}\n    endpoints: [⟨{name: delay, kind: rest}]"
    text = FULL.read_text(encoding="utf-8").replace("    training: {tuning: null}", overlay)
    before = text.partition("⟨")[0]
    found = problems(tmp_path, text.replace("⟨", ""), "dev")
    (clash,) = [problem for problem in found if problem.code == "MLOPS-S043"]
    assert clash.field == "environments.dev.endpoints[0].port"
    assert (clash.line, clash.column) == (before.count("\n") + 1, len(before.rsplit("\n", 1)[-1]) + 1)
