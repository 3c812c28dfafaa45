import numpy as np
import pytest
import serving_kit as kit

from mlops_runtime.serving.bundle import BundleError, read_bundle
from mlops_runtime.serving.model import INLINE_SECONDS, Model


def load(directory):
    model = Model(read_bundle(directory), threads=1)
    model.warm_up(3)
    return model


def columns(rows):
    _, frame = kit.fit(1)
    return frame.head(rows), {name: frame[[name]].head(rows).to_numpy() for name, _ in kit.COLUMNS}


@pytest.mark.parametrize("runtime", ["onnxruntime", "sklearn"])
@pytest.mark.parametrize("rows", [1, 50])
def test_predictions_are_the_estimators(tmp_path, runtime, rows):
    model = load(kit.write_bundle(tmp_path, runtime=runtime))
    estimator, _ = kit.fit(1)
    frame, given = columns(rows)

    label, probabilities = model.predict(given, rows)

    assert label.dtype == np.int64
    assert label.tolist() == estimator.predict(frame).tolist()
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, estimator.predict_proba(frame), atol=1e-5)


@pytest.mark.parametrize("runtime", ["onnxruntime", "sklearn"])
@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.95])
def test_the_manifests_threshold_decides_the_label(tmp_path, runtime, threshold):
    model = load(kit.write_bundle(tmp_path, runtime=runtime, threshold=threshold))
    estimator, _ = kit.fit(1)
    frame, given = columns(200)
    expected = (estimator.predict_proba(frame)[:, 1] >= threshold).astype(int).tolist()

    assert model.predict(given, 200)[0].tolist() == expected
    one_by_one = [
        model.predict({name: array[row : row + 1] for name, array in given.items()}, 1)[0].tolist()[0]
        for row in range(200)
    ]
    assert one_by_one == expected


def test_a_probability_at_the_threshold_reaches_it_and_one_below_does_not(tmp_path):
    directory = kit.write_bundle(tmp_path)
    _, given = columns(2)
    probability = load(directory).predict(given, 2)[1][0, 1]
    below = float(np.nextafter(float(probability), 2))  # rounds to the probability in single precision

    for threshold, expected in ((float(probability), 1), (below, 0)):
        kit.change_manifest(directory, threshold=threshold)
        model = load(directory)
        assert model.predict(given, 2)[0][0] == expected
        assert model.predict({name: array[:1] for name, array in given.items()}, 1)[0][0] == expected


def numeric_bundle(directory, classes=("0", "1")):
    """Two float columns and an integer one, so that one row goes through bound buffers."""
    import hashlib
    import json

    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "n": rng.integers(0, 9, 300)})
    frame = frame.astype({"a": "float32", "b": "float32"})
    estimator = make_pipeline(
        make_column_transformer(("passthrough", ["a", "b"]), ("passthrough", ["n"])), LogisticRegression()
    ).fit(frame, (frame.a + frame.n > 4).astype(int))
    kinds = [("a", FloatTensorType([None, 1])), ("b", FloatTensorType([None, 1])), ("n", Int64TensorType([None, 1]))]
    content = to_onnx(estimator, initial_types=kinds, options={"zipmap": False}).SerializeToString()
    directory.mkdir()
    (directory / "model.onnx").write_bytes(content)
    document = {
        "format": 1,
        "model": "m",
        "version": 1,
        "runtime": "onnxruntime",
        "task": "binary",
        "file": "model.onnx",
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "inputs": [
            {"name": "a", "dtype": "float32"},
            {"name": "b", "dtype": "float32"},
            {"name": "n", "dtype": "int64"},
        ],
        "outputs": [
            {"name": "label", "dtype": "int64", "shape": [-1]},
            {"name": "probabilities", "dtype": "float32", "shape": [-1, 2]},
        ],
        "classes": list(classes),
        "positive_class": "1",
        "threshold": 0.5,
        "sample": {"inputs": frame.head(2).to_dict("list")},
    }
    (directory / "manifest.json").write_text(json.dumps(document))
    return estimator, frame


