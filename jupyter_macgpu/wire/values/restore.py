"""The notebook's side, after a run: its own objects and names follow what the run did."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .capture import CLASSES
from .graph import Decoder, Missing, RegisterSource, Table
from .parts import BUILT_ON, part_by_code
from .paths import reaches
from .refusals import type_name
from .registry import ClassRegistry
from .remote import RemoteInfo, RemoteValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of the notebook's variables.

    Attributes
    ----------
    bound, deleted
        Names that the run bound or deleted.
    updated
        Objects that were changed in place.
    rebound
        Names whose object could not be changed in place and was replaced.
    remote
        Names that are handles because this side could not rebuild their value. The
        worker holds the values by the keys given here.
    result
        The value of the last expression: one element, or none.
    notes
        What is not as it would have been at home, for the user.
    """

    bound: tuple[str, ...]
    deleted: tuple[str, ...]
    updated: tuple[object, ...] = field(repr=False)
    rebound: tuple[str, ...]
    remote: tuple[RemoteInfo, ...]
    result: tuple[object, ...] = field(repr=False)
    notes: tuple[str, ...]


def apply(
    stream: bytes | bytearray | memoryview,
    buffers: Iterable[Any],
    table: Table,
    namespace: dict[str, Any],
    *,
    run: str,
    host: str,
    classes: ClassRegistry = CLASSES,
    register_source: RegisterSource | None = None,
) -> Applied:
    """Change the notebook's objects in place as the run did, then bind its names.

    Parameters
    ----------
    stream, buffers
        `Changes` of the run. The buffers must be writable.
    table
        Of the `Capture` that the run was given.
    namespace
        The session namespace; it is changed.
    run, host
        As given to `Received.changes`: they name values that cannot be rebuilt here.
    """
    decoder = Decoder(
        stream, buffers, namespace=namespace, classes=classes, on_worker=False,
        host=host, register_source=register_source,
    )  # fmt: skip
    decoder.missing = {}
    if stream:
        decoder.start_from(table)
    restoration = _Restoration(decoder, table, namespace, run, host)
    entries = []
    while not decoder.at_end():
        entry = decoder.load()
        if not isinstance(entry, tuple):
            continue  # a handle, loaded for its number
        if entry[0] == "update" and entry[2] in BUILT_ON:
            restoration.update(*entry[1:])
        else:
            entries.append(entry)
    return restoration.apply(entries)


class _Restoration:
    def __init__(
        self, decoder: Decoder, table: Table, namespace: dict[str, Any], run: str, host: str
    ) -> None:
        self.decoder = decoder
        self.table = table
        self.namespace = namespace
        self.run = run
        self.host = host
        self.updated: list[object] = []
        self.notes: list[str] = []
        self.remote: list[RemoteInfo] = []

    def apply(self, entries: list[tuple[Any, ...]]) -> Applied:
        rebound: list[str] = []
        for _, number, code, state in _of_kind(entries, "update"):
            self.update(number, code, state)
        for _, number, obj in _of_kind(entries, "replace"):
            rebound += self._replace(self.table[number], obj)
        bound = {name: self._here(name, obj) for _, name, obj in _of_kind(entries, "name")}
        self.namespace.update(bound)
        deleted = tuple(name for _, name in _of_kind(entries, "delete"))
        for name in deleted:
            self.namespace.pop(name, None)
        results = tuple(self._here(name, obj) for _, name, obj in _of_kind(entries, "result"))
        return Applied(
            bound=tuple(bound),
            deleted=deleted,
            updated=tuple(self.updated),
            rebound=tuple(rebound),
            remote=tuple(self.remote),
            result=results,
            notes=tuple(self.notes),
        )

    def update(self, number: int, code: str, state: Any) -> None:
        """Change one object in place, or say why it is as it was."""
        obj = self.table[number]
        self.updated.append(obj)
        if self._missing(state) is not None:
            self.notes.append(
                f"a {type_name(type(obj))} that the cell changed is unchanged here: "
                f"{self._missing(state)}"
            )
            return
        try:
            part_by_code(code).restore(obj, state)
        except Exception as exc:  # any error of any object's own code
            self.notes.append(
                f"a {type_name(type(obj))} that the cell changed could not be changed here: "
                f"{type(exc).__name__}: {exc}"
            )

    def _replace(self, old: object, new: object) -> list[str]:
        names = [name for name, value in self.namespace.items() if value is old]
        why = self._missing(new)
        for name in names:
            self.namespace[name] = self._here(name, new)
        if names and why is None:
            self.notes.append(
                f"{', '.join(names)}: a {type_name(type(old))} cannot be changed in place, so "
                "the name has a new one; other references keep the old one"
            )
        return names

    def _here(self, name: str, value: object) -> object:
        """Return a value that was loaded, or a handle if it could not be rebuilt."""
        why = self._missing(value)
        if why is None:
            return value
        info = RemoteInfo(
            key=f"{self.run}:{name}", name=name, host=self.host, type_name="value",
            shape=None, nbytes=None, reason=f"cannot be loaded here: {why}",
        )  # fmt: skip
        self.remote.append(info)
        return RemoteValue(info)

    def _missing(self, value: object) -> str | None:
        missing = self.decoder.missing
        if not missing:
            return None
        rebuilt = list(self.decoder.table().values())
        placeholders = {id(obj) for obj in rebuilt if _is_missing(obj) or _is_maimed(obj)}
        placeholders |= set(map(id, self.decoder.broken))
        return _worst(missing) if reaches(value, placeholders) else None


def _is_missing(obj: object) -> bool:
    return isinstance(obj, Missing) or obj is Missing


def _worst(missing: dict[str, str]) -> str:
    """Return the reason from which others follow: code that cannot be had, else the first."""
    code = [why for name, why in missing.items() if name.startswith("build_bytecode")]
    return next(iter([*code, *missing.values()]))


def _is_maimed(obj: object) -> bool:
    """Say whether a class lacks something of its own that could not be rebuilt."""
    return isinstance(obj, type) and any(
        _is_missing(held)
        for base in obj.__mro__
        for value in vars(base).values()
        for held in (value, *gc.get_referents(value))
    )


def _of_kind(entries: list[tuple[Any, ...]], kind: str) -> list[tuple[Any, ...]]:
    return [entry for entry in entries if entry[0] == kind]
