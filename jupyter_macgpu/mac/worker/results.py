"""Where results go: small ones with the message, large ones into a file beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...wire import bundle
from ...wire.content import IN_HEAD
from ...wire.messages import INLINE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ...wire.values.changes import Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A result's bundle, as a message announces it.

    Attributes
    ----------
    buffers
        The bundle, if it travels with the message.
    path
        Its file, if it does not.
    size, digest
        Length in bytes and SHA-256 of the bundle.
    """

    buffers: tuple[bytes, ...]
    path: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Results:
    """The folder of results."""

    folder: Path

    def pack(self, name: str, summary: str, changes: Changes) -> Packed:
        """Make a bundle of a summary and of what changed; none if all is in the summary.

        Parameters
        ----------
        name
            Of the run or the operation; the file is called so.
        summary
            JSON, the first part of the bundle.

        Raises
        ------
        OSError
            If the bundle is large and cannot be written.
        """
        if not changes.stream and len(summary) <= IN_HEAD:
            return Packed(buffers=(), path="", size=0, digest="")
        raw = [buffer.raw() for buffer in changes.buffers]
        pieces = bundle.pack([summary.encode(), changes.stream, *raw])
        size, digest = bundle.size_of(pieces), bundle.digest_of(pieces)
        if size <= INLINE:
            return Packed(buffers=(b"".join(pieces),), path="", size=size, digest=digest)
        return Packed(buffers=(), path=self._write(name, pieces), size=size, digest=digest)

    def _write(self, name: str, pieces: Sequence[memoryview]) -> str:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / f"{name}.result"
        temporary = path.with_suffix(".part")
        try:
            with temporary.open("wb", buffering=0) as file:
                for piece in pieces:
                    rest = piece
                    while rest:
                        rest = rest[file.write(rest) :]
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return str(path)
