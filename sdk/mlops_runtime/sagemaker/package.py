"""The bundle of a version as SageMaker takes a model: `model.tar.gz`, with the bundle's files at its root."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from pathlib import Path

from mlops_runtime.definition import Definition
from mlops_runtime.errors import StepError
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.layout import Store

NAME = "model.tar.gz"


def path(model: str, version: int) -> str:
    """Path of a version's package in the store."""
    return f"packages/{model}/{version}/{NAME}"


def publish(definition: Definition, version: int) -> str:
    """Write the package of a version into the bucket, and return its S3 URI. Doing it again changes nothing.

    Arguments:
        definition: the pipeline definition; its store is in a bucket.
        version: the version, whose bundle is in the working copy.

    Raises:
        StepError: the store is in no bucket, or the bucket can't be used.
        OSError: the package can't be written.
    """
    if definition.bucket is None:
        raise StepError("a package is for SageMaker, which reads buckets only; this store is a folder")
    store, model = Store(definition.store), definition.identity.name
    target = path(model, version)
    file = store.root / target
    pack(store.bundle(model, version), file)
    objects = ObjectStore(definition.bucket)
    objects.upload(file, target)
    shutil.rmtree(file.parent)
    return objects.uri_of(target)


def pack(bundle: Path, target: Path) -> None:
    """Pack a bundle so that the same files give the same bytes.

    Raises:
        OSError: a file can't be read or written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        target.open("wb") as raw,
        # Models are dense numbers, which a higher level hardly makes smaller.
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in sorted(bundle.iterdir()):
            if file.name.startswith(".") or not file.is_file():
                continue
            # Owner and time stay at fixed values: the package depends on names and contents only.
            member = tarfile.TarInfo(file.name)
            member.size, member.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                tar.addfile(member, content)
