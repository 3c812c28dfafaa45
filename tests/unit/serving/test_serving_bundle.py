import pytest
import serving_kit as kit

from mlops_runtime.serving.bundle import BundleError, read_bundle


def test_a_bundle_is_read(tmp_path):
    directory = kit.write_bundle(
        tmp_path, 3, enrichment={"join_keys": ["tail"], "views": [{"view": "p", "features": {"a": "a"}}]}
    )

    bundle = read_bundle(directory)

    assert (bundle.manifest.model, bundle.manifest.version) == ("delay", 3)
    assert bundle.content == (directory / "model.onnx").read_bytes()
    assert [(column.name, column.nullable) for column in bundle.manifest.inputs][:2] == [
        ("dep_hour", True),
        ("distance", False),
    ]
    assert bundle.manifest.views[0].join_keys == ("tail",)


def test_a_changed_model_file_is_refused(tmp_path):
    directory = kit.write_bundle(tmp_path)
    content = bytearray((directory / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (directory / "model.onnx").write_bytes(content)

    with pytest.raises(BundleError, match=r"model.onnx has digest sha256:.*, the manifest says sha256:"):
        read_bundle(directory)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2; this server reads 1"),
        ({"runtime": "tensorflow"}, "runtime 'tensorflow' is not one of onnxruntime, sklearn"),
        ({"inputs": []}, "inputs and outputs must not be empty"),
        ({"inputs": [{"name": "a", "dtype": "decimal"}]}, "a: dtype 'decimal' is not one of"),
        ({"inputs": [{"dtype": "bool"}]}, "lacks 'name'"),
        ({"inputs": 3}, "malformed"),
        ({"file": "../other.onnx"}, "file '../other.onnx' is not a plain file name"),
        ({"file": "absent.onnx"}, "absent.onnx cannot be read: No such file"),
        ({"threshold": 0.3, "positive_class": "9"}, "a threshold needs a positive_class"),
        ({"version": "three"}, "malformed"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path, changes, message):
    directory = kit.write_bundle(tmp_path)
    kit.change_manifest(directory, **changes)

    with pytest.raises(BundleError) as caught:
        read_bundle(directory)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_an_unreadable_manifest_is_refused(tmp_path, text):
    directory = kit.write_bundle(tmp_path)
    (directory / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest.json"):
        read_bundle(directory)
    (directory / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"manifest.json cannot be read: No such file"):
        read_bundle(directory)
