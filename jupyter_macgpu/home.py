"""What a run that goes on by itself needs of the kernel that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cell import Dialect
    from .pool import Pool
    from .wire.errors import MacGPUError


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a run's variables come home to, and what says so.

    Attributes
    ----------
    namespace
        The notebook's variables.
    notice
        Shows a line of ours.
    """

    pool: Pool
    namespace: dict[str, Any]
    dialect: Dialect
    notice: Callable[[str], None]


class Errand(Protocol):
    """What has to happen here before a run is handed in."""

    error: MacGPUError | None

    @property
    def over(self) -> bool:
        """Whether it was handed in, or never will be."""

    @property
    def reason(self) -> str:
        """What it waits for."""

    def stop(self) -> bool:
        """Wait no more; say whether nothing was sent."""