def test_one_row_through_bound_buffers_is_the_same_and_not_shared(tmp_path):
    estimator, frame = numeric_bundle(tmp_path / "b")
    model = load(tmp_path / "b")

    answers = []
    for row in range(50):
        part = frame.iloc[[row]]
        answers.append(model.predict({name: part[[name]].to_numpy() for name in ("a", "b", "n")}, 1))

    got = np.concatenate([answer[1] for answer in answers])
    np.testing.assert_allclose(got, estimator.predict_proba(frame.head(50)), atol=1e-6)
    assert [answer[0].item() for answer in answers] == estimator.predict(frame.head(50)).tolist()


def test_one_row_from_many_threads_is_never_mixed_up(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    estimator, frame = numeric_bundle(tmp_path / "b")
    model = load(tmp_path / "b")
    expected = estimator.predict_proba(frame)[:, 1]

    def one(row):
        part = frame.iloc[[row]]
        return model.predict({name: part[[name]].to_numpy() for name in ("a", "b", "n")}, 1)[1][0, 1]

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(one, [row % 300 for row in range(1200)]))

    np.testing.assert_allclose(got, np.tile(expected, 4), atol=1e-6)


def test_only_what_is_quick_stays_on_the_event_loop(tmp_path):
    model = load(kit.write_bundle(tmp_path))

    model._first_row_seconds, model._row_seconds = INLINE_SECONDS / 2, INLINE_SECONDS / 100

    assert model.is_quick(1)
    assert model.is_quick(49)
    assert not model.is_quick(51)


def test_a_model_without_a_sample_stays_off_the_event_loop(tmp_path):
    directory = kit.write_bundle(tmp_path)
    kit.change_manifest(directory, sample=None)

    assert not load(directory).is_quick(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sample": {"inputs": {"dep_hour": [1.0]}, "outputs": {}}},
            "the manifest's sample does not fit its inputs: 'distance'",
        ),
        ({"inputs": [{"name": "dep_hour", "dtype": "float32"}]}, "the graph's input 'distance' is tensor(float)"),
        (
            {"inputs": [{"name": name, "dtype": "float32"} for name, _ in kit.COLUMNS]},
            "the graph's input 'carrier' is tensor(string), the manifest says float32",
        ),
        ({"outputs": [{"name": "score", "dtype": "float32", "shape": [-1]}]}, "the graph's outputs are label, proba"),
        ({"threshold": 0.5, "classes": ["1", "2", "3"]}, "a threshold needs two classes"),
        ({"threshold": 0.5, "classes": ["no", "1"]}, "not of the label's dtype int64"),
    ],
)
def test_a_manifest_that_does_not_fit_the_graph_is_refused(tmp_path, changes, message):
    directory = kit.write_bundle(tmp_path)
    kit.change_manifest(directory, **changes)

    with pytest.raises(BundleError) as caught:
        load(directory)
    assert message in str(caught.value)


def test_a_sample_that_comes_out_otherwise_is_refused(tmp_path):
    directory = kit.write_bundle(tmp_path)
    sample = dict(read_bundle(directory).manifest.sample)
    kit.change_manifest(
        directory, sample={"inputs": sample, "outputs": {"probabilities": [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]}}
    )

    with pytest.raises(BundleError, match=r"the sample's 'probabilities' comes out as .*, at registration it was"):
        load(directory)


@pytest.mark.parametrize(("runtime", "message"), [("onnxruntime", "is not a graph"), ("sklearn", "cannot be loaded")])
def test_a_model_file_of_rubbish_is_refused(tmp_path, runtime, message):
    import hashlib

    directory = kit.write_bundle(tmp_path, runtime=runtime)
    file = next(directory.glob("model.*"))
    file.write_bytes(b"rubbish")
    kit.change_manifest(directory, digest=f"sha256:{hashlib.sha256(b'rubbish').hexdigest()}")

    with pytest.raises(BundleError, match=message):
        load(directory)
