"""What would run in a container does run: another user, a read-only root, and nothing but the image's own content."""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path

import image_kit
import pytest
import serving_kit as kit
from image_kit import Image

MB = 1_000_000

pytestmark = [
    pytest.mark.xdist_group("images"),
    pytest.mark.timeout(1800),  # the job image takes a minute of a processor, and many on a busy machine
    pytest.mark.skipif(
        os.geteuid() != 0 and os.environ.get("CI") != "true", reason="a root file system of its own needs root"
    ),
]


@pytest.fixture(scope="module")
def serving() -> Image:
    return image_kit.image("serving")


@pytest.fixture(scope="module")
def sklearn() -> Image:
    return image_kit.image("serving-sklearn")


@pytest.fixture(scope="module")
def job() -> Image:
    return image_kit.image("job")


def serve(folder, image, bundle=None, **changes):
    """The image's server, as its entry point starts it, with a config and a bundle mounted as in a pod."""
    mounts = {} if bundle is None else {"/mnt/models": bundle}
    changes = {"data_dir": None, "bundle": "/mnt/models", "command": command(image, mounts), **changes}
    return kit.serving(folder, **changes)


def command(image, mounts):
    place = image.arguments[image.arguments.index("--config") + 1]
    entry = [*image.entry_point, *image.arguments]
    return lambda config: image_kit.container(image, entry, {place: config, **mounts})


def test_the_server_of_the_image_serves_a_bundle(tmp_path, serving):
    bundle = kit.write_bundle(tmp_path, 2)
    with serve(tmp_path, serving, bundle, host="0.0.0.0") as server:
        answer = server.infer(kit.named())
        assert answer.status_code == 200
        assert answer.json()["model_version"] == "2"
        process = Path("/proc", str(server.process.pid))
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        assert status["Uid"].split() == ["65532"] * 4
        assert status["Gid"].split() == ["65532"] * 4
        assert status["CapEff"] == "0" * 16
        environment = dict(
            each.split("=", 1) for each in (process / "environ").read_bytes().decode().split("\0") if each
        )
        assert environment == {**serving.environment, "PWD": "/tmp"}  # by the shell that starts a relocatable script
        assert server.stop() == 0


def test_the_image_can_talk_to_a_bucket(serving):
    done = serving.run(
        "python", "-c", "from mlops_runtime.stores import s3; print(s3.client('http://s3').meta.endpoint_url)"
    )
    assert done.stdout == "http://s3\n", done.stderr


def test_without_a_bundle_the_container_is_ready_and_says_that_there_is_no_model(tmp_path, serving):
    with serve(tmp_path, serving) as server:
        assert server.client.get("/v2/health/ready").status_code == 200
        assert server.infer(kit.named()).json() == {"error": "no model yet: nothing is deployed"}


def test_captured_requests_are_kept_where_a_volume_is(tmp_path, serving):
    bundle = kit.write_bundle(tmp_path, 1)
    capture = {"directory": "/tmp/captures", "sample": 1, "rotate_bytes": 1}
    with serve(tmp_path, serving, bundle, capture=capture) as server:
        server.infer(kit.named())
        kit.until(lambda: 'captured_requests_total{endpoint="delay"} 1.0' in server.client.get("/metrics").text)


def test_the_root_can_t_be_written_and_tmp_can(serving):
    program = """
import errno, os, sys
for folder in ("/", "/opt/mlops", "/usr", os.path.dirname(os.__file__), sys.prefix + "/lib"):
    try:
        open(folder + "/written", "w")
    except OSError as error:
        print(folder, errno.errorcode[error.errno])
open("/tmp/written", "w").write("x")
print(os.listdir("/tmp"))
"""
    done = serving.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    *refused, tmp = done.stdout.splitlines()
    assert [line.split()[1] for line in refused] == ["EROFS"] * 5
    assert tmp == "['written']"


ABSENT = ["pulumi", "pulumi_mlops", "mlops_policies", "pip", "setuptools", "uv", "hatchling", "cyclonedx"]


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("serving", [*ABSENT, "sklearn", "scipy", "pandas", "pydantic", "typer", "mlflow"]),
        ("serving-sklearn", [*ABSENT, "pydantic", "typer", "mlflow"]),
        pytest.param("job", ABSENT, marks=pytest.mark.slow),
    ],
)
def test_an_image_lacks_what_it_does_not_need(request, name, absent):
    program = f"import importlib.util as u; print([n for n in {absent} if u.find_spec(n)], bool(u.find_spec('numpy')))"
    done = request.getfixturevalue(name.removeprefix("serving-")).run("python", "-c", program)
    assert done.stdout == "[] True\n", done.stderr


