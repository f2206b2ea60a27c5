"""Modules and imported names travel by name, and are imported when first touched.

The first line of every second cell is an import. Bringing that import home eagerly
would cost the notebook a second of its own, or fail where the package is missing.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from .naming import builder, importable

if TYPE_CHECKING:
    from .graph import Decoder, Encoder


def _not_here(name: str, host: str, exc: ImportError) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"{name} cannot be imported here ({exc}). It was imported on {host}: "
        f"use it in a %%macgpu cell, or install it here.",
        name=name,
    )


class LazyModule(types.ModuleType):
    """A module that the other side imported and this one has not, yet."""

    def __init__(self, name: str, submodules: tuple[str, ...], host: str) -> None:
        super().__init__(name)
        self.__dict__["_macgpu_lazy"] = (name, submodules, host)

    def __getattr__(self, attribute: str) -> Any:
        # IPython and inspect ask every object such questions: they are no use of it.
        if attribute.startswith(("_repr_", "_ipython_")) or attribute == "__wrapped__":
            raise AttributeError(attribute)
        return getattr(self._imported(), attribute)

    def __dir__(self) -> list[str]:
        return dir(self._imported())

    def __repr__(self) -> str:
        name, _, host = self.__dict__["_macgpu_lazy"]
        return f"<module {name!r} (imported on {host}; imported here when it is used)>"

    def _imported(self) -> types.ModuleType:
        name, submodules, host = self.__dict__["_macgpu_lazy"]
        try:
            return import_with(name, submodules)
        except ImportError as exc:
            raise _not_here(name, host, exc) from exc


class LazyImport:
    """A class or function that the other side imported by name."""

    def __init__(self, module: str, qualname: str, host: str) -> None:
        self._macgpu_lazy = (module, qualname, host)

    def _imported(self) -> Any:
        module, qualname, host = self._macgpu_lazy
        try:
            return find(module, qualname)
        except ImportError as exc:
            raise _not_here(module, host, exc) from exc

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith(("_repr_", "_ipython_")) or attribute == "__wrapped__":
            raise AttributeError(attribute)
        return getattr(self._imported(), attribute)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call what it stands for."""
        return self._imported()(*args, **kwargs)

    def __getitem__(self, item: Any) -> Any:
        return self._imported()[item]

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._imported(),)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._imported())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._imported())

    def __repr__(self) -> str:
        module, qualname, host = self._macgpu_lazy
        return f"<{module}.{qualname} (imported on {host}; imported here when it is used)>"


def reduce_module(encoder: Encoder, module: types.ModuleType) -> Any:
    """Send a module as its name and those of its submodules that the cell's code names."""
    if isinstance(module, LazyModule):
        name, submodules, _ = module.__dict__["_macgpu_lazy"]
        return build_module, (name, submodules)
    name = module.__name__
    if name != "__main__" and sys.modules.get(name) is not module:
        return NotImplemented  # made by hand: cloudpickle sends its contents
    encoder.scratch.setdefault("modules", set()).add(name)
    return build_module, (name, submodules_named(name, encoder.attribute_names))


def reduce_lazy_import(_encoder: Encoder, stand_in: LazyImport) -> Any:
    """Send a stand-in as the name that it stands for."""
    module, qualname, _ = stand_in._macgpu_lazy
    return build_import, (module, qualname)


@builder
def build_module(decoder: Decoder, name: str, submodules: tuple[str, ...]) -> types.ModuleType:
    """Return the module, or a stand-in where importing it would be new to this side."""
    if name in sys.modules or decoder.on_worker:
        try:
            return import_with(name, submodules)
        except ImportError:
            pass
    return LazyModule(name, submodules, decoder.host)


@builder
def build_import(decoder: Decoder, module: str, qualname: str) -> Any:
    """Return what a module holds by a name, or a stand-in."""
    if module in sys.modules or decoder.on_worker:
        try:
            return find(module, qualname)
        except (ImportError, AttributeError):
            pass
    return LazyImport(module, qualname, decoder.host)


def as_import(value: object) -> LazyImport | None:
    """Return a stand-in for a value that is the very thing a module holds by its name.

    `from torch.nn import Linear` binds such a value: it travels as that import.
    """
    if isinstance(value, LazyImport):
        return value
    found = importable(value) if callable(value) else None
    if found is None or found[0] == "builtins" or isinstance(value, types.MethodType):
        return None
    return LazyImport(*found, host="")


def submodules_named(name: str, attributes: set[str]) -> tuple[str, ...]:
    """Return the loaded submodules of a package that code with these attribute names can reach."""
    prefix = name + "."
    return tuple(
        sorted(
            loaded
            for loaded in list(sys.modules)
            if loaded.startswith(prefix) and set(loaded[len(prefix) :].split(".")) <= attributes
        )
    )


def import_with(name: str, submodules: tuple[str, ...]) -> types.ModuleType:
    """Import a module and some of its submodules."""
    module = importlib.import_module(name)
    for submodule in submodules:
        importlib.import_module(submodule)
    return module


def find(module: str, qualname: str) -> Any:
    """Import a module and return what it holds by a qualified name."""
    found: Any = importlib.import_module(module)
    for step in qualname.split("."):
        found = getattr(found, step)
    return found
