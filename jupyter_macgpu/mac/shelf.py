"""Which blobs a host keeps, and which of them have to go. Pure: no IO, no clock.

Runs on the Mac. Only Python and `wire` may be imported here.

A blob is kept for one notebook, beside that notebook's working folder and as long as that: what
one notebook sent is nothing that another one can name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

#: Seconds after its last use that a blob is kept: as long as a session's folder.
KEPT = 7 * 24 * 60 * 60.0
#: Seconds for which a blob that was hashed here is believed, if its file was not written to.
BELIEVED = 60 * 60.0


class Name(NamedTuple):
    """A blob: the notebook's folder that it is kept for, and its digest."""

    folder: str
    digest: str


@dataclass(slots=True)
class _Kept:
    """What is known of one blob; `checked` is None for what an earlier supervisor left."""

    size: int
    used: float
    checked: float | None


class Shelf:
    """The blobs of a host: a budget of bytes, of which those go first that were not used longest.

    Times are seconds of any one clock.

    Parameters
    ----------
    quota
        Bytes that all of them may have together.
    """

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.size = 0
        self._kept: dict[Name, _Kept] = {}

    def __contains__(self, name: Name) -> bool:
        return name in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, name: Name, size: int, used: float, checked: float | None) -> list[Name]:
        """Take a blob; return those that have to go for it, itself if it is too large.

        Parameters
        ----------
        checked
            When it was hashed; None for a file that was found.
        """
        self.drop(name)
        self._kept[name] = _Kept(size, used, checked)
        self.size += size
        if size > self.quota:
            self.drop(name)
            return [name]
        return self.spare(self.size - self.quota)

    def use(self, name: Name, size: int, now: float) -> bool:
        """Note that a blob is wanted; return whether there is one of that size."""
        kept = self._kept.get(name)
        if kept is None or kept.size != size:
            return False
        kept.used = max(kept.used, now)
        return True

    def doubtful(self, name: Name, now: float) -> bool:
        """Say whether a blob that is kept should be hashed before it is used."""
        checked = self._kept[name].checked
        return checked is None or not 0 <= now - checked <= BELIEVED

    def check(self, name: Name, now: float) -> None:
        """Note that a blob was hashed and is what it should be; it may be gone meanwhile."""
        if name in self._kept:
            self._kept[name].checked = now

    def drop(self, name: Name) -> None:
        """Forget a blob."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            self.size -= kept.size

    def spare(self, wanted: int) -> list[Name]:
        """Forget blobs of `wanted` bytes at least, and return them: all, if they are fewer."""
        gone: list[Name] = []
        if wanted > 0:
            for name, kept in sorted(self._kept.items(), key=lambda item: item[1].used):
                if wanted <= 0:
                    break
                wanted -= kept.size
                gone.append(name)
        for name in gone:
            self.drop(name)
        return gone

    def expire(self, now: float) -> list[Name]:
        """Forget what was not used for `KEPT` seconds, and return it."""
        gone = [name for name, kept in self._kept.items() if now - kept.used > KEPT]
        for name in gone:
            self.drop(name)
        return gone
