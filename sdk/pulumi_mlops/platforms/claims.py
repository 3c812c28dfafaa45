"""Names that the components of one platform share, each taken once."""

from __future__ import annotations

import pulumi


class Claims:
    """The names that are taken."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}

    def claim(self, kind: str, name: str, component: str, settings: object = None) -> bool:
        """Take a name, which components of several models may share.

        Arguments:
            kind: what is named.
            name: its name.
            component: name of the component that takes it.
            settings: what it is made from; the same thing may be taken twice.

        Returns:
            Whether it is new.

        Raises:
            pulumi.RunError: another component has something else of that name.
        """
        value = component if settings is None else f"{settings!r}"
        article = "an" if kind[0] in "aeiou" else "a"
        key = f"{kind} {name}"
        new = key not in self._taken
        if self._taken.setdefault(key, value) != value:
            raise pulumi.RunError(
                f"{component}: this platform has {article} {kind} {name} already; give it another name"
            )
        return new
