"""Which reducer a type has, for everything that is not a package's own."""

from __future__ import annotations

import dataclasses
import functools
import types
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import cloudpickle

from .classes import reduce_class
from .functions import reduce_cell, reduce_code, reduce_function
from .instances import has_attributes, is_plain, reduce_instance, set_instance
from .modules import LazyImport, LazyModule, reduce_lazy_import, reduce_module
from .refusals import Unshippable, refusal, type_name
from .remote import RemoteValue, reduce_remote

if TYPE_CHECKING:
    from .graph import Encoder, Reducer


def reducer_for(cls: type) -> Reducer | None:
    """Return how objects of `cls` are reduced, or None for pickle's own way."""
    known: Reducer | None = _KNOWN.get(cls)
    if known is not None:
        return known
    if issubclass(cls, type):
        return reduce_class
    if issubclass(cls, types.ModuleType):
        return reduce_module
    if cls in cloudpickle.Pickler.dispatch_table:
        return None
    if issubclass(cls, weakref.ReferenceType):
        return _reduce_weakref
    if cls.__module__.partition(".")[0] == "tqdm" and hasattr(cls, "format_dict"):
        return _reduce_progress_bar
    if ("matplotlib.artist", "Artist") in ((b.__module__, b.__name__) for b in cls.__mro__):
        return _reduce_artist
    if is_plain(cls) and has_attributes(cls):
        return reduce_instance
    return _checked


def _checked(_encoder: Encoder, obj: Any) -> Any:
    """Leave it to pickle, but let the error carry the object that it is about."""
    if is_plain(type(obj)):
        try:
            return obj.__reduce_ex__(4)
        except TypeError as exc:
            raise Unshippable(obj, str(exc)) from exc
    return NotImplemented


def _reduce_function(encoder: Encoder, function: types.FunctionType) -> Any:
    if hasattr(function, "registry") and hasattr(function, "dispatch"):
        return _reduce_singledispatch(encoder, function)
    if hasattr(function, "_wrapped_by_lr_sched"):
        from .tensors import reduce_scheduled_step

        return reduce_scheduled_step(encoder, function)
    return reduce_function(encoder, function)


def _reduce_singledispatch(_encoder: Encoder, function: Any) -> Any:
    """Send a single-dispatch function as what was registered with it.

    Its closure holds a weak cache and a lock-like token that cannot travel.
    """
    default = function.registry[object]
    others = {cls: chosen for cls, chosen in function.registry.items() if cls is not object}
    return build_singledispatch, (default, others)


def build_singledispatch(default: Any, others: dict[type, Any]) -> Any:
    """Make a single-dispatch function."""
    function = functools.singledispatch(default)
    for cls, chosen in others.items():
        function.register(cls, chosen)
    return function


def _reduce_cached_property(_encoder: Encoder, prop: Any) -> Any:
    # Python 3.11 keeps a lock in it.
    return build_cached_property, (prop.func, prop.attrname)


def build_cached_property(function: Any, name: str | None) -> Any:
    """Make a cached property."""
    prop = functools.cached_property(function)
    if name is not None:
        prop.__set_name__(object, name)
    return prop


def _reduce_method(_encoder: Encoder, method: Any) -> Any:
    # Its attributes are copies of the function's, or none: it depends on who made it.
    return type(method), (method.__func__,), (vars(method), {}, None), None, None, set_instance


def _reduce_sentinel(_encoder: Encoder, _obj: Any, *, name: str) -> Any:
    return getattr, (dataclasses, name)


def _reduce_weakref(_encoder: Encoder, reference: Any) -> Any:
    target = reference()
    if target is None or type(reference) not in (weakref.ref, weakref.WeakMethod):
        raise Unshippable(reference, f"a {type_name(type(reference))} that refers to nothing")
    return type(reference), (target,)


def _reduce_artist(encoder: Encoder, artist: Any) -> Any:
    canvas = getattr(getattr(artist, "figure", None), "canvas", None)
    reason = refusal(type(canvas))
    if reason is not None:
        # The figure is drawn again in the browser whenever a part of it changes here.
        raise Unshippable(artist, f"its figure's canvas is a widget, and {reason}")
    return _checked(encoder, artist)


def _reduce_progress_bar(encoder: Encoder, bar: Any) -> Any:
    encoder.note("a tqdm bar travels as its last line: it is closed on the other side")
    return build_progress_bar, (bar.n, bar.total, str(bar.desc or ""))


class FinishedBar:
    """What a tqdm bar is on the other side: its numbers."""

    def __init__(self, n: float, total: float | None, desc: str) -> None:
        self.n, self.total, self.desc = n, total, desc

    def __repr__(self) -> str:
        return f"{self.desc or 'progress'}: {self.n}/{self.total if self.total else '?'}"

    def update(self, n: float = 1) -> None:
        """Count on."""
        self.n += n

    def close(self) -> None:
        """Do nothing: it is closed."""


def build_progress_bar(n: float, total: float | None, desc: str) -> FinishedBar:
    """Make what is left of a bar."""
    return FinishedBar(n, total, desc)


def _reduce_memoryview(_encoder: Encoder, view: memoryview) -> Any:
    raise Unshippable(view, "a memoryview is a window into another object: send that object")


_KNOWN: dict[type, Any] = {
    types.FunctionType: _reduce_function,
    types.CodeType: reduce_code,
    types.CellType: reduce_cell,
    types.ModuleType: reduce_module,
    LazyModule: reduce_module,
    LazyImport: reduce_lazy_import,
    RemoteValue: reduce_remote,
    functools.cached_property: _reduce_cached_property,
    staticmethod: _reduce_method,
    classmethod: _reduce_method,
    memoryview: _reduce_memoryview,
    type(dataclasses.MISSING): partial(_reduce_sentinel, name="MISSING"),
    type(dataclasses.KW_ONLY): partial(_reduce_sentinel, name="KW_ONLY"),
}
_FACTORY: Any = vars(dataclasses).get("_HAS_DEFAULT_FACTORY")
if _FACTORY is not None:
    _KNOWN[type(_FACTORY)] = partial(_reduce_sentinel, name="_HAS_DEFAULT_FACTORY")
