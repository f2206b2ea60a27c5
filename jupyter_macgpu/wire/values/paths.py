"""Where in a value an object hangs, and whether one value holds another."""

from __future__ import annotations

import gc
import types
from collections import deque
from collections.abc import Iterator

#: Objects looked at before giving up: an error message is not worth minutes.
_MOST = 200_000
_NOT_ENTERED = (types.ModuleType, type, types.BuiltinFunctionType, str, bytes, int, float)


def path_to(value: object, target: object, name: str) -> str:
    """Write the way from a value to an object in it, such as ``model.lock``.

    Returns `name` alone where there is no way that Python code could go.
    """
    queue: deque[tuple[object, str]] = deque([(value, name)])
    seen = {id(value)}
    while queue and len(seen) < _MOST:
        holder, way = queue.popleft()
        if holder is target:
            return way
        for step, held in _steps(holder):
            if id(held) not in seen:
                seen.add(id(held))
                queue.append((held, way + step))
    return name


def reaches(value: object, targets: set[int]) -> bool:
    """Say whether a value holds one of some objects, given by id, at any depth."""
    stack = [value]
    seen = {id(value)}
    while stack and len(seen) < _MOST:
        holder = stack.pop()
        if id(holder) in targets:
            return True
        for held in _held(holder):
            if id(held) not in seen:
                seen.add(id(held))
                stack.append(held)
    return False


def _held(holder: object) -> Iterator[object]:
    if isinstance(holder, _NOT_ENTERED):
        return
    if isinstance(holder, types.FunctionType):
        yield from holder.__closure__ or ()
        yield from holder.__defaults__ or ()
        yield vars(holder)
        return
    yield from gc.get_referents(holder)
    # Memory that the collector does not see: a tensor's storage, an array's base.
    storage = getattr(type(holder), "untyped_storage", None)
    if storage is not None:
        yield storage(holder)


def _steps(holder: object) -> Iterator[tuple[str, object]]:
    if isinstance(holder, _NOT_ENTERED):
        return
    if isinstance(holder, dict):
        for key, value in list(holder.items()):
            yield f"[{key!r}]" if isinstance(key, (str, int)) else "[...]", value
            yield ".keys()", key
    elif isinstance(holder, (list, tuple, deque)):
        for index, item in enumerate(holder):
            yield f"[{index}]", item
    elif isinstance(holder, (set, frozenset)):
        for item in holder:
            yield ".pop()", item
    elif isinstance(holder, types.FunctionType):
        for variable, cell in zip(
            holder.__code__.co_freevars, holder.__closure__ or (), strict=False
        ):
            if cell_has_value(cell):
                yield f".<{variable}>", cell.cell_contents
    yield from ((f".{k}", v) for k, v in list(getattr(holder, "__dict__", {}).items()))
    for slot in getattr(type(holder), "__slots__", ()):
        if isinstance(slot, str) and hasattr(holder, slot):
            yield f".{slot}", getattr(holder, slot)


def cell_has_value(cell: types.CellType) -> bool:
    """Say whether a closure's variable is bound."""
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
