"""The notebook's side, before a run: inputs into bytes."""

from __future__ import annotations

import hashlib
import pickle
import types
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputTooLarge, UnknownInput, UnpicklableInput
from .graph import Encoder, Table
from .names import is_hidden
from .paths import path_to
from .refusals import Unshippable, type_name
from .registry import ClassRegistry

#: The classes of this process. One process is one notebook or one worker.
CLASSES = ClassRegistry()

#: Bytes of all inputs of a cell above which it is refused.
INPUT_LIMIT = 10 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """The inputs of one run.

    Attributes
    ----------
    stream, buffers
        What travels. The buffers are the notebook's own memory: send or copy them
        before the notebook's code runs again.
    names
        All inputs, those that functions read included.
    nbytes
        Bytes that each name added; what several names share counts for the first.
    table
        The notebook's objects by number. Stays here, for `apply`.
    notes
        What does not travel as it was, for the user.
    holders
        Hosts on which values among the inputs live.
    handles
        Their keys.
    """

    stream: bytes
    buffers: tuple[pickle.PickleBuffer, ...]
    names: tuple[str, ...]
    nbytes: dict[str, int]
    table: Table = field(repr=False)
    notes: tuple[str, ...]
    holders: frozenset[str] = frozenset()
    handles: frozenset[str] = frozenset()


def capture(
    names: Iterable[str],
    namespace: dict[str, Any],
    *,
    optional: Iterable[str] = (),
    attribute_names: Iterable[str] = (),
    limit: int | None = INPUT_LIMIT,
    classes: ClassRegistry = CLASSES,
    number_of: Callable[[str], int | None] = lambda _filename: None,
) -> Capture:
    """Pickle the inputs of a cell, and what the functions among them read.

    Parameters
    ----------
    names
        Inputs that must exist.
    namespace
        The session namespace. It is read, never written.
    optional
        Inputs that are taken where they exist: what the cell's text reads.
    attribute_names
        Names that the cell's text uses behind a dot: they decide which submodules of a
        package are imported on the other side.
    limit
        Bytes that all inputs may have together. None is no limit.

    Returns
    -------
    Capture
        Bytes and table of this run.

    Raises
    ------
    UnknownInput
        If one of `names` does not exist. All of them are named.
    UnpicklableInput
        If values cannot travel. All of them are named, with the way to them.
    InputTooLarge
        If the inputs are larger than `limit`. Nothing was copied to find out.
    """
    required = tuple(dict.fromkeys(names))
    unknown = tuple(name for name in required if name not in namespace)
    if unknown:
        raise UnknownInput(unknown)
    wanted = [*required, *(name for name in optional if name in namespace)]
    if not wanted:
        return Capture(stream=b"", buffers=(), names=(), nbytes={}, table={}, notes=())
    shared: frozenset[int] = frozenset()
    while True:
        attempt = _Attempt(namespace, classes, number_of, set(attribute_names), shared)
        attempt.dump_all(wanted)
        if attempt.refused:
            raise UnpicklableInput(tuple(attempt.refused))
        if limit is not None and sum(attempt.nbytes.values()) > limit:
            largest_first = sorted(attempt.nbytes.items(), key=lambda item: -item[1])
            raise InputTooLarge(dict(largest_first[:10]), limit)
        if shared_memory(attempt.encoder) <= shared:
            return attempt.result()
        # Views of one array were met: only now is it known that its memory is shared.
        shared = shared_memory(attempt.encoder)


def fingerprint(
    name: str, namespace: dict[str, Any], classes: ClassRegistry = CLASSES
) -> bytes | None:
    """Return a digest of what one variable would send now, or None if it cannot be sent."""
    attempt = _Attempt(namespace, classes, lambda _filename: None, set(), frozenset())
    attempt.dump_alone(name)
    if attempt.refused:
        return None
    digest = hashlib.sha256(attempt.encoder.file.getvalue())
    for buffer in attempt.encoder.buffers:
        digest.update(buffer.raw())
    return digest.digest()


class _Attempt:
    """One pass over the inputs."""

    def __init__(
        self,
        namespace: dict[str, Any],
        classes: ClassRegistry,
        number_of: Callable[[str], int | None],
        attribute_names: set[str],
        shared: frozenset[int],
    ) -> None:
        self.namespace = namespace
        self.nbytes: dict[str, int] = {}
        self.refused: list[tuple[str, str, str, str]] = []
        self._make: Callable[[], Encoder] = lambda: Encoder(namespace, classes, number_of)
        self.encoder = self._fresh(attribute_names, shared)

    def dump_all(self, wanted: list[str]) -> None:
        """Dump names, and those that functions among them read, until there are no more."""
        queue = deque(dict.fromkeys(wanted))
        seen = set(queue)
        modules = []
        while queue:
            name = queue.popleft()
            if isinstance(self.namespace[name], types.ModuleType):
                modules.append(name)
                continue
            self._dump(name)
            # Read by functions: IPython's own names mean the other side's there.
            for read in list(self.encoder.global_names):
                if read not in seen and read in self.namespace and not is_hidden(read):
                    seen.add(read)
                    queue.append(read)
        # Last, for only now it is known which submodules the functions name.
        for name in modules:
            self._dump(name)

    def dump_alone(self, name: str) -> None:
        """Dump one name, and none that functions in it read."""
        self._dump(name)

    def result(self) -> Capture:
        return Capture(
            stream=self.encoder.file.getvalue(),
            buffers=tuple(self.encoder.buffers),
            names=tuple(self.nbytes),
            nbytes=self.nbytes,
            table=self.encoder.table(),
            notes=tuple(self.encoder.notes),
            holders=frozenset(self.encoder.scratch.get("holders", ())),
            handles=frozenset(self.encoder.scratch.get("handles", ())),
        )

    def _dump(self, name: str) -> None:
        value = self.namespace[name]
        before = self.encoder.nbytes
        try:
            self.encoder.dump((name, value))
        except Exception as exc:  # any error of any object's own pickling
            kind, way, why = explain(name, value, exc)
            self.refused.append((name, kind, way, why))
            # The numbering is broken in mid-value: what follows is only looked at.
            self.encoder = self._fresh(
                self.encoder.attribute_names, frozenset(), self.encoder.global_names
            )
        else:
            self.nbytes[name] = self.encoder.nbytes - before

    def _fresh(
        self,
        attribute_names: set[str],
        shared: frozenset[int],
        global_names: dict[str, None] | None = None,
    ) -> Encoder:
        encoder = self._make()
        encoder.attribute_names |= attribute_names
        encoder.global_names.update(global_names or {})
        encoder.scratch["shared"] = shared
        return encoder


def shared_memory(encoder: Encoder) -> frozenset[int]:
    """Return the arrays, by id, of which one pickling met several views."""
    roots: dict[int, set[int]] = encoder.scratch.get("roots", {})
    return frozenset(root for root, arrays in roots.items() if len(arrays) > 1)


def explain(name: str, value: object, exc: Exception) -> tuple[str, str, str]:
    """Say of a failed pickling: type of the culprit, the way to it, and why."""
    if isinstance(exc, Unshippable):
        return type_name(type(exc.obj)), path_to(value, exc.obj, name), exc.reason
    if isinstance(exc, RecursionError) or isinstance(exc.__cause__, RecursionError):
        return type_name(type(value)), name, "it is nested too deeply to be pickled"
    return type_name(type(value)), name, f"{type(exc).__name__}: {exc}"
