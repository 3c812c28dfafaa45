"""The user's code: found, loaded, called, and archived by content."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import importlib.util
import os
import re
import sys
import tarfile
import traceback
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from mlops_runtime.definition import DataDefinition
from mlops_runtime.errors import BadInputError, StepError

_SKIPPED = frozenset({"__pycache__", "node_modules"})


def load_function(definition: DataDefinition, reference: str, *, expects: str) -> Callable[..., Any]:
    """Load a function of the user's code.

    Arguments:
        definition: the pipeline definition; its `code.directory` comes first on the import path from here on.
        reference: `module:function`.
        expects: what the function is for, named in errors (`transform of source flights`).

    Raises:
        BadInputError: module or function does not exist, the module can't be imported, or the name is no function.
    """
    module_name, _, function_name = reference.partition(":")
    module = _import(definition.code.directory.resolve(), module_name, reference, expects)
    function = getattr(module, function_name, None)
    if function is None:
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise BadInputError(
            f"{expects}: module {module_name} ({module.__file__}) has no function {function_name}"
            + suggestion(function_name, names)
        )
    if not callable(function):
        raise BadInputError(
            f"{expects}: {reference} is a {type(function).__name__} ({module.__file__}); a function is expected"
        )
    return function  # type: ignore[no-any-return]


def call(definition: DataDefinition, reference: str, *arguments: Any, expects: str, **keywords: Any) -> Any:
    """Call a function of the user's code.

    Arguments:
        definition: the pipeline definition.
        reference: `module:function`.
        arguments: positional arguments.
        expects: what the function is for, named in errors.
        keywords: keyword arguments.

    Raises:
        BadInputError: the function can't be loaded, or raised: the message says where in the user's code, and what.
    """
    function = load_function(definition, reference, expects=expects)
    try:
        return function(*arguments, **keywords)
    except StepError:
        raise
    except Exception as error:
        where = _location(error, definition.code.directory.resolve())
        raise BadInputError(f"{expects}: {reference} failed{where}: {type(error).__name__}: {error}") from error


def check_requirements(definition: DataDefinition) -> None:
    """Check that the packages which the user's code needs are installed.

    Raises:
        BadInputError: requirements are malformed or not met; all of them are named.
    """
    unmet = []
    for text in definition.code.requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            unmet.append(f"{text!r} is not a requirement (PEP 508): {str(error).splitlines()[0]}")
            continue
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            unmet.append(f"{text}: {requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            unmet.append(f"{text}: {requirement.name} {installed} is installed")
    if unmet:
        raise BadInputError(
            "code.requirements are not met: "
            + "; ".join(unmet)
            + f". Install them into {sys.prefix} or change the spec"
        )


def digest_of_code(definition: DataDefinition) -> str:
    """SHA-256 of the user's code (relative paths and contents of the included files), as `sha256:<hex>`."""
    digest = hashlib.sha256()
    for name, path in included_files(definition):
        content = path.read_bytes()
        digest.update(f"{len(name.encode())}:{name}:{len(content)}:".encode())
        digest.update(content)
    return f"sha256:{digest.hexdigest()}"


def archive(definition: DataDefinition, folder: Path) -> tuple[Path, str]:
    """Archive the user's code so that the same files always give the same bytes.

    Arguments:
        definition: the pipeline definition.
        folder: where `code-<first 12 digits of the digest>.tar.gz` is written.

    Returns:
        Path of the archive and SHA-256 of its bytes, as `sha256:<hex>`.

    Raises:
        OSError: a file can't be read or the archive can't be written.
    """
    tar_bytes = BytesIO()
    with tarfile.open(fileobj=tar_bytes, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in included_files(definition):
            content = path.read_bytes()
            # Owner, time and mode stay at fixed values: the archive depends on names and contents only.
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, BytesIO(content))
    # Stored with level 9 and without time; the deflate stream is a function of its input for one zlib.
    data = gzip.compress(tar_bytes.getvalue(), 9, mtime=0)
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"code-{digest[:12]}.tar.gz"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path, f"sha256:{digest}"


def included_files(definition: DataDefinition) -> Iterator[tuple[str, Path]]:
    """Files of the user's code in order of name: path relative to the code's directory, and absolute path.

    Hidden folders, virtual environments, caches and the store are left out.
    """
    directory, store = definition.code.directory.resolve(), definition.store.resolve()
    patterns = [_regex(pattern) for pattern in definition.code.include]
    found = {}
    for parent, folders, files in os.walk(directory):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and Path(parent, name) != store
            and not Path(parent, name, "pyvenv.cfg").exists()
        ]
        for file in files:
            path = Path(parent, file)
            name = path.relative_to(directory).as_posix()
            if any(pattern.fullmatch(name) for pattern in patterns):
                found[name] = path
    yield from sorted(found.items())


def suggestion(name: str, known: list[str]) -> str:
    """Text that follows "there is no NAME": the nearest known name, or all of them where none is near."""
    if near := get_close_matches(name, known, n=1, cutoff=0.6):
        return f"; did you mean {near[0]}?"
    return f"; there are: {', '.join(sorted(known))}" if known else ""


def _import(directory: Path, module_name: str, reference: str, expects: str) -> ModuleType:
    top = module_name.partition(".")[0]
    loaded = sys.modules.get(top)
    own = (directory / f"{top}.py").exists() or (directory / top).is_dir()
    if loaded is not None and own and not _lies_in(loaded, directory):
        # A module of the same name from elsewhere was imported first; the user's own code takes precedence.
        for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
            del sys.modules[name]
    if sys.path[:1] != [str(directory)]:
        sys.path.insert(0, str(directory))
        importlib.invalidate_caches()
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise BadInputError(
                f"{expects}: there is no module {module_name} for {reference}; looked in {directory} "
                f"(code.directory){suggestion(module_name, [path.stem for path in directory.glob('*.py')])}"
            ) from error
        raise BadInputError(
            f"{expects}: {reference} can't be imported{_location(error, directory)}: {error}; "
            "install the package and name it in code.requirements"
        ) from error
    except SyntaxError as error:
        raise BadInputError(
            f"{expects}: {reference} can't be imported: {error.filename}:{error.lineno}: {error.msg}"
        ) from error
    except Exception as error:
        raise BadInputError(
            f"{expects}: {reference} can't be imported{_location(error, directory)}: {type(error).__name__}: {error}"
        ) from error


def pickled(definition: DataDefinition, value: Any) -> bytes:
    """A pickle that needs none of the user's modules to be read: what comes from them is in it, by value.

    Arguments:
        definition: the pipeline definition.
        value: an estimator.
    """
    import cloudpickle

    directory = definition.code.directory.resolve()
    own = [module for module in list(sys.modules.values()) if _is_own(module, directory)]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(value))
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


def _is_own(module: object, directory: Path) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or "site-packages" in file:
        return False
    return isinstance(module, ModuleType) and module.__name__ != "__main__" and _lies_in(module, directory)


def _lies_in(module: ModuleType, directory: Path) -> bool:
    places = [module.__file__] if module.__file__ else list(getattr(module, "__path__", []))
    return any(Path(place).resolve().is_relative_to(directory) for place in places)


def _location(error: BaseException, directory: Path) -> str:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve().is_relative_to(directory) and "site-packages" not in frame.filename
    ]
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _regex(pattern: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(parts.get(token) or re.escape(token) for token in tokens))
