"""Which names of a namespace are the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping

_HIDDEN = {
    "In", "Out", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "_exit_code",
    "get_ipython", "exit", "quit", "open", "display",
    "__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__",
    "__builtin__", "__builtins__", "__annotations__", "__warningregistry__", "__session__",
    "__vsc_ipynb_file__",
}  # fmt: skip
_RESULT = re.compile(r"_{1,3}|_[0-9]+")
_NUMBERED = re.compile(r"_i?[0-9]+")


def is_hidden(name: str) -> bool:
    """Say whether a name belongs to IPython or to the module, not to the user.

    Hidden names are inputs only where they are asked for, and never outputs.
    """
    return name in _HIDDEN or (name[:1] == "_" and _NUMBERED.fullmatch(name) is not None)


def is_result(name: str) -> bool:
    """Say whether a name is one of IPython's for an earlier result: `_`, `__`, `_5`.

    They ship their value where a cell's text names them.
    """
    return name[:1] == "_" and _RESULT.fullmatch(name) is not None


def user_names(namespace: Mapping[str, object]) -> dict[str, object]:
    """Return what the user has bound, in the order of binding."""
    return {name: value for name, value in list(namespace.items()) if not is_hidden(name)}
