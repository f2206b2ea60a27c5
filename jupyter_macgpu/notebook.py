"""Which notebook this kernel belongs to, and which cell is running."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def running_shell() -> InteractiveShell | None:
    """Return the shell of this process, if it is a notebook's or a console's."""
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    return get_ipython()


def notebook_name(shell: InteractiveShell) -> str:
    """Return the notebook's path as its front end gives it; ``""`` where none does.

    Jupyter's server names it in ``JPY_SESSION_NAME``, VS Code in a variable of the
    namespace. It outlives the kernel, and so ties a new kernel to the runs of the old.
    """
    if name := os.environ.get("JPY_SESSION_NAME", ""):
        return name
    return str(shell.user_ns.get("__vsc_ipynb_file__", ""))


def kernel_id(shell: InteractiveShell) -> str:
    """Return the kernel's id from its connection file; ``""`` without one."""
    kernel = getattr(shell, "kernel", None)
    path = str(getattr(getattr(kernel, "parent", None), "connection_file", ""))
    return os.path.basename(path).removeprefix("kernel-").removesuffix(".json")  # noqa: PTH119 (each cell)


def asked_by_front_end(shell: InteractiveShell) -> bool:
    """Say whether the front end runs something of its own now, such as a variable inspector.

    It asks for no place in the history; what a user types has one.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return False
    parent = kernel.get_parent() or {}
    content = parent.get("content") or {}
    is_request = (parent.get("header") or {}).get("msg_type") == "execute_request"
    return is_request and (bool(content.get("silent")) or not content.get("store_history", True))


def request_id(shell: InteractiveShell) -> str:
    """Return the id of the front end's request that is being done; ``""`` without a kernel."""
    kernel = getattr(shell, "kernel", None)
    parent: Any = {} if kernel is None else kernel.get_parent("shell")
    return str((parent.get("header") or {}).get("msg_id", ""))


def is_typed_bare(shell: InteractiveShell) -> bool:
    """Say whether the cell that runs has no magic of its own: its front end put the line there.

    The panel says so of a cell that it hands in, so that its lines are counted as they stand.
    """
    kernel = getattr(shell, "kernel", None)
    parent: Any = {} if kernel is None else kernel.get_parent("shell")
    return (parent.get("metadata") or {}).get("macgpuBare") is True


def is_asked_now(request: str) -> bool:
    """Say whether a request, by its id, is the one that is being done."""
    shell = running_shell()
    return request == ("" if shell is None else request_id(shell))


def somebody_looks(shell: InteractiveShell) -> bool:
    """Say whether whoever asked for this cell could answer `input()`: a person, not a program.

    nbclient and papermill cannot; Jupyter's front ends and VS Code can.
    """
    kernel = getattr(shell, "kernel", None)
    content = ((kernel.get_parent() if kernel is not None else None) or {}).get("content") or {}
    return bool(content.get("allow_stdin", kernel is not None))


class RunningCell:
    """Remembers the id of the cell that is running, from IPython's own events."""

    def __init__(self) -> None:
        self.cell = ""

    def began(self, info: Any) -> None:
        """Note a cell. Called by IPython before each one."""
        self.cell = str(getattr(info, "cell_id", None) or "")
