"""The notebook's side, after a run on a host that may send data and no code.

As `restore`, for hosts with ``trust: data``. What `reader` does not load stays on its host: the
name becomes a handle, and one line says which names stayed and what they are. Names and objects
are judged one by one.

Rule 1: a name is bound to data, to a handle, to what it is bound to already, or to what an import
in the cell's own text binds. It is never bound to code by the host's word: a name as harmless as
``print`` would then be called by the notebook with what the host had sent.

Rule 2: code of the notebook (functions, classes, modules) stays where it is. In a list or a dict
it may stand where it stood before.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..errors import RemoteValueError
from ..plain import plain_line
from .changes import RESULT
from .graph import Table
from .imported import ImportLine, bound_by, is_already
from .names import is_hidden
from .opcodes import Unreadable
from .ownership import Owned, Unchanged, seeds_of
from .parts import BUILT_ON
from .placeholders import Imported, Known, Own, is_refused, kind_of
from .reader import DataReader
from .remote import RemoteInfo, RemoteValue
from .restore import Applied

#: Names that one line says; the rest is counted.
_LISTED = 12


def advice(host: str) -> str:
    """Return what to do about a value that is not loaded."""
    return f"To load them, set `trust: full` for {host} in your own fleet file."


@dataclass(slots=True, kw_only=True)
class _Judged:
    """What was found in one stream."""

    bound: dict[str, object] = field(default_factory=dict)
    result: tuple[object, ...] = ()
    deleted: list[str] = field(default_factory=list)
    rebound: list[str] = field(default_factory=list)
    updated: list[object] = field(default_factory=list)
    stays: dict[str, str] = field(default_factory=dict)
    remote: list[RemoteInfo] = field(default_factory=list)
    unchanged: dict[str, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def apply_data(
    stream: bytes | bytearray | memoryview,
    buffers: Iterable[Any],
    table: Table,
    namespace: dict[str, Any],
    *,
    run: str,
    host: str,
    announced: Iterable[object] = (),
    imports: Mapping[str, ImportLine] = MappingProxyType({}),
) -> Applied:
    """Change the notebook's objects and names as a run did, as far as that is data.

    Raises nothing for whatever was sent: what cannot be used is in the notes.

    Parameters
    ----------
    stream, buffers, table, namespace, run, host
        As for `restore.apply`.
    announced
        Names that the host says it has bound: if the stream breaks off, they are handles.
    imports
        What the imports in the cell's own text bind.
    """
    return _Confined(table, namespace, run, host, imports).apply(stream, buffers, announced)


def inputs_from(
    stream: bytes | bytearray | memoryview, buffers: Iterable[Any], *, host: str
) -> tuple[Table, dict[str, object], tuple[str, ...]]:
    """Load the inputs of a run that another kernel started, as its host has kept them.

    Returns
    -------
    tuple
        The table for `apply_data`; the inputs that are data, by name; and those that are not.
    """
    reader = DataReader(stream, buffers, host=host)
    pairs: list[tuple[str, object]] = []
    try:
        while not reader.at_end():
            pair = reader.load()
            if type(pair) is tuple and len(pair) == 2 and _is_name(pair[0]):
                pairs.append(pair)
    except Unreadable:
        pass  # what is missing is not bound, and what the run changed of it is said
    values: dict[str, object] = {}
    left: dict[str, None] = {}
    for name, value in pairs:
        if reader.refusals(value, settled=True):
            left[name] = None
        else:
            values[name] = value
    return dict(enumerate(reader.table())), values, tuple(left)


def inputs_left(names: Iterable[str], host: str) -> tuple[str, ...]:
    """Return a line about the inputs of a run that `inputs_from` did not load, if there are any."""
    left = list(names)
    if not left:
        return ()
    return (
        f"inputs of the run that are not data are not brought from {host}: {_listed(left)}. "
        f"{advice(host)}",
    )


def summary_of(said: object) -> dict[str, Any]:
    """Return what the result of a host says of itself, with every field what it must be."""
    given: dict[str, Any] = said if isinstance(said, dict) else {}
    error = given.get("error")
    return {
        **given,
        "error": {str(k): str(v) for k, v in error.items()} if isinstance(error, dict) else None,
        "bound": _texts(given.get("bound")),
        "notes": [plain_line(text)[:500] for text in _texts(given.get("notes"))[:50]],
        "payload": given["payload"] if isinstance(given.get("payload"), list) else [],
    }


def _texts(said: object) -> list[str]:
    return [text for text in said if isinstance(text, str)] if isinstance(said, list) else []


class _Confined:
    def __init__(
        self,
        table: Table,
        namespace: dict[str, Any],
        run: str,
        host: str,
        imports: Mapping[str, ImportLine],
    ) -> None:
        self.namespace = namespace
        self.run = run
        self.host = host
        self.imports = imports
        self.table = table
        self.judged = _Judged()

    def apply(
        self,
        stream: bytes | bytearray | memoryview,
        buffers: Iterable[Any],
        announced: Iterable[object],
    ) -> Applied:
        self.reader = DataReader(stream, buffers, seeds=seeds_of(self.table), host=self.host)
        self.owned = Owned(self.table, self.namespace, self.reader.refusals)
        entries, broken = self._entries()
        for entry in entries:
            if entry[0] == "update":
                self._update(entry)
        for entry in entries:
            if entry[0] == "replace":
                self._replace(entry)
        for entry in entries:
            if entry[0] in ("name", "result", "delete"):
                self._name(entry)
        if broken:
            self._break_off(broken, announced)
        return self._applied()

    def _entries(self) -> tuple[list[tuple[Any, ...]], str]:
        entries: list[tuple[Any, ...]] = []
        try:
            while not self.reader.at_end():
                entry = self.reader.load()
                if type(entry) is RemoteValue:
                    continue  # a handle, loaded for its number
                if not isinstance(entry, tuple) or not _is_entry(entry):
                    self.judged.unchanged["something unknown"] = None
                elif entry[0] == "update" and type(entry[2]) is str and entry[2] in BUILT_ON:
                    self._update(entry)
                else:
                    entries.append(entry)
        except Unreadable as error:
            return entries, str(error)
        return entries, ""

    def _update(self, entry: tuple[Any, ...]) -> None:
        _, number, code, state = entry
        try:
            self.judged.updated.append(self.owned.change(number, code, state))
        except Unchanged as error:
            self.judged.unchanged[str(error)] = None

    def _replace(self, entry: tuple[Any, ...]) -> None:
        _, number, new = entry
        if type(number) is not int or number not in self.table:
            return
        old = self.table[number]
        names = [name for name, value in self.namespace.items() if value is old and _is_name(name)]
        for name in names:
            self.namespace[name] = self._here(name, new)
        loaded = [name for name in names if name not in self.judged.stays]
        self.judged.rebound += names
        if loaded:
            self.judged.notes.append(
                f"{', '.join(loaded)}: a {type(old).__name__} cannot be changed in place, so "
                "the name has a new one; other references keep the old one"
            )

    def _name(self, entry: tuple[Any, ...]) -> None:
        kind, name = entry[0], entry[1]
        if kind == "result":
            self.judged.result = (self._here(RESULT, entry[2]),)
        elif not _is_name(name):
            self.judged.unchanged["a name that is not the user's"] = None
        elif kind == "name":
            self.judged.bound[name] = self._here(name, entry[2])
        else:
            self.judged.deleted.append(name)

    def _here(self, name: str, value: object) -> object:
        """Return what a name is to be bound to: data, or a handle."""
        if not is_refused(value) and not self.reader.refusals(value, settled=True):
            return value
        if isinstance(value, Imported):
            if name in self.imports:
                return bound_by(self.imports[name], self.host)
            if is_already(self.namespace.get(name), value.module, value.qualname):
                return self.namespace[name]
        if isinstance(value, Own | Known) and self.namespace.get(name) is value.obj is not None:
            return value.obj
        found = self.reader.refusals(value)
        why = dict.fromkeys(plain_line(each.kind)[:120] for each in found[:_LISTED])
        return self._stays(name, ", ".join(why), kind_of(value))

    def _stays(self, name: str, what: str, type_name: str) -> RemoteValue:
        info = RemoteInfo(
            key=f"{self.run}:{name}", name=name, host=self.host,
            type_name=plain_line(type_name)[:80].removeprefix("a ").removeprefix("an "),
            shape=None, nbytes=None,
            reason=f"`trust: data` does not load {what}",
        )  # fmt: skip
        self.judged.stays[name] = what
        self.judged.remote.append(info)
        return RemoteValue(info)

    def _break_off(self, why: str, announced: Iterable[object]) -> None:
        known = {*self.judged.bound, *self.judged.stays}
        for name in announced:
            if _is_name(name) and name not in known:
                assert isinstance(name, str)
                self.judged.bound[name] = self._stays(name, "a result that cannot be read", "value")
        self.judged.notes.append(
            f"what came back from {self.host} cannot be read to its end: {why}"
        )

    def _applied(self) -> Applied:
        judged = self.judged
        self.namespace.update(judged.bound)
        for name in judged.deleted:
            self.namespace.pop(name, None)
        judged.notes += _lines(judged, self.host)
        return Applied(
            bound=tuple(judged.bound),
            deleted=tuple(judged.deleted),
            updated=tuple(judged.updated),
            rebound=tuple(judged.rebound),
            remote=tuple(judged.remote),
            result=judged.result,
            notes=tuple(judged.notes),
        )


#: How many elements each kind of entry has.
_ENTRIES = {"update": 4, "replace": 3, "name": 3, "result": 3, "delete": 2}


def _is_entry(entry: tuple[Any, ...]) -> bool:
    return bool(entry) and type(entry[0]) is str and _ENTRIES.get(entry[0]) == len(entry)


def _lines(judged: _Judged, host: str) -> list[str]:
    lines = []
    if judged.stays:
        each = [
            f"{'the result' if name == RESULT else name} ({what})"
            for name, what in judged.stays.items()
        ]
        lines.append(
            f"{_listed(each)} stay{'s' * (len(each) == 1)} on {host}: under `trust: data` only "
            f"known types of data are loaded. {advice(host)}"
        )
    if judged.unchanged:
        lines.append(
            f"what the cell changed on {host} is not all changed here: {_listed(judged.unchanged)}"
            f" cannot be taken over under `trust: data`. {advice(host)}"
        )
    return lines


def _listed(every: Iterable[str]) -> str:
    texts = [plain_line(text)[:160] for text in every]
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more


def _is_name(name: object) -> bool:
    return (
        type(name) is str
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and not is_hidden(name)
        and not (name.startswith("__") and name.endswith("__"))
    )


def fetched(parts: Sequence[bytes | memoryview], info: RemoteInfo) -> object:
    """Return a value that was fetched, if it is data. Nothing is bound.

    Parameters
    ----------
    parts
        The bundle's: a summary, the stream, its buffers.

    Raises
    ------
    RemoteValueError
        If it is none. The value is where it was.
    """
    stream = parts[1] if len(parts) > 1 else b""
    applied = apply_data(stream, parts[2:], {}, {}, run=info.key, host=info.host)
    why = [each.reason for each in applied.remote if each.name == RESULT]
    if applied.result and not why:
        return applied.result[0]
    raise RemoteValueError(
        f"{info.name} stays on {info.host}: {why[0] if why else 'it cannot be read here'}.",
        known="What comes from that host may be data and no code.",
        kept=f"The value is live on {info.host}, and in %%macgpu cells it is itself.",
        next=advice(info.host),
    )
