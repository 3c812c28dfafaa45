import json
import math
import urllib.request
from typing import Any

import numpy as np
import pytest

from mlops_runtime.monitoring.bias import MAX_GROUPS, Disparity, Group, Groups, decisions, disparity

from .conftest import Server, Site
from .test_watch import signal

SIGNALS = {"bias": {"column": "carrier", "threshold": 0.3, "min_rows": 20}}


def groups(values: list[Any], predictions: list[float]) -> Groups:
    found = Groups("sex")
    found.add(values, np.array(predictions, dtype=float))
    return found


def outcomes(**counts: tuple[int, int]) -> list[tuple[str, float]]:
    """Carrier and score of as many rows as each carrier has: positive ones, and others."""
    return [
        (carrier, score) for carrier, (positive, other) in counts.items() for score in [0.9] * positive + [0.1] * other
    ]


def test_the_difference_of_shares_is_the_largest_less_the_smallest() -> None:
    found = groups(["f"] * 4 + ["m"] * 5 + ["x"] * 2, [1, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0])
    assert disparity(found, 2, "binary") == Disparity(pytest.approx(0.8 - 0.25), ("f", 0.25), ("m", 0.8))
    # Without the two smaller groups one is left.
    assert disparity(found, 5, "binary") == "1 groups of sex have 5 rows; two are needed"


def test_means_differ_in_standard_deviations_within_the_groups() -> None:
    # Means 2 and 5.5; squares 2 and 5 with 7 - 2 degrees of freedom: variance 1.4.
    found = groups([*"aaabbbb"], [1, 2, 3, 4, 5, 6, 7])
    expected = Disparity(pytest.approx(3.5 / math.sqrt(1.4)), ("a", 2.0), ("b", 5.5))
    assert disparity(found, 2, "regression") == expected
    moved = groups([*"aaabbbb"], [1e9 + 10 * number for number in (1, 2, 3, 4, 5, 6, 7)])
    assert isinstance(scaled := disparity(moved, 2, "regression"), Disparity)
    assert scaled.value == pytest.approx(3.5 / math.sqrt(1.4))


def test_means_that_do_not_vary_within_groups_differ_without_end_or_not_at_all() -> None:
    assert isinstance(apart := disparity(groups([*"aabb"], [1, 1, 2, 2]), 2, "regression"), Disparity)
    assert apart.value == math.inf
    assert isinstance(same := disparity(groups([*"aabb"], [1, 1, 1, 1]), 2, "regression"), Disparity)
    assert same.value == 0


def test_parts_merge_into_the_whole() -> None:
    rng = np.random.default_rng(1)
    values, numbers = rng.choice([*"abc"], 1000).tolist(), rng.normal(50, 3, 1000)
    parts = Groups("sex")
    for start in range(0, 1000, 130):
        part = groups(values[start : start + 130], numbers[start : start + 130].tolist())
        parts.merge(Groups.from_json(json.loads(json.dumps(part.to_json()))))
    for name in "abc":
        own = numbers[np.array(values) == name]
        assert parts.found[name] == Group(
            len(own), pytest.approx(own.mean()), pytest.approx(((own - own.mean()) ** 2).sum())
        )


def test_rows_without_value_or_prediction_are_in_no_group() -> None:
    found = groups(["f", None, math.nan, "", "m", True, 3], [1, 1, 1, 1, math.nan, 0, 1])
    assert {name: group.rows for name, group in found.found.items()} == {"f": 1, "true": 1, "3": 1}
    assert found.missing == 4


def test_a_column_of_too_many_values_is_not_judged_however_it_comes() -> None:
    names = [str(number) for number in range(MAX_GROUPS + 1)]
    enough = groups(names[:-1] * 2, [1.0] * 2 * MAX_GROUPS)
    assert isinstance(disparity(enough, 2, "binary"), Disparity)
    enough.merge(groups(names[-1:], [1.0]))
    whole = groups(names * 2, [1.0] * 2 * len(names))
    for found in (enough, whole, Groups.from_json(whole.to_json())):
        found.merge(groups([*"aabb"], [1, 1, 0, 0]))
        assert found.found == {}
        assert disparity(found, 2, "binary") == "sex has more than 100 values"


@pytest.mark.parametrize(
    ("labels", "classes", "positive", "expected"),
    [
        ([0, 1, 1], ["0", "1"], "1", [0, 1, 1]),
        ([0, 1, 1], ["0", "1"], "0", [1, 0, 0]),
        (["no", "yes"], ["no", "yes"], None, [0, 1]),
    ],
)
def test_what_is_positive(labels: list[Any], classes: list[str], positive: str | None, expected: list[float]) -> None:
    found = decisions({"label": labels}, task="binary", classes=classes, positive_class=positive)
    assert found.tolist() == expected


