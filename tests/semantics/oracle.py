"""Whether two notebooks are in the same state: values, types and which is which."""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import torch

from jupyter_macgpu.wire.values.names import is_hidden

from .runner import Notebook

#: Values without an identity that a program should rely on.
_ATOMS = (int, float, complex, str, bytes, type(None), type(Ellipsis), types.ModuleType)
_NOT_COMPARED = {
    "__dict__", "__weakref__", "__module__", "__doc__", "_abc_impl", "__firstlineno__",
    "__static_attributes__", "__slotnames__", "__annotations_cache__", "__annotate_func__",
}  # fmt: skip


def differences(left: Notebook, right: Notebook) -> list[str]:
    """Return what is not the same in two notebooks, a line each."""
    comparison = _Comparison(left, right)
    names = [{n: v for n, v in nb.names.items() if not is_hidden(n)} for nb in (left, right)]
    if names[0].keys() != names[1].keys():
        return [f"names: {sorted(names[0].keys() ^ names[1].keys())}"]
    for name in names[0]:
        comparison.compare(names[0][name], names[1][name], name)
    return comparison.found + comparison.memory()


class _Comparison:
    """Walks two graphs side by side."""

    def __init__(self, left: Notebook, right: Notebook) -> None:
        self.found: list[str] = []
        self._namespaces = (left.names, right.names)
        self._pairs: dict[int, int] = {}
        self._back: dict[int, int] = {}
        self._alive: list[object] = []
        self._arrays: list[tuple[str, Any, Any]] = []

    def compare(self, left: Any, right: Any, way: str) -> None:
        if isinstance(left, _ATOMS) and not isinstance(left, types.ModuleType):
            self._check(type(left) is type(right) and repr(left) == repr(right), left, right, way)
            return
        if isinstance(left, types.ModuleType):
            self._check(left is right, left, right, way)
            return
        if self._seen(left, right, way):
            return
        if type(left).__qualname__ != type(right).__qualname__:
            self._check(False, type(left), type(right), way)
            return
        if isinstance(left, type) and left.__module__ != "__main__":
            self._check(left is right, left, right, way)
            return
        if type(left).__module__ == "__main__":
            self.compare(type(left), type(right), f"type({way})")
        self._contents(left, right, way)

    def memory(self) -> list[str]:
        """Compare which arrays share memory."""
        return [
            f"{one[0]} and {two[0]} share memory on one side only"
            for one, two in combinations(self._arrays, 2)
            if np.shares_memory(one[1], two[1]) != np.shares_memory(one[2], two[2])
        ]

    def _seen(self, left: object, right: object, way: str) -> bool:
        """Pair two objects; say whether they were paired before."""
        if isinstance(left, (tuple, frozenset)):
            # Constants and empty ones may be one object or two: only what they hold counts.
            return False
        known = id(left) in self._pairs or id(right) in self._back
        if known:
            same = self._pairs.get(id(left)) == id(right) and self._back.get(id(right)) == id(left)
            self._check(same, "one object", "another object", way)
            return True
        self._pairs[id(left)], self._back[id(right)] = id(right), id(left)
        self._alive += [left, right]
        return False

    def _contents(self, left: Any, right: Any, way: str) -> None:
        if isinstance(left, np.ndarray):
            self._check(left.dtype == right.dtype and left.shape == right.shape, left, right, way)
            self.compare(left.tolist(), right.tolist(), f"{way}.tolist()")
            self._arrays.append((way, left, right))
        elif isinstance(left, torch.Tensor):
            self._tensors(left, right, way)
        else:
            pieces = list(_pieces(left, self._namespaces[0]))
            others = list(_pieces(right, self._namespaces[1]))
            steps = [step for step, _ in pieces], [step for step, _ in others]
            if steps[0] != steps[1]:
                self._check(False, steps[0], steps[1], way)
                return
            for (step, one), (_, two) in zip(pieces, others, strict=True):
                self.compare(one, two, way + step)

    def _tensors(self, left: Any, right: Any, way: str) -> None:
        self._check(type(left) is type(right) and left.dtype == right.dtype, left, right, way)
        self.compare(left.tolist(), right.tolist(), f"{way}.tolist()")
        if left.is_leaf:
            self._check(left.requires_grad == right.requires_grad, left, right, way)
            self.compare(left.grad, right.grad, f"{way}.grad")
        self._arrays.append((way, left.detach().numpy(), right.detach().numpy()))

    def _check(self, same: bool, left: object, right: object, way: str) -> None:
        if not same:
            self.found.append(f"{way}: at home {left!r:.200}, with the worker {right!r:.200}")


def _pieces(value: Any, namespace: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a value holds, with the step that leads to it."""
    if isinstance(value, dict):
        for number, (key, held) in enumerate(value.items()):
            yield f".key{number}", key
            yield f"[{key!r:.40}]" if isinstance(key, (int, str)) else f".value{number}", held
    elif isinstance(value, (list, tuple, collections.deque, bytearray)):
        yield from ((f"[{number}]", item) for number, item in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from (("{...}", item) for item in sorted(value, key=repr))
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value, namespace)
    elif isinstance(value, types.MethodType):
        yield from [(".__func__", value.__func__), (".__self__", value.__self__)]
    elif isinstance(value, functools.partial):
        yield from [(".func", value.func), (".args", value.args), (".keywords", value.keywords)]
    elif isinstance(value, (property, classmethod, staticmethod)):
        yield ".function", getattr(value, "fget", None) or getattr(value, "__func__", None)
    elif isinstance(value, type):
        held = {k: v for k, v in vars(value).items() if k not in _NOT_COMPARED}
        yield from ((f".{name}", held[name]) for name in sorted(held))
        yield ".__bases__", value.__bases__
    yield from _attributes(value)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, type):
        return
    if hasattr(value, "__dict__"):
        yield from ((f".{name}", held) for name, held in vars(value).items())
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if base.__module__ == "__main__" and hasattr(value, slot):
                yield f".{slot}", getattr(value, slot)


def _of_function(value: types.FunctionType, namespace: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if value.__module__ != "__main__" or "_wrapped_by_lr_sched" in vars(value):
        return
    yield ".__code__", _code(value.__code__)
    yield ".home", value.__globals__ is namespace
    yield ".__defaults__", value.__defaults__
    yield ".__kwdefaults__", value.__kwdefaults__
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        yield f".<{name}>", cell.cell_contents


def _code(code: types.CodeType) -> tuple[Any, ...]:
    consts = tuple(_code(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.co_qualname, code.co_code, consts, code.co_names, code.co_firstlineno
