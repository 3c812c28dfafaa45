from prometheus_client.parser import text_string_to_metric_families

from mlops_runtime.serving.metrics import Metrics


def samples(metrics):
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if key != "endpoint"}
            assert sample.name.startswith(("process_", "python_")) or sample.labels["endpoint"] == "delay"
            found[sample.name, *sorted(labels.items())] = sample.value
    return found


def test_requests_rows_and_latency_are_counted():
    metrics = Metrics("delay")
    for seconds in (0.00005, 0.0001, 0.0002, 0.3, 99):
        metrics.observe("3", 200, seconds, 10)
    metrics.observe("", 404, 0.00001, 0)

    got = samples(metrics)

    assert got["mlops_serving_requests_total", ("status", "200"), ("version", "3")] == 5
    assert got["mlops_serving_requests_total", ("status", "404"), ("version", "")] == 1
    assert got["mlops_serving_rows_total", ("version", "3")] == 50
    latency = "mlops_serving_request_duration_seconds"
    version = ("version", "3")
    assert got[f"{latency}_count", version] == 5
    assert abs(got[f"{latency}_sum", version] - 99.30035) < 1e-9
    bounds = ("0.0001", "0.00025", "0.5", "10.0", "+Inf")
    buckets = {bound: got[f"{latency}_bucket", ("le", bound), version] for bound in bounds}
    assert buckets == {"0.0001": 2, "0.00025": 3, "0.5": 4, "10.0": 4, "+Inf": 5}
    assert got[f"{latency}_count", ("version", "")] == 1


def test_the_model_and_the_losses_are_shown():
    metrics = Metrics("delay")
    metrics.model = {"version": "3", "runtime": "onnxruntime"}
    metrics.dropped = lambda: {"queue_full": 2}
    metrics.captured = lambda: 7
    metrics.switches = 4
    metrics.refused = 1

    got = samples(metrics)

    assert got["mlops_serving_model_info", ("runtime", "onnxruntime"), ("version", "3")] == 1
    assert got["mlops_serving_capture_dropped_total", ("reason", "queue_full")] == 2
    assert got["mlops_serving_captured_requests_total",] == 7
    assert got["mlops_serving_model_switches_total",] == 4
    assert got["mlops_serving_models_refused_total",] == 1