def test_predictions_of_a_regression_and_of_several_classes() -> None:
    found = decisions({"prediction": [[1.5], [2]]}, task="regression", classes=None, positive_class=None)
    assert found.tolist() == [1.5, 2.0]
    with pytest.raises(ValueError, match="multiclass model has no positive class"):
        decisions({"label": [1]}, task="multiclass", classes=["1", "2", "3"], positive_class=None)


def test_bias_is_reported_alerted_shown_and_ends(site: Site, webhook: Server) -> None:
    alerts = [{"webhook": webhook.url, "min_interval_s": 3600}]
    watch = site.watch(alerts=alerts, signals=SIGNALS, retrain_on_drift=True)
    port = watch.metrics.serve(0)
    # 10 of 40, 45 of 60, and five that are too few to be judged.
    site.capture(105, outcomes=outcomes(AA=(10, 30), UA=(45, 15), DL=(5, 0)))
    site.pass_time(watch, 70)
    (report,) = site.windows()
    judged = signal(report, "bias")
    assert (judged["exceeded"], judged["value"], judged["threshold"]) == (True, 0.5, 0.3)
    assert (judged["columns"], judged["groups"]) == ({"carrier": 0.5}, {"AA": 0.25, "UA": 0.75})
    assert report["bias"] == {
        "column": "carrier",
        "groups": {
            "AA": {"rows": 40, "mean": 0.25},
            "DL": {"rows": 5, "mean": 1.0},
            "UA": {"rows": 60, "mean": 0.75},
        },
        "missing": 0,
    }
    (firing,) = webhook.posts
    assert (firing["signal"], firing["state"], firing["model_version"]) == ("bias", "firing", "1")
    assert firing["text"] == "bias of delay: 0.5 > 0.3 (AA 0.25, UA 0.75)"
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    assert 'mlops_monitor_bias{endpoint="delay",monitor="flights"} 0.5' in text
    assert 'mlops_monitor_alert_active{endpoint="delay",monitor="flights",signal="bias"} 1.0' in text
    assert watch.state.retrained == {}  # to train again on the same data mends no bias

    site.capture(120, outcomes=outcomes(AA=(30, 30), UA=(30, 30)))
    site.pass_time(watch, 60)
    assert site.alerts() == [("bias", "firing"), ("bias", "resolved")]
    latest = json.loads((site.store.monitoring("flights") / "latest.json").read_text())
    assert latest["day"]["bias"]["column"] == "carrier"


def test_too_few_rows_say_nothing(site: Site) -> None:
    watch = site.watch(signals=SIGNALS, min_rows=100)
    site.capture(60, outcomes=outcomes(AA=(0, 30), UA=(30, 0)))
    site.pass_time(watch, 60)
    site.capture(110, outcomes=outcomes(AA=(0, 19), UA=(91, 0)))
    site.pass_time(watch, 70)
    first, second = site.windows()
    assert signal(first, "bias")["reason"] == "60 captured rows; 100 of one version are needed"
    assert signal(second, "bias")["reason"] == "1 groups of carrier have 20 rows; two are needed"
    assert site.alerts() == []


def test_a_restart_keeps_the_groups_and_another_column_begins_anew(site: Site) -> None:
    for _ in range(3):
        watch = site.watch(signals=SIGNALS)
        site.capture(35, outcomes=outcomes(AA=(0, 15), UA=(20, 0)))
        watch.step()
        watch.close()
        site.now += 5
    watch = site.watch(signals={"bias": {**SIGNALS["bias"], "column": "hour"}})
    watch.step()
    site.pass_time(site.watch(signals=SIGNALS), 60)
    report = site.windows()[0]
    assert report["bias"]["groups"] == {"AA": {"rows": 45, "mean": 0.0}, "UA": {"rows": 60, "mean": 1.0}}
    assert signal(report, "bias")["value"] == 1.0


def test_groups_of_another_column_are_not_mixed(site: Site) -> None:
    watch = site.watch(signals=SIGNALS)
    site.capture(120, outcomes=outcomes(AA=(60, 0), UA=(0, 60)))
    watch.step()
    watch.close()
    watch = site.watch(signals={"bias": {**SIGNALS["bias"], "column": "hour"}})
    site.capture(150)
    site.pass_time(watch, 70)
    (report,) = site.windows()
    assert (report["rows"], report["bias"]["column"]) == (270, "hour")
    assert signal(report, "bias")["reason"] == "hour has more than 100 values"
