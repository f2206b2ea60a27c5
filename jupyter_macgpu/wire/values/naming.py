"""What is named to the other side instead of being sent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import cloudpickle

#: Which module here knows the types of a third-party package. It is imported when a
#: value of one turns up, so that nothing is imported for packages that nobody uses.
LIBRARIES = {"numpy": "arrays", "torch": "tensors", "mlx": "mlxarrays", "pandas": "frames"}

F = TypeVar("F", bound=Callable[..., Any])


def builder(function: F) -> F:
    """Mark a function that a stream names and that takes the decoder first."""
    function.takes_decoder = True  # type: ignore[attr-defined]
    return function


def importable(obj: Any) -> tuple[str, str] | None:
    """Return (module, qualified name) where a function or class can be imported, if it can.

    Nothing of ``__main__`` can: it is another module on the other side.
    """
    module_name = getattr(obj, "__module__", None)
    qualname = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    if not isinstance(module_name, str) or not isinstance(qualname, str):
        return None
    if module_name == "__main__" or module_name in cloudpickle.list_registry_pickle_by_value():
        return None
    found: Any = sys.modules.get(module_name)
    for step in qualname.split("."):
        found = getattr(found, step, None)
    return (module_name, qualname) if found is obj else None
