"""The values that stay on this host, and what the notebook may do with them between cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...wire.values.remote import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...wire.values.changes import Changes


class Holdings:
    """Live objects by the keys under which the notebook has handles of them."""

    def __init__(self) -> None:
        self._kept: dict[str, object] = {}
        # All that the last run bound: the notebook may find that it cannot load something.
        self._recent: dict[str, object] = {}

    @property
    def count(self) -> int:
        """How many values exist nowhere else."""
        return len(self._kept)

    def all(self) -> Mapping[str, object]:
        """Return every value that a handle may mean."""
        return {**self._recent, **self._kept}

    def add(self, changes: Changes) -> None:
        """Keep what a run left here."""
        self._kept.update({info.key: changes.live[info.key] for info in changes.remote})
        self._recent = dict(changes.live)

    def settle(self, held: Iterable[str] | None) -> None:
        """Let go of what the notebook has no handle of.

        Parameters
        ----------
        held
            Keys of the notebook's handles; None if it did not say.
        """
        if held is not None:
            known = self.all()
            self._kept = {key: known[key] for key in held if key in known}

    def forget_recent(self) -> None:
        """Let go of the last run's values that are at home in the notebook."""
        self._recent = {}

    def free(self, keys: Iterable[str]) -> int:
        """Let go of values by key; return how many there were."""
        known = set(self.all())
        freed = 0
        for key in keys:
            freed += key in known
            self._kept.pop(key, None)
            self._recent.pop(key, None)
        return freed

    def listed(self) -> list[dict[str, Any]]:
        """Return a line for each value that exists nowhere else."""
        lines = []
        for key, value in self._kept.items():
            name = key.rpartition(":")[2]
            info = describe(value, key=key, name=name, host="", reason="")
            lines.append({"key": key, "name": name, "type": info.type_name, "nbytes": info.nbytes})
        return lines
