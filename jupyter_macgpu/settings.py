"""Settings of one notebook, changed with ``%macgpu config NAME=VALUE``."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import amounts
from .grammar import Unreadable
from .wire.errors import InputError


def read_size(text: str) -> int:
    """Return the bytes that a text such as ``256MiB`` or ``2GB`` stands for.

    Raises
    ------
    InputError
        If it is no size.
    """
    try:
        return amounts.read_size(text)
    except Unreadable as unreadable:
        raise InputError(
            f"{text!r} is not a size.", next="Write a number and a unit: 512MiB, 2GiB."
        ) from unreadable


def _read_length(text: str) -> float:
    try:
        return amounts.read_duration(text)
    except Unreadable as unreadable:
        raise InputError(
            f"{text!r} is not a length of time.", next="Write a number and a unit: 12h, 7d."
        ) from unreadable


@dataclass(slots=True)
class Settings:
    """What a notebook has set.

    Attributes
    ----------
    bring
        How much comes back by itself: ``auto`` (256 MiB a value, 1 GiB a cell), ``always``
        (everything that can), ``never`` (only what ``-o`` names), or a size for a value.
    keep
        How long the result of a run that nobody waits for is kept on its host: ``7d``.
    """

    values: dict[str, str] = field(default_factory=lambda: {"return": "auto", "keep": "7d"})

    def require(self, name: str) -> None:
        """Refuse a setting that does not exist.

        Raises
        ------
        InputError
            It names the settings that do.
        """
        if name not in self.values:
            names = ", ".join(self.values)
            raise InputError(f"There is no setting {name!r}.", next=f"The settings are: {names}.")

    def change(self, name: str, value: str) -> None:
        """Change a setting.

        Raises
        ------
        InputError
            If there is no such setting, or it does not take that value.
        """
        self.require(name)
        if name == "keep":
            _read_length(value)
        elif value not in ("auto", "always", "never"):
            read_size(value)
        self.values[name] = value

    def limits(self) -> dict[str, int]:
        """Return the limits of what comes back by itself, in bytes; empty for the default."""
        chosen = self.values["return"]
        if chosen == "auto":
            return {}
        if chosen == "always":
            return {"value": 1 << 62, "cell": 1 << 62}
        if chosen == "never":
            return {"value": 0, "cell": 0}
        size = read_size(chosen)
        return {"value": size, "cell": max(size, 2**30)}

    def keep(self) -> float:
        """Return for how many seconds results wait on their hosts."""
        return _read_length(self.values["keep"])

    def text(self) -> str:
        """Return the settings, a line each."""
        return "\n".join(f"{name}={value}" for name, value in self.values.items())
