"""The worker's side: inputs out of bytes, and after the run what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .capture import CLASSES
from .changes import Changes, Collector, Limits, Origin
from .graph import Decoder, Encoder, RegisterSource, Table
from .names import is_hidden, is_result, user_names
from .registry import ClassRegistry
from .remote import NotHeldError
from .snapshot import Snapshot

_DEFAULT_LIMITS = Limits()


class InputNotLoadable(Exception):
    """A value that was sent cannot be rebuilt on this side.

    Attributes
    ----------
    after
        The input that came before it, or None: the broken one has no name yet.
    reason
        Why, in words.
    is_gone
        Whether it is, or holds, what lived in a process that has ended.
    """

    def __init__(self, after: str | None, reason: str, *, is_gone: bool = False) -> None:
        super().__init__(after, reason)
        self.after = after
        self.reason = reason
        self.is_gone = is_gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The inputs of one run, bound on the worker, and how they were."""

    before: dict[str, object] = field(repr=False)
    snapshot: Snapshot = field(repr=False)
    classes: ClassRegistry = field(repr=False)
    number_of: Callable[[str], int | None] = field(repr=False)

    def changes(
        self,
        namespace: dict[str, Any],
        *,
        run: str,
        host: str,
        result: tuple[object, ...] = (),
        only: Iterable[str] | None = None,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> Changes:
        """Pickle what the run bound, deleted and changed.

        A value that is too large or cannot be pickled is no failure: it stays here and
        the notebook gets a handle.

        Parameters
        ----------
        namespace
            The worker's namespace, after the run.
        run
            Names the run: the keys of what stays here begin with it.
        host
            What the notebook calls this machine.
        result
            The value of the last expression, if there is one.
        only
            Names that come back, whatever their size, and nothing else. None is all
            that the run bound or changed, within the limits.
        limits
            Bytes that come back by themselves.
        """
        return Collector(
            lambda: Encoder(namespace, self.classes, self.number_of),
            self.snapshot,
            before=self.before,
            now=user_names(namespace),
            result=result,
            only=None if only is None else frozenset(only),
            limits=limits,
            origin=Origin(run=run, host=host),
        ).collect()


def receive(
    stream: bytes | bytearray | memoryview,
    buffers: Iterable[Any],
    namespace: dict[str, Any],
    *,
    live: Mapping[str, object] | None = None,
    to_devices: bool = True,
    host: str = "the notebook's side",
    classes: ClassRegistry = CLASSES,
    register_source: RegisterSource | None = None,
    number_of: Callable[[str], int | None] = lambda _filename: None,
) -> Received:
    """Bind the inputs of a run in the worker's namespace, and nothing but them.

    What an earlier run left there is deleted: during a run the namespace holds what
    the notebook sent, so a stale copy can never be read.

    Parameters
    ----------
    stream, buffers
        A `Capture`. The buffers must be writable: arrays are made on them.
    namespace
        The worker's namespace; it is changed.
    live
        Objects that stayed here after earlier runs, by key.
    to_devices
        Whether tensors go to the devices that they belong to; else all stay in host memory.
    host
        Where the inputs come from, for the texts of lazy imports.
    register_source
        Called with the source of each notebook cell that a function came from.
    number_of
        Execution count of the cell whose code has a file name, if it is one.

    Raises
    ------
    InputNotLoadable
        If a value needs what is not installed here. The namespace is as it was.
    """
    decoder = Decoder(
        stream, buffers, namespace=namespace, classes=classes, on_worker=True,
        live=live or {}, host=host, register_source=register_source,
    )  # fmt: skip
    decoder.to_devices = to_devices
    values = dict(_load_all(decoder))
    for name in [name for name in namespace if not is_hidden(name) or is_result(name)]:
        del namespace[name]
    namespace.update(values)
    snapshot = Snapshot(decoder.table(), decoder.made, decoder.held)
    return Received(
        before=user_names(values), snapshot=snapshot, classes=classes, number_of=number_of
    )


def nothing_received(number_of: Callable[[str], int | None]) -> Received:
    """Return the inputs of a run that has none, and of which nothing is to be told."""
    return Received(before={}, snapshot=Snapshot({}, set()), classes=CLASSES, number_of=number_of)


def table_from(
    stream: bytes | bytearray | memoryview,
    buffers: Iterable[Any],
    namespace: dict[str, Any],
    *,
    classes: ClassRegistry = CLASSES,
    host: str = "its host",
    register_source: RegisterSource | None = None,
) -> tuple[Table, dict[str, object]]:
    """Load a capture in a kernel that did not make it, to attach to its run.

    Returns
    -------
    tuple
        The table for `apply`, and the inputs by name. Nothing is bound.

    Raises
    ------
    InputNotLoadable
        If a value needs what is not installed here.
    """
    decoder = Decoder(
        stream, buffers, namespace=namespace, classes=classes, on_worker=False,
        host=host, register_source=register_source,
    )  # fmt: skip
    values = dict(_load_all(decoder))
    return decoder.table(), values


def _load_all(decoder: Decoder) -> Iterator[tuple[str, object]]:
    after: str | None = None
    while not decoder.at_end():
        try:
            name, value = decoder.load()
        except Exception as exc:  # any error of any object's own code
            is_gone = isinstance(exc, NotHeldError)
            reason = f"{type(exc).__name__}: {exc}"
            raise InputNotLoadable(after, reason, is_gone=is_gone) from exc
        yield name, value
        after = name
