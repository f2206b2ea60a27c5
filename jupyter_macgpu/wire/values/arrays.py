"""numpy arrays: memory out of band, views kept as views, changes copied into place."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .opaque import CannotUpdate
from .parts import PARTS, Part

if TYPE_CHECKING:
    from .graph import Encoder

#: Compared and copied in pieces that stay in the processor's cache.
_PIECE = 1 << 20


def reducer_for(cls: type) -> Any:
    """Return the reducer of a numpy type, or None for pickle's own way."""
    return reduce_array if cls is np.ndarray else None


def parts_for(cls: type) -> tuple[Part, ...] | None:
    """Return what can change in a numpy object, or None to ask the object."""
    if cls is np.ndarray:
        return (ARRAY,)
    return () if issubclass(cls, (np.generic, np.dtype, np.ufunc)) else None


def reduce_array(encoder: Encoder, array: Any) -> Any:
    """Send an array's memory, or where in another array's memory it is.

    An array alone is sent without the rest of the array that it is a view of. Only
    where several views of one memory are among the values is the memory sent, once.
    """
    if array.dtype == object:
        items = list(array.ravel())
        return build_object_array, (array.shape,), items, None, None, set_object_array
    if array.dtype.hasobject or array.dtype.kind == "T":
        return NotImplemented
    root = root_of(array)
    if root is not array:
        shared = encoder.scratch.get("shared", frozenset())
        if id(root) in shared or id(root) in encoder.known:
            offset = _address(array) - _address(root)
            window = (array.dtype, offset, array.shape, array.strides)
            return build_view, (root, *window, array.flags.writeable)
    roots = encoder.scratch.setdefault("roots", {})
    roots.setdefault(id(root), set()).add(id(array))
    # Keeps the ids above from being given to other objects.
    encoder.scratch.setdefault("alive", []).append((root, array))
    order, memory = raw(array)
    strided = not (array.flags.c_contiguous or array.flags.f_contiguous)
    made_from = (array.dtype, array.shape, order, array.flags.writeable, strided)
    return build_array, (pickle.PickleBuffer(memory), *made_from)


def build_array(
    memory: Any, dtype: Any, shape: tuple[int, ...], order: str, writeable: bool, strided: bool
) -> Any:
    """Make an array on received memory."""
    make: Any = np.ndarray
    array = make(shape, dtype, memory, order=order)
    if strided:
        # At home its elements lie apart. A view that is made of it here cannot be
        # described in that memory: give it another root, so that it travels as a copy.
        array = array[...]
    if not writeable:
        array.flags.writeable = False
    return array


def build_view(
    root: Any,
    dtype: Any,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    writeable: bool,
) -> Any:
    """Make a view of an array."""
    memory = root if root.flags.c_contiguous else root.T
    view: Any = np.ndarray(shape, dtype, memory, offset, strides)
    if not writeable:
        view.flags.writeable = False
    return view


def build_object_array(shape: tuple[int, ...]) -> Any:
    """Make an array of objects, to be filled."""
    return np.empty(shape, object)


def set_object_array(array: Any, items: list[Any]) -> None:
    """Fill an array of objects, in C order."""
    for position, item in zip(np.ndindex(array.shape), items, strict=True):
        array[position] = item


def root_of(array: Any) -> Any:
    """Return the array whose memory this one is a view of, or itself."""
    while type(array.base) is np.ndarray:
        array = array.base
    return array


def raw(array: Any) -> tuple[str, Any]:
    """Return memory order and the bytes of an array, without a copy if they lie together."""
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return "F", _flat_bytes(array.T)
    return "C", _flat_bytes(np.ascontiguousarray(array))


def same_bytes(now: Any, before: Any) -> bool:
    """Say whether two flat byte arrays are equal, at the speed of memory."""
    left, right = memoryview(now), memoryview(before)
    return len(left) == len(right) and all(
        left[start : start + _PIECE].tobytes() == right[start : start + _PIECE].tobytes()
        for start in range(0, len(left), _PIECE)
    )


class _ArrayContent:
    """Type, shape and bytes of an array; the elements of an array of objects."""

    code = "numpy.array"

    def snapshot(self, obj: Any) -> Any:
        content = list(obj.ravel()) if obj.dtype.hasobject else bytes(memoryview(raw(obj)[1]))
        return obj.dtype, obj.shape, obj.strides, content

    def changed(self, obj: Any, before: Any) -> bool:
        *form, content = before
        if form != [obj.dtype, obj.shape, obj.strides]:
            return True
        if obj.dtype.hasobject:
            return any(a is not b for a, b in zip(obj.ravel(), content, strict=True))
        return not same_bytes(raw(obj)[1], content)

    def elements(self, obj: Any) -> Iterable[object]:
        return obj.ravel() if obj.dtype.hasobject else ()

    def export(self, obj: Any, before: Any) -> Any:
        if before[:2] != (obj.dtype, obj.shape):
            raise CannotUpdate
        if obj.dtype.hasobject:
            return "", list(obj.ravel())
        order, memory = raw(obj)
        return order, pickle.PickleBuffer(memory)

    def restore(self, obj: Any, state: Any) -> None:
        order, content = state
        if obj.dtype.hasobject:
            set_object_array(obj, content)
        else:
            np.copyto(obj, build_array(content, obj.dtype, obj.shape, order, True, False))


ARRAY = _ArrayContent()
PARTS[ARRAY.code] = ARRAY


def _flat_bytes(array: Any) -> Any:
    return array.reshape(-1).view(np.uint8) if array.size else np.empty(0, np.uint8)


def _address(array: Any) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