def test_a_model_that_did_not_convert_is_served_by_scikit_learn_s_image(tmp_path, sklearn):
    bundle = kit.write_bundle(tmp_path, 1, runtime="sklearn")
    estimator, frame = kit.fit(1)
    with serve(tmp_path, sklearn, bundle) as server:
        sample = frame.head(5)
        answer = server.infer(kit.named(**{name: sample[name].tolist() for name in sample.columns})).json()
        outputs = {output["name"]: output["data"] for output in answer["outputs"]}
        assert outputs["probabilities"] == pytest.approx(estimator.predict_proba(sample).ravel(), abs=1e-6)


def test_it_serves_onnx_too(tmp_path, sklearn):
    bundle = kit.write_bundle(tmp_path, 1)
    with serve(tmp_path, sklearn, bundle) as server:
        assert server.infer(kit.named()).status_code == 200
        assert server.metadata()["platform"] == "onnxruntime_onnx"


def test_other_commands_are_said_to_be_elsewhere(serving):
    done = serving.run(*serving.entry_point, "train", "--definition", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("error: only `mlops-runtime serve` is installed here; other commands: pulumi-mlops[job]\n")


def test_the_other_image_refuses_such_a_model_in_one_line(tmp_path, serving):
    bundle = kit.write_bundle(tmp_path, 1, runtime="sklearn")
    process = kit.start(
        tmp_path, data_dir=None, bundle="/mnt/models", command=command(serving, {"/mnt/models": bundle})
    )
    assert process.wait(30) == 4
    (line,) = (tmp_path / "serving.log").read_text().splitlines()
    assert "the model needs scikit-learn's runtime, and 'cloudpickle' is not installed" in line


def size(image):
    return sum(path.stat().st_size for path in image.files.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.parametrize(
    ("name", "limit"),
    [("serving", 200), ("serving-sklearn", 500), pytest.param("job", 1600, marks=pytest.mark.slow)],
)
def test_an_image_stays_small(request, name, limit):
    """Limits in MB, of packages with their bytecode; measured 2026-11: 191, 424, 1,387."""
    assert 0 < size(request.getfixturevalue(name.removeprefix("serving-"))) <= limit * MB


@pytest.mark.parametrize("name", ["serving", "sklearn", pytest.param("job", marks=pytest.mark.slow)])
def test_the_bill_of_materials_lists_exactly_what_is_installed(request, name):
    image = request.getfixturevalue(name)
    bill = json.loads((image.files / "share/sbom/mlops.cdx.json").read_text())
    installed = {
        (found.metadata["Name"].lower(), found.version)
        for found in importlib.metadata.distributions(path=[str(image.packages)])
    }
    assert ("numpy", importlib.metadata.version("numpy")) in installed
    assert {(part["name"].lower(), part["version"]) for part in bill["components"]} == installed
    assert bill["bomFormat"] == "CycloneDX"
    assert all(part["purl"].startswith("pkg:pypi/") for part in bill["components"] if part["name"] != "pulumi-mlops")


def test_packages_are_those_of_the_constraints(serving, sklearn):
    pinned = dict(
        line.split("==") for line in (image_kit.REPOSITORY / "constraints.txt").read_text().split() if "==" in line
    )
    for image in (serving, sklearn):
        for found in importlib.metadata.distributions(path=[str(image.packages)]):
            name = found.metadata["Name"].lower().replace("_", "-")
            assert name == "pulumi-mlops" or pinned[name] == found.version, name


def test_nothing_is_compiled_at_start(serving):
    sources = list((serving.packages / "mlops_runtime").rglob("*.py"))
    assert sources
    for source in sources:
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        assert compiled.read_bytes()[4] == 0b01, "by hash, unchecked (PEP 552)"


@pytest.mark.slow
def test_the_job_image_runs_every_step_and_the_monitor(job):
    done = job.run(*job.entry_point, *job.arguments)
    assert done.returncode == 0, done.stderr
    program = """
import importlib, pkgutil, mlops_runtime
# Servers have images of their own, the scheduler and the supervisor are this machine's; the last is a file for bundles.
skip = ("serving", "scheduling", "services", "__main__", "edge.predict")
names = [module.name for module in pkgutil.walk_packages(mlops_runtime.__path__, "mlops_runtime.")]
names = [name for name in names if not name.startswith(tuple(f"mlops_runtime.{each}" for each in skip))]
for name in [*names, "kubernetes", "feast", "redis", "psycopg"]:
    importlib.import_module(name)
print(len(names))
"""
    done = job.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40
