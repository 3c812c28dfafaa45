"""Archives whose bytes depend on nothing but their content."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path


def pack(folder: Path, archive: Path, name: str) -> None:
    """Pack a folder's files; the same files give the same bytes.

    Arguments:
        folder: folder of plain files.
        archive: file to write, a zip where its name holds `.zip`, else a tar.gz.
        name: folder within the archive.

    Raises:
        OSError: it can't be written.
    """
    files = sorted(folder.iterdir())
    if ".zip" in archive.name:
        with zipfile.ZipFile(archive, "w") as packed:
            for file in files:
                entry = zipfile.ZipInfo(f"{name}/{file.name}")  # its time stays 1980-01-01
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(entry, file.read_bytes())
        return
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in files:
            content = file.read_bytes()
            member = tarfile.TarInfo(f"{name}/{file.name}")
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
