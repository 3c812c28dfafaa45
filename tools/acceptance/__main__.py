"""Try the quickstart in an AWS account: preflight, cost, up, a run, a deployment, a prediction, status, and down again.

All names begin with a prefix of this trial alone, and all is taken down at the end: after a failure and after Ctrl-C,
too. Credentials are the environment's, a profile's or SSO's, as for `mlops`; they need what `mlops preflight` asks for,
and to make a bucket for the tables. Exit codes: 0 passed, and nothing is left; 1 failed, or something is left, which is
listed; 2 wrong usage, or no --yes; 130 interrupted, and nothing is left.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pulumi_mlops.platforms.aws.clients import Clients
from tools import engine
from tools.acceptance.account import Belongings
from tools.acceptance.commands import Commands
from tools.acceptance.document import Place, written
from tools.acceptance.trial import Trial
from tools.console import ToolError, say
from tools.settings import PASSPHRASES, STACK_VARIABLES

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / ".cache" / "acceptance"

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_IMAGE: Final = re.compile(
    r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9][a-z0-9._/-]*@sha256:[0-9a-f]{64}"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a trial; returns the exit code."""
    options = _options(arguments)
    place = Place(
        account=options.account,
        region=options.region,
        prefix=f"try-{secrets.token_hex(3)}",
        job=options.job_image,
        serving=options.serving_image,
        email=options.email,
    )
    folder = FOLDER / place.prefix
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _tried(place, folder, agreed=options.yes)
    except ToolError as error:
        say(f"error: {error}")
        code = 1
    except KeyboardInterrupt:
        code = 130
    if _has_state(folder):
        say(f"the trial's Pulumi project and state are kept: {folder}")
        say(f"to try again: cd {folder} && . ./environment && pulumi destroy --stack trial")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return code


def _tried(place: Place, folder: Path, *, agreed: bool) -> int:
    spec = written(folder, ROOT, place)
    assert spec.platform.aws is not None, "the trial's platform is aws"
    tool = engine.ensure()
    if tool.built:
        raise ToolError(
            "the provider of AWS comes with the official Pulumi CLI only, and this engine was built here: install the "
            "CLI (https://www.pulumi.com/docs/install), and put it on PATH"
        )
    environment = _environment(folder, tool)
    trial = Trial(
        Commands(folder, environment),
        Belongings(spec, place.data_bucket, Clients(spec.platform.aws)),
        pulumi=tool.pulumi,
        mlops=str(Path(sys.executable).with_name("mlops")),
        plugin=version("pulumi-aws"),
    )
    say(f"a trial in the account {place.account}, {place.region}; all names begin with {place.prefix}")
    trial.look()
    trial.estimate()
    if not agreed:
        say("nothing was made; run it again with --yes to make it")
        shutil.rmtree(folder)
        return 2
    trial.make()
    shutil.rmtree(folder)
    say("passed: the quickstart ran in this account, and was taken down")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make acceptance-aws", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--account", required=True, type=_like(_ACCOUNT, "12 digits"), help="the account")
    parser.add_argument(
        "--region", required=True, type=_like(_REGION, "a region, such as eu-west-1"), help="the region"
    )
    for kind, what in {"job": "the pipeline's jobs", "serving": "the endpoint's servers"}.items():
        parser.add_argument(
            f"--{kind}-image",
            required=True,
            type=_like(_IMAGE, "an image in Amazon ECR by digest: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:…"),
            metavar="IMAGE",
            help=f"image of {what}, in Amazon ECR, by digest (docs/images.md)",
        )
    parser.add_argument(
        "--email",
        required=True,
        type=_like(_EMAIL, "an e-mail address"),
        help="who is told of its alerts; SNS asks that they be confirmed",
    )
    parser.add_argument("--yes", action="store_true", help="make it; without, only the checks and the cost are shown")
    return parser.parse_args(arguments)


def _like(pattern: re.Pattern[str], what: str) -> Any:
    def checked(value: str) -> str:
        if not pattern.fullmatch(value):
            raise argparse.ArgumentTypeError(f"{value!r} is not {what}")
        return value

    return checked


def _environment(folder: Path, tool: engine.Engine) -> dict[str, str]:
    """The commands' environment: this trial's state, and this Python; also in a file, for a person who goes on."""
    (folder / "state").mkdir()
    phrase = folder / ".passphrase"
    phrase.touch(0o600)
    phrase.write_text(secrets.token_urlsafe(32))
    own = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(tool.directory), os.environ.get("PATH", "")]),
        "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(phrase),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    (folder / "environment").write_text("".join(f"export {name}='{value}'\n" for name, value in own.items()))
    others = (*STACK_VARIABLES, *PASSPHRASES, "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in others} | own


def _has_state(folder: Path) -> bool:
    """Whether there is a stack that was not removed."""
    return any((folder / "state" / ".pulumi" / "stacks").glob("**/trial.json"))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
