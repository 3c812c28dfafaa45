"""The folders that `pulumi … --policy-pack` takes: a description and a program of two lines for each pack."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlops_policies.registry import PACKS


def files(pack: str, virtualenv: str | None) -> Mapping[str, str]:
    """The files of a pack's folder, by name.

    Arguments:
        pack: key of `PACKS`.
        virtualenv: the Python environment that holds this package, absolute or relative to the folder; None for the one
            that Pulumi finds by itself.
    """
    about = PACKS[pack]
    options = f"  options:\n    virtualenv: {json.dumps(virtualenv)}\n" if virtualenv else ""
    return {
        "PulumiPolicy.yaml": f"name: mlops-{pack}\ndescription: {about}\nruntime:\n  name: python\n{options}",
        "__main__.py": f'"""{about}."""\n\nfrom mlops_policies.analyzer import serve\n\nserve("{pack}")\n',
    }
