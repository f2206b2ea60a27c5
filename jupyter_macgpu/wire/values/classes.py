"""Classes of the notebook, by value, with one identity in all processes.

A class gets an id when it first travels. The notebook's class is the truth: a stream
from the notebook brings the worker's class into step, a stream from the worker never
changes a class that exists in the notebook. A class that is defined again is another
class with another id; instances of the old one keep the old one, as at home.
"""

from __future__ import annotations

import abc
import enum
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cloudpickle

from .naming import builder, importable

if TYPE_CHECKING:
    from .graph import Decoder, Encoder

#: The registered subclasses of an ABC; there is no public way to them.
_REGISTRY: Any = abc._get_dump  # type: ignore[attr-defined]

#: Made by Python for each class, or given when the class is made.
_NOT_STATE = {"__dict__", "__weakref__", "__slots__", "__module__", "_abc_impl", "__slotnames__"}
#: What `EnumType` makes from the members.
_ENUM_STATE = {"_member_names_", "_member_map_", "_value2member_map_", "_member_type_"}
_ENUM_STATE |= {"_generate_next_value_", "_new_member_", "_use_args_", "_unhashable_values_"}
_ENUM_STATE |= {"_hashable_values_", "_unhashable_values_map_", "__new__", "_singles_mask_"}
_ENUM_STATE |= {"_all_bits_", "_flag_mask_", "_inverted_", "_boundary_", "_value_repr_"}


def reduce_class(encoder: Encoder, cls: type) -> Any:
    """Send a class by name if it can be imported, else whole."""
    if cls.__module__ == "builtins" or importable(cls):
        # It also knows those that have no name of their own: type(None), type(f).
        return cloudpickle.Pickler.reducer_override(encoder, cls)
    members = None
    if issubclass(cls, enum.Enum):
        members = {name: member._value_ for name, member in cls.__members__.items()}
    given = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    given |= {k: vars(cls)[k] for k in ("__slots__", "__orig_bases__") if k in vars(cls)}
    made_from = (type(cls), cls.__name__, cls.__bases__, given, members)
    state = (class_state(cls), _virtual_subclasses(cls))
    args = (encoder.classes.id_of(cls), *made_from)
    return build_class, args, state, None, None, set_class_state


def class_state(cls: type) -> dict[str, Any]:
    """Return what a class holds, without what comes with its making."""
    left_out = set(_NOT_STATE)
    slots = vars(cls).get("__slots__", ())
    left_out.update((slots,) if isinstance(slots, str) else slots)
    left_out.update(
        name for name, value in vars(cls).items() if type(value) is types.MemberDescriptorType
    )
    if issubclass(cls, enum.Enum):
        left_out.update(_ENUM_STATE, cls.__members__)
    return {name: value for name, value in vars(cls).items() if name not in left_out}


@builder
def build_class(
    decoder: Decoder,
    class_id: str,
    metaclass: type,
    name: str,
    bases: tuple[type, ...],
    given: dict[str, Any],
    members: dict[str, Any] | None,
) -> type:
    """Return the class with an id, made without its attributes if it is new here."""
    known = decoder.classes.find(class_id)
    if known is None:
        make = _make_class if members is None else _make_enum
        known = make(metaclass, name, bases, given, members or {})
        decoder.classes.add(known, class_id)
        decoder.scratch.setdefault("new_classes", set()).add(id(known))
    decoder.made.add(id(known))
    return known


@builder
def set_class_state(
    decoder: Decoder, cls: type, state: tuple[dict[str, Any], tuple[type, ...]]
) -> None:
    """Give a new class its attributes, and on the worker a known one the notebook's."""
    new = id(cls) in decoder.scratch.get("new_classes", ())
    if not new and not decoder.on_worker:
        return
    attributes, virtual = state
    stale = class_state(cls).keys() - attributes.keys()
    set_class_attributes(cls, attributes, [] if new else sorted(stale))
    for subclass in virtual:
        cls.register(subclass)  # type: ignore[attr-defined]


def set_class_attributes(cls: type, attributes: dict[str, Any], removed: list[str]) -> None:
    """Set and delete attributes past what the metaclass may do about it."""
    for name, value in attributes.items():
        if vars(cls).get(name, _NOT_STATE) is not value:
            type.__setattr__(cls, name, value)
    for name in removed:
        if name in vars(cls):
            type.__delattr__(cls, name)


def _make_class(
    metaclass: type, name: str, bases: tuple[type, ...], given: dict[str, Any], _: dict[str, Any]
) -> type:
    # Code of the notebook ran when the class was defined and must not run again:
    # neither a metaclass of the notebook nor an `__init_subclass__`.
    maker: Any = next(m for m in metaclass.__mro__ if m.__module__ != "__main__")
    with _quiet_init_subclass(bases):
        made: type = maker.__new__(metaclass, name, bases, dict(given))
    return made


def _make_enum(
    metaclass: Any,
    name: str,
    bases: tuple[type, ...],
    given: dict[str, Any],
    members: dict[str, Any],
) -> type:
    body = metaclass.__prepare__(name, bases)
    body.update({k: v for k, v in given.items() if k != "__slots__"})
    for member, value in members.items():
        body[member] = value
    made: type = metaclass.__new__(metaclass, name, bases, body)
    return made


@contextmanager
def _quiet_init_subclass(bases: tuple[type, ...]) -> Iterator[None]:
    hooks = {
        parent: vars(parent)["__init_subclass__"]
        for base in bases
        for parent in base.__mro__
        if parent.__module__ == "__main__" and "__init_subclass__" in vars(parent)
    }
    for parent in hooks:
        type.__setattr__(parent, "__init_subclass__", classmethod(lambda _cls, **_kwargs: None))
    try:
        yield
    finally:
        for parent, hook in hooks.items():
            type.__setattr__(parent, "__init_subclass__", hook)


def _virtual_subclasses(cls: type) -> tuple[type, ...]:
    if not isinstance(cls, abc.ABCMeta):
        return ()
    registry = _REGISTRY(cls)[0]
    return tuple(found for found in (reference() for reference in registry) if found is not None)
