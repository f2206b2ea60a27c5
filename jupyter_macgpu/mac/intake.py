"""Runs' bundles and blobs on their way in: what is here is not sent, what is not is asked for.

Runs on the Mac. Only Python and `wire` may be imported here.

A blob that is kept is given to the run first, so that it cannot go any more, and only then
counted. One that an earlier supervisor left, or that was not looked at for long, is hashed in
between, a slice at a time, beside all else that goes on.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ..wire import blobs
from ..wire import messages as m
from .several import Several
from .shelf import Name
from .streams import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from . import effects as e
    from . import store
    from .blobs import Blobs
    from .client import Client

#: Bytes that are hashed before others get their turn.
_SLICE = 4 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class _Taking:
    """What one client sends of a run whose bundle is not complete.

    Attributes
    ----------
    wanted
        Sizes of its blobs by digest.
    here, doubtful
        Those that it has, and those of them that are being hashed.
    stream
        What is under way; empty if nothing is.
    asked
        How often its client was asked for blobs.
    """

    client: Client
    run: str
    folder: str
    wanted: dict[str, int]
    here: set[str] = field(default_factory=set)
    doubtful: deque[str] = field(default_factory=deque)
    stream: str = ""
    asked: int = 0


class Intake:
    """Takes what belongs to runs that are submitted.

    Parameters
    ----------
    place
        The store.
    kept
        Its blobs.
    uploaded
        Told when all of a run is here, or what is wrong with it: run, problem.
    """

    def __init__(
        self, place: store.Store, kept: Blobs, uploaded: Callable[[str, str], None]
    ) -> None:
        self._place = place
        self._kept = kept
        self._uploaded = uploaded
        #: By run, and by the client's number: one that connects again begins again, and its old
        #: connection may bring what is missing all the same.
        self._taking: dict[str, dict[int, _Taking]] = {}
        self._hashing: tuple[str, str, int, blobs.Digest] | None = None

    @property
    def is_hashing(self) -> bool:
        """Whether there is something for `turn` to do."""
        return next(self._doubting(), None) is not None

    def begin(self, client: Client, effect: e.Receive) -> None:
        """Take a run's bundle, and see which of its blobs are here."""
        taking = _Taking(
            client=client, run=effect.run, folder=effect.folder, wanted=dict(effect.blobs)
        )
        self._taking.setdefault(effect.run, {})[client.number] = taking
        try:
            if taking.wanted:
                self._kept.begin(effect.run)
                self._borrow(taking)
            digests = list(taking.wanted)
            self._take(taking, [digests[number] for number in effect.coming], effect)
        except OSError as error:
            self._fail(taking, f"the inputs could not be written: {error}")
            return
        self._go_on(taking)

    def over(self, client: Client, stream: str, problem: str) -> None:
        """Note that a client's stream is complete, or what is wrong with it."""
        taking = self._taking.get(run_of(stream), {}).get(client.number)
        if taking is None or taking.stream != stream:
            return
        taking.stream = ""
        if problem:
            self._fail(taking, problem)
        else:
            self._go_on(taking)

    def forget(self, run: str) -> None:
        """Take no more of a run."""
        for taking in self._taking.pop(run, {}).values():
            if taking.stream in taking.client.streams.incoming:
                taking.client.streams.incoming.pop(taking.stream).close()

    def turn(self) -> None:
        """Hash a slice of what is doubtful."""
        taking = next(self._doubting(), None)
        if taking is None:
            return
        digest = taking.doubtful[0]
        path = self._place.lent(taking.run) / digest
        if self._hashing is None or self._hashing[:2] != (taking.run, digest):
            self._hashing = taking.run, digest, 0, blobs.Digest()
        _run, _name, at, hashed = self._hashing
        data = _read(path, at)
        hashed.update(data)
        if len(data) == _SLICE:
            self._hashing = taking.run, digest, at + len(data), hashed
            return
        self._hashing = None
        taking.doubtful.popleft()
        self._judge(taking, digest, hashed.hexdigest() == digest)
        self._go_on(taking)

    def _judge(self, taking: _Taking, digest: str, is_right: bool) -> None:
        name = Name(taking.folder, digest)
        if is_right:
            self._kept.shelf.check(name, self._kept.now())
            taking.here.add(digest)
        else:
            self._kept.remove(name)
            (self._place.lent(taking.run) / digest).unlink(missing_ok=True)

    def _borrow(self, taking: _Taking) -> None:
        """Give a run what is kept of its blobs, before anything that comes makes it go."""
        for digest, size in taking.wanted.items():
            name = Name(taking.folder, digest)
            if digest not in taking.here and self._kept.lend(taking.run, name, size):
                if self._kept.shelf.doubtful(name, self._kept.now()):
                    taking.doubtful.append(digest)
                else:
                    taking.here.add(digest)

    def _go_on(self, taking: _Taking) -> None:
        """Ask for what is missing, when nothing is under way; if nothing is, the run is here."""
        if taking.stream or taking.doubtful or not self._counts(taking):
            return
        missing = [digest for digest in taking.wanted if digest not in taking.here]
        if not missing:
            self.forget(taking.run)
            self._uploaded(taking.run, "")
            return
        taking.asked += 1
        self._take(taking, missing)
        message = m.Missing(run=taking.run, stream=taking.stream, digests=missing)
        taking.client.endpoint.send(message)

    def _take(self, taking: _Taking, digests: list[str], bundle: e.Receive | None = None) -> None:
        """Take a stream of blobs, behind the run's bundle if that comes too."""
        files: list[tuple[int, Callable[[], Incoming]]] = []
        names = list(digests)
        if bundle is not None and not bundle.inline:
            path = self._place.inputs(taking.run)
            files.append((bundle.size, partial(Incoming, path, bundle.size, bundle.digest)))
            names.insert(0, "")
        folder = self._place.lent(taking.run)
        for digest in digests:
            size = taking.wanted[digest]
            make = partial(Incoming, folder / digest, size, digest, blobs.Digest())
            files.append((size, make))
        if files:
            suffix = f".{taking.asked}" if taking.asked else ""
            taking.stream = stream = f"in:{taking.run}{suffix}"
            taking.client.streams.taken.pop(stream, None)
            arrived = partial(self._arrived, taking, names)
            taking.client.streams.incoming[stream] = Several(files, arrived)

    def _arrived(self, taking: _Taking, names: list[str], number: int) -> None:
        digest = names[number]
        if digest and self._counts(taking):
            taking.here.add(digest)
            if digest in taking.doubtful:
                taking.doubtful.remove(digest)
            self._kept.keep(taking.run, Name(taking.folder, digest), taking.wanted[digest])

    def _counts(self, taking: _Taking) -> bool:
        """Say whether it is its client's newest attempt, and the run is not complete."""
        return self._taking.get(taking.run, {}).get(taking.client.number) is taking

    def _doubting(self) -> Iterator[_Taking]:
        return (
            taking for each in self._taking.values() for taking in each.values() if taking.doubtful
        )

    def _fail(self, taking: _Taking, problem: str) -> None:
        self.forget(taking.run)
        self._uploaded(taking.run, problem)


def run_of(stream: str) -> str:
    """Return the run whose inputs come on a stream."""
    return stream.removeprefix("in:").partition(".")[0]


def _read(path: Path, at: int) -> bytes:
    """Return a slice of a file; less of it, if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(fd, _SLICE, at)
    except OSError:
        return b""
    finally:
        os.close(fd)
