"""Functions of the notebook, by value and without their globals."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

from .naming import builder, importable
from .sources import names_used, reduce_code

if TYPE_CHECKING:
    from .graph import Decoder, Encoder

__all__ = ["reduce_cell", "reduce_code", "reduce_function"]

#: What a function holds besides its code and its globals.
STATE = (
    "__defaults__",
    "__kwdefaults__",
    "__annotations__",
    "__dict__",
    "__name__",
    "__qualname__",
    "__doc__",
    "__module__",
)


def reduce_function(encoder: Encoder, function: types.FunctionType) -> Any:
    """Send a function by name if it can be imported, else its source, cells and state.

    The cells are objects of the graph: closures that share a variable still share it
    on the other side.
    """
    if importable(function):
        return NotImplemented
    where = _home(encoder, function)
    code, cells = function.__code__, function.__closure__
    made_from = (code, where, function.__name__, cells)
    return build_function, made_from, function_state(function), None, None, set_function_state


def function_state(function: types.FunctionType) -> tuple[Any, ...]:
    """Return what a function holds, in the order of `STATE`."""
    values = (getattr(function, name) for name in STATE)
    # Asking for these two makes an empty dict where there was none.
    return tuple(None if value == {} else value for value in values)


@builder
def set_function_state(
    _decoder: Decoder | None, function: types.FunctionType, state: tuple[Any, ...]
) -> None:
    """Give a function what it holds."""
    for name, value in zip(STATE, state, strict=True):
        if value is None and name in ("__annotations__", "__dict__"):
            value = {}
        setattr(function, name, value)


@builder
def build_function(
    decoder: Decoder,
    code: types.CodeType,
    home: str | dict[str, Any] | None,
    name: str,
    cells: tuple[types.CellType, ...] | None,
) -> types.FunctionType:
    """Make a function on this side's namespace, without its state."""
    if home is None:
        namespace = decoder.namespace
    elif isinstance(home, str):
        __import__(home)
        namespace = vars(sys.modules[home])
    else:
        namespace = home
    function = types.FunctionType(code, namespace, name, None, cells)
    decoder.made.add(id(function))
    return function


def reduce_cell(_encoder: Encoder, cell: types.CellType) -> tuple[Any, ...]:
    """Send a closure's variable."""
    return build_cell, (), cell_state(cell), None, None, set_cell


def cell_state(cell: types.CellType) -> tuple[object, ...]:
    """Return the value of a closure's variable: one element, or none."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def build_cell() -> types.CellType:
    """Make a closure's variable, unbound."""
    return types.CellType()


def set_cell(cell: types.CellType, state: tuple[object, ...]) -> None:
    """Bind a closure's variable, or unbind it."""
    if state:
        cell.cell_contents = state[0]
    else:
        del cell.cell_contents


def _home(encoder: Encoder, function: types.FunctionType) -> str | dict[str, Any] | None:
    """Where the globals of a function are: None is the session namespace."""
    home = function.__globals__
    names, attributes = names_used(function.__code__)
    if home is encoder.namespace:
        encoder.reads(names, attributes)
        return None
    module = sys.modules.get(home.get("__name__", ""))
    if module is not None and module.__name__ != "__main__" and vars(module) is home:
        return module.__name__
    # A namespace of its own, made by exec. Only what the function reads of it travels;
    # one dict for all functions that share it.
    homes = encoder.scratch.setdefault("homes", {})
    copy: dict[str, Any] = homes.setdefault(id(home), {"__name__": home.get("__name__", "")})
    copy.update({name: home[name] for name in names if name in home})
    return copy
