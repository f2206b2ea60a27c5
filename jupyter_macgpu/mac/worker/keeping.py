"""The names that callbacks read after their cell has ended.

The cells' namespace is emptied at each run, so that no cell reads a stale copy. A callback of a
widget is called later, and its globals are that namespace. So what callbacks read is kept while
their widgets live, and nothing else: a progress bar that is still shown keeps no model alive.
"""

from __future__ import annotations

import dis
import gc
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType, MethodType, ModuleType, TracebackType
from typing import Any

#: Objects that are looked at before a run at most.
_MOST = 100_000
_READS = {"LOAD_GLOBAL", "LOAD_NAME"}
#: What holds no callback, or holds everything.
_SKIPPED = (str, bytes, int, float, complex, type(None), ModuleType, CodeType, FrameType)


class Keeping:
    """Names and values that outlive their run. On the main thread."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}

    def keep(self, namespace: dict[str, Any], roots: Iterable[object]) -> None:
        """Keep what callbacks read, before the namespace is emptied.

        Parameters
        ----------
        roots
            What callbacks hang on. A name that they read has the newest value that it had.
        """
        known = self._values | namespace
        read = names_read_by(functions_in(roots, namespace), namespace, known)
        self._values = {name: known[name] for name in read if name in known}

    def lend(self, namespace: dict[str, Any]) -> None:
        """Bind what callbacks read and the last run did not leave."""
        for name, value in self._values.items():
            namespace.setdefault(name, value)


@contextmanager
def lent(namespace: dict[str, Any], values: dict[str, object]) -> Iterator[None]:
    """Bind what a namespace lacks, for a while; what is bound otherwise meanwhile stays."""
    missing = {name: value for name, value in values.items() if name not in namespace}
    namespace.update(missing)
    try:
        yield
    finally:
        for name, value in missing.items():
            if namespace.get(name) is value:
                del namespace[name]


def functions_in(roots: Iterable[object], namespace: dict[str, Any]) -> list[FunctionType]:
    """Return the cells' own functions that can be reached from `roots`."""
    found: list[FunctionType] = []
    seen, todo = {id(namespace)}, list(roots)
    while todo and len(seen) < _MOST:
        each = todo.pop()
        # By its true type: what stands for another object may claim anything.
        if issubclass(type(each), _SKIPPED) or id(each) in seen:
            continue
        seen.add(id(each))
        if type(each) is FunctionType and each.__globals__ is namespace:
            found.append(each)
        todo += _held_by(each)
    return found


def _held_by(value: object) -> Iterable[Any]:
    kind = type(value)
    if kind is FunctionType:
        assert isinstance(value, FunctionType)
        # Not its globals: that is a whole module.
        closure = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        return [*closure, value.__defaults__, value.__kwdefaults__, value.__dict__]
    if kind is MethodType:
        assert isinstance(value, MethodType)
        return [value.__self__, value.__func__]
    if issubclass(kind, weakref.ref):
        return [value()]  # type: ignore[operator]
    if issubclass(kind, type):
        return list(vars(value).values()) if value.__module__ == "__main__" else ()
    return () if kind is TracebackType else gc.get_referents(value)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def names_read_by(
    functions: Iterable[FunctionType], namespace: dict[str, Any], known: dict[str, Any]
) -> set[str]:
    """Return the global names that functions read, and those that the functions they call read.

    Parameters
    ----------
    namespace
        What the functions' globals are.
    known
        The values of names, as far as there are any.
    """
    read: set[str] = set()
    codes = [function.__code__ for function in functions]
    while codes:
        code = codes.pop()
        codes += [const for const in code.co_consts if isinstance(const, CodeType)]
        for step in dis.get_instructions(code):
            if step.opname in _READS and step.argval not in read:
                read.add(step.argval)
                codes += _codes_of(known.get(step.argval), namespace)
    return read


def _codes_of(value: object, namespace: dict[str, Any]) -> Iterator[CodeType]:
    for each in vars(value).values() if isinstance(value, type) else (value,):
        if isinstance(each, FunctionType) and each.__globals__ is namespace:
            yield each.__code__
