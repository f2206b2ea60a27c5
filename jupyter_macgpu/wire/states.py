"""The states of a run, and what makes its output whole."""

from __future__ import annotations

import hashlib

#: Each state of a run and the states that may follow it. The order is the only one:
#: a run that has ended stays as it ended, and nothing that was started runs again.
NEXT: dict[str, frozenset[str]] = {
    "receiving": frozenset({"accepted", "cancelled"}),
    "accepted": frozenset({"queued", "started", "cancelled", "died", "lost"}),
    "queued": frozenset({"started", "cancelled", "died", "lost"}),
    "started": frozenset({"ok", "error", "cancelled", "died", "lost"}),
    "ok": frozenset(),
    "error": frozenset(),
    "cancelled": frozenset(),
    "died": frozenset(),
    "lost": frozenset(),
}

FINAL = frozenset(state for state, following in NEXT.items() if not following)
LIVE = frozenset(NEXT) - FINAL


class OutputDigest:
    """SHA-256 over a run's output, taken alike where it is written and where it is shown."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, what: str, end: int, buffers: tuple[bytes | bytearray | memoryview, ...]) -> None:
        """Take one record: its kind, the offset at which it ends and its bytes."""
        self._digest.update(f"{what}:{end}:".encode())
        for buffer in buffers:
            self._digest.update(buffer)

    def hex(self) -> str:
        """Return the digest of what was added so far."""
        return self._digest.hexdigest()
