"""Executes a SageMaker pipeline on this machine: each job a process in the folders that SageMaker gives its container.

It is what SageMaker's documentation says of definitions and containers, and no SageMaker: jobs get no roles, networks
or limits. S3 is moto's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import boto3

ROOT = PurePosixPath("/opt/ml")


class PipelineFailedError(Exception):
    """A job or a step failed: the execution ends here."""


@dataclass
class Execution:
    """An execution of a pipeline.

    Arguments:
        definition: the pipeline definition, as SageMaker gets it.
        folder: where containers' folders are made.
        id: identifier of the execution.
        parameters: those that differ from the defaults.
        environment: of every job, beside its own.
    """

    definition: Mapping[str, Any]
    folder: Path
    id: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    """Steps that were run, in order."""
    said: dict[str, str] = field(default_factory=dict)
    """What each job printed."""
    files: dict[str, Any] = field(default_factory=dict)
    """Property files, by step."""
    packages: list[dict[str, Any]] = field(default_factory=list)
    """Requests for model packages."""

    def run(self) -> None:
        """Run all steps.

        Raises:
            PipelineFailedError: one of them failed.
        """
        self._steps(self.definition["Steps"])

    def value(self, given: Any) -> Any:
        """A value with its references resolved."""
        if isinstance(given, list):
            return [self.value(each) for each in given]
        if not isinstance(given, Mapping):
            return given
        if set(given) == {"Get"}:
            return self._get(given["Get"])
        if set(given) == {"Std:Join"}:
            return given["Std:Join"]["On"].join(self.value(given["Std:Join"]["Values"]))
        if set(given) == {"Std:JsonGet"}:
            _, step, _, _ = given["Std:JsonGet"]["PropertyFile"]["Get"].split(".")
            return self.files[step][given["Std:JsonGet"]["Path"]]
        return {key: self.value(each) for key, each in given.items()}

    @property
    def root(self) -> Path:
        """Folder that stands for /opt/ml of the job that runs; it is the same for all, as /opt/ml is."""
        return self.folder.parent / "ml"

    def container(self, step: str) -> Path:
        """What is left of it when a step's job has ended."""
        return self.folder / step

    def _get(self, path: str) -> str:
        kind, _, name = path.partition(".")
        if kind == "Parameters":
            defaults = {each["Name"]: each["DefaultValue"] for each in self.definition["Parameters"]}
            return {**defaults, **self.parameters}[name]
        assert (kind, name) == ("Execution", "PipelineExecutionId"), path
        return self.id

    def _steps(self, steps: Sequence[Mapping[str, Any]]) -> None:
        for step in steps:
            assert set(step.get("DependsOn", [])) <= set(self.ran), step["Name"]
            self.ran.append(step["Name"])
            arguments = step["Arguments"]
            match step["Type"]:
                case "Processing":
                    self._processing(step, self.value(arguments))
                case "Training":
                    self._training(step["Name"], self.value(arguments))
                case "Condition":
                    (asked,) = arguments["Conditions"]
                    assert asked["Type"] == "Equals"
                    same = self.value(asked["LeftValue"]) == self.value(asked["RightValue"])
                    self._steps(arguments["IfSteps" if same else "ElseSteps"])
                case "RegisterModel":
                    self.packages.append(self.value(arguments))
                case "Fail":
                    raise PipelineFailedError(self.value(arguments["ErrorMessage"]))
                case other:
                    raise AssertionError(f"a step of type {other}")

    def _processing(self, step: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        name = step["Name"]
        for each in request["ProcessingInputs"]:
            self._download(each["S3Input"]["S3Uri"], self._place(each["S3Input"]["LocalPath"]))
        outputs = request.get("ProcessingOutputConfig", {"Outputs": []})["Outputs"]
        for each in outputs:
            self._place(each["S3Output"]["LocalPath"]).mkdir(parents=True)
        self._process(name, request["AppSpecification"], request["Environment"])
        for each in outputs:
            self._upload(self._place(each["S3Output"]["LocalPath"]), each["S3Output"]["S3Uri"])
        for each in step.get("PropertyFiles", []):
            (found,) = [one for one in outputs if one["OutputName"] == each["OutputName"]]
            self.files[name] = json.loads((self._place(found["S3Output"]["LocalPath"]) / each["FilePath"]).read_text())
        self._end(name)

    def _training(self, name: str, request: Mapping[str, Any]) -> None:
        root = self.root
        for each in request["InputDataConfig"]:
            source = each["DataSource"]["S3DataSource"]["S3Uri"]
            self._download(source, root / "input/data" / each["ChannelName"])
        config = root / "input/config"
        config.mkdir(parents=True)
        channels = {each["ChannelName"]: {"TrainingInputMode": "File"} for each in request["InputDataConfig"]}
        resources = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
        (config / "inputdataconfig.json").write_text(json.dumps(channels))
        (config / "hyperparameters.json").write_text(json.dumps(request.get("HyperParameters", {})))
        (config / "resourceconfig.json").write_text(json.dumps(resources))
        for folder in ("model", "output/data", "checkpoints"):
            (root / folder).mkdir(parents=True)
        self._process(name, request["AlgorithmSpecification"], request["Environment"])
        self._end(name)

    def _process(self, name: str, image: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        assert image["ContainerEntrypoint"] == ["mlops-runtime"]
        own = {
            key: value.replace(str(ROOT), str(self.root)) for key, value in {**environment, **self.environment}.items()
        }
        done = subprocess.run(
            [sys.executable, "-m", "mlops_runtime", *image["ContainerArguments"]],
            env={**os.environ, **own, "SAGEMAKER_BASE_DIR": str(self.root)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.said[name] = done.stdout + done.stderr
        if done.returncode:
            self._end(name)
            raise PipelineFailedError(f"{name}: exit code {done.returncode}: {self.said[name]}")

    def _end(self, name: str) -> None:
        """Nothing of a job's disk is there for the next one."""
        self.folder.mkdir(exist_ok=True)
        self.root.rename(self.container(name))
        shutil.rmtree(self.container(name) / "processing/store", ignore_errors=True)

    def _place(self, path: str) -> Path:
        return self.root / PurePosixPath(path).relative_to(ROOT)

    @staticmethod
    def _download(uri: str, folder: Path) -> None:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        client = boto3.client("s3")
        found = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        assert found, f"nothing at {uri}"
        folder.mkdir(parents=True)
        for each in found:
            client.download_file(bucket, each["Key"], str(folder / PurePosixPath(each["Key"]).name))

    @staticmethod
    def _upload(folder: Path, uri: str) -> None:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        for file in folder.iterdir():
            boto3.client("s3").upload_file(str(file), bucket, f"{prefix}/{file.name}")
