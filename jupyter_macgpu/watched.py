"""One host that is watched: its connection, and how far watching it has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .fleet.pacing import Pace

if TYPE_CHECKING:
    from .fleet.hosts import Host
    from .link import Link


@dataclass(slots=True, kw_only=True)
class Watched:
    """A host, and how it is being looked at.

    Attributes
    ----------
    busy
        Whether a thread is connecting to it.
    since
        When that began, or when a word of it was last heard.
    opened
        When the connection was made.
    is_slow
        Whether it was said to be slow since then.
    tells
        Whether it was asked to tell how it is, and not since to be silent.
    mark
        Its entry and the keys, as they were when it was last tried.
    shown
        What was last counted as a change.
    """

    host: Host
    link: Link
    pace: Pace = field(default_factory=Pace)
    busy: bool = False
    since: float = 0.0
    opened: float = 0.0
    is_slow: bool = False
    tells: bool = False
    mark: str = ""
    shown: tuple[object, ...] = ()

    @property
    def is_telling(self) -> bool:
        """Whether it tells how it is by itself."""
        return self.link.open and self.tells
