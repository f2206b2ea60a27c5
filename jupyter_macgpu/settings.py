"""Settings of one notebook, changed with ``%macgpu config NAME=VALUE``."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import amounts
from .grammar import Unreadable
from .progress import MODES
from .wire.errors import InputError

#: What settings take that are words.
_DEFAULTS = {"return": "auto", "keep": "7d", "progress": "auto", "keep-line": "on", "pace": "auto"}
_WORDS = {"progress": MODES, "keep-line": ("on", "off"), "pace": ("auto", "off")}


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
    values
        By name. ``return``: how much comes back by itself: ``auto`` (256 MiB a value, 1 GiB a
        cell), ``always`` (everything that can), ``never`` (only what ``-o`` names), or a size for a
        value. ``progress``: the line that says what a cell does: ``auto`` (not for short cells,
        and not where nobody looks), ``on`` or ``off``. ``keep-line``: whether its last reading
        stays in the notebook, ``on`` or ``off``. ``pace``: whether output is shown no faster than
        Jupyter's server lets it through, ``auto`` or ``off``. ``keep``: how long the result of a
        run that nobody waits for is kept on its host: ``7d``.
    """

    values: dict[str, str] = field(default_factory=lambda: dict(_DEFAULTS))

    @property
    def keeps_line(self) -> bool:
        """Whether the last reading of a cell's line stays."""
        return self.values["keep-line"] == "on"

    @property
    def is_paced(self) -> bool:
        """Whether output is held back where Jupyter's server would drop it."""
        return self.values["pace"] == "auto"

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
        elif name == "return":
            if value not in ("auto", "always", "never"):
                read_size(value)
        elif value not in _WORDS[name]:
            words = " or ".join(_WORDS[name])
            raise InputError(f"{name} is not {value!r}.", next=f"Write {name}={words}.")
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
