"""Instances whose class does not say how to pickle them: attributes and items.

The instance's own ``__dict__`` is an object of the graph on both sides, so that
``vars(x)`` held elsewhere stays the same dict, and a changed attribute is a changed
dict. Items of list and dict subclasses are set by the base type's methods: code of
the class must not run because a value travelled.
"""

from __future__ import annotations

import copyreg
import sys
import types
from typing import TYPE_CHECKING, Any

from .naming import builder

if TYPE_CHECKING:
    from .graph import Decoder, Encoder

NO_SLOT = object()
# Typed loosely: mypy holds that a method of a subclass can never be the base's.
_REDUCE_EX: Any = object.__reduce_ex__
_REDUCE: Any = object.__reduce__


def is_plain(cls: type) -> bool:
    """Say whether instances of `cls` are just their attributes and items."""
    return (
        getattr(cls, "__reduce_ex__", None) is _REDUCE_EX
        and getattr(cls, "__reduce__", None) is _REDUCE
        and cls not in copyreg.dispatch_table
        and _getstate(cls) in _plain_getstates()
        and not issubclass(cls, type)
    )


def has_attributes(cls: type) -> bool:
    """Say whether instances of `cls` can hold attributes."""
    return bool(cls.__dictoffset__) or bool(slot_names(cls))


def slot_names(cls: type) -> list[str]:
    """Return the slots of a class and its bases."""
    names: list[str] = copyreg._slotnames(cls)  # type: ignore[attr-defined]
    return names


def reduce_instance(_encoder: Encoder, obj: Any) -> Any:
    """Send an instance as its class, its real ``__dict__``, its slots and its items."""
    make, args, *_ = obj.__reduce_ex__(4)  # raises TypeError for what C keeps to itself
    attributes = getattr(obj, "__dict__", None)
    items: list[Any] | dict[Any, Any] | None = None
    if isinstance(obj, dict):
        items = dict(dict.items(obj))
    elif isinstance(obj, list):
        items = list(list.__iter__(obj))
    return make, args, (attributes, slot_values(obj), items), None, None, set_instance


def slot_values(obj: object) -> dict[str, Any]:
    """Return the slots that are set."""
    values = ((name, getattr(obj, name, NO_SLOT)) for name in slot_names(type(obj)))
    return {name: value for name, value in values if value is not NO_SLOT}


@builder
def set_instance(
    _decoder: Decoder,
    obj: Any,
    state: tuple[dict[str, Any] | None, dict[str, Any], Any],
) -> None:
    """Give a new instance its items, slots and ``__dict__``."""
    attributes, slots, items = state
    if isinstance(obj, list) and items:
        list.extend(obj, items)
    elif isinstance(obj, dict) and items:
        dict.update(obj, items)
    if hasattr(type(obj), "__setstate__") and (attributes or slots):
        obj.__setstate__((attributes, slots) if slots else attributes)
        if attributes is not None and vars(obj) is not attributes:
            adopted = dict(vars(obj))
            attributes.clear()
            attributes.update(adopted)
    else:
        set_slots(obj, slots)
    if attributes is not None:
        set_dict(obj, attributes)


def set_slots(obj: object, slots: dict[str, Any]) -> None:
    """Set slots, past a ``__setattr__`` of the class."""
    for name, value in slots.items():
        object.__setattr__(obj, name, value)


def set_dict(obj: Any, attributes: dict[str, Any]) -> None:
    """Make `attributes` the ``__dict__`` of `obj`, past a ``__setattr__`` of its class."""
    try:
        object.__setattr__(obj, "__dict__", attributes)
    except (AttributeError, TypeError):
        vars(obj).clear()
        vars(obj).update(attributes)


def _getstate(cls: type) -> object:
    return getattr(cls, "__getstate__", None)


def _plain_getstates() -> list[object]:
    """Return the ``__getstate__`` methods that give nothing but ``__dict__``.

    PyTorch's two leave out what only their own pickling cannot handle.
    """
    plain: list[object] = [object.__getstate__]
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "optim"):
        plain += [torch.nn.Module.__getstate__, torch.optim.Optimizer.__getstate__]
    return plain


def is_record(cls: type) -> bool:
    """Say whether the attributes of instances of `cls` are all there is to compare."""
    return is_plain(cls) and has_attributes(cls) and not issubclass(cls, types.ModuleType)
