"""What a run's end means for the cell: its value, or the error that says what happened."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .wire.errors import RemoteError, RunCancelled, RunDied, RunLost, ShownError
from .wire.values.remote import format_size
from .words import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .way import Result

_MISSING = {"NameError", "UndefinedVariableError"}
#: What a magic line takes as it is.
_PLAIN = re.compile(r"[^\s'\"#-][^\s'\"]*")
_QUOTED = re.compile(r"'([A-Za-z_]\w*)'")
#: What Python says at last of a module or a file that is not there.
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_NO_FILE = re.compile(r"FileNotFoundError: \[Errno 2\] No such file or directory: '([^']+)'")
_MEMORY_SIGNALS = {"SIGKILL", "SIGABRT"}


def error_of(result: Result, shown: RemoteError | None) -> BaseException | None:
    """Return what the cell is to raise for a run's end, or None if it ended well.

    Parameters
    ----------
    shown
        The last error that the run itself showed, if nothing came after it.
    """
    if result.state == "ok":
        return None
    if result.state in ("died", "lost") or (result.state == "cancelled" and shown is None):
        return _ended_from_outside(result)
    if shown is not None:
        return shown
    error = result.summary.get("error") or {}
    ename, evalue = str(error.get("ename", "Error")), str(error.get("evalue", ""))
    return ShownError.rebuilt(ename, evalue, [])


def add_hint(error: BaseException, namespace: Mapping[str, Any], result: Result) -> None:
    """Say what the error itself does not: a limit that was reached, or how what is missing travels.

    A name that stands in a string only (``eval``, pandas' ``@limit``) is not seen in the
    cell's text.
    """
    if not isinstance(error, RemoteError):
        return
    if result.summary.get("stopping") == "timeout" and result.state == "cancelled":
        error.traceback.append(f"The run was stopped: {_late(result.summary)}.")
    missing = (result.summary.get("error") or {}).get("filename")
    if missing:
        error.traceback += file_hint(str(missing), result.host)
    if error.ename not in _MISSING:
        return
    found = _QUOTED.search(error.evalue)
    if found and found[1] in namespace:
        name = found[1]
        error.traceback.append(f"{name} exists in the notebook: add -i {name} to ship it.")


def file_hint(missing: str, host: str) -> list[str]:
    """Return a line about a file that a cell did not find, if there is one of that name here.

    Parameters
    ----------
    missing
        The path as the cell named it; a relative one means the notebook's working folder.
    """
    try:
        path = Path(missing)
        info = path.stat()
        known = stat.S_ISDIR(info.st_mode) or stat.S_ISREG(info.st_mode)
    except (OSError, ValueError):
        return []
    if not known:
        return []
    size = "a folder" if stat.S_ISDIR(info.st_mode) else format_size(info.st_size)
    name = shown(missing)
    if name != missing:
        return [f"{name} ({size}) exists here, not on {host}."]
    typed = name if _PLAIN.fullmatch(name) else f"'{name}'"
    line = f"{name} ({size}) exists here, not on {host}: %macgpu put {typed}"
    inside = Path(os.path.normpath(path.absolute())).is_relative_to(Path.cwd())
    if path.is_absolute() or not inside:
        return [f"{line}, and open it there as {path.name!r}"]
    return [f"{line}, or --files {typed}"]


def missing_hint(line: str, beside: Path, host: str) -> str:
    """Return how to ship what a Python program missed, if it is here; else the empty text.

    Parameters
    ----------
    line
        The last line that the program wrote: its error.
    beside
        The folder in which its modules are looked for.
    """
    if found := _NO_MODULE.match(line):
        name = found[1].partition(".")[0]
        for path in (beside / f"{name}.py", beside / name):
            if path.exists():
                return f"{name} is here, not on {host}: {_files_option(path)}"
    elif found := _NO_FILE.match(line):
        path = Path(found[1])
        if path.exists():
            return f"{shown(found[1])} is here, not on {host}: {_files_option(path)}"
    return ""


def _files_option(path: Path) -> str:
    """Return what ships a file or a folder, by its name below the working folder if it has one."""
    whole, here = path.absolute(), Path.cwd()
    name = shown(str(whole.relative_to(here) if whole.is_relative_to(here) else whole))
    return f"add --files {name}" if _PLAIN.fullmatch(name) else f"add --files '{name}'"


def _ended_from_outside(result: Result) -> BaseException:
    run, host, summary = result.run[:8], result.host, result.summary
    what = str(summary.get("what", "it ended without saying why"))
    if result.state == "cancelled":
        return _cancelled(run, host, summary, what)
    if result.state == "lost":
        return RunLost(
            f"Run {run} on {host} is lost: {what}.",
            known="How far it came is not known. It was not repeated.",
        )
    if summary.get("phase") == "start":
        log = str(summary.get("log", "")).strip()
        return RunDied(
            f"The worker on {host} did not start: {what}.",
            known=f"Run {run} was not begun." + (f" The worker said:\n{log}" if log else ""),
            kept="The notebook's variables are as they were.",
            next="Mend what it names, then run the cell again.",
        )
    return RunDied(
        f"Run {run} on {host} died: {what}.{_memory_hint(summary)}",
        known="It will not be repeated by itself.",
        kept="Output up to there is shown, and the notebook's variables are as before the cell. "
        "Values that lived in the worker alone are gone.",
        next="Run the cell again for a fresh worker; %macgpu logs "
        f"{run} shows the output once more.",
    )


def _cancelled(run: str, host: str, summary: Mapping[str, Any], what: str) -> BaseException:
    stopping = summary.get("stopping")
    if stopping == "kill":
        return RemoteError.rebuilt(
            "KeyboardInterrupt",
            "",
            [
                f"KeyboardInterrupt: the worker of run {run} on {host} was ended.",
                "Its output up to there is shown.",
                "The notebook's variables are as before the cell; "
                "values that lived in the worker alone are gone.",
                "The next cell starts a fresh worker.",
            ],
        )
    if stopping == "memory":
        return RunCancelled(
            f"Run {run} on {host} was stopped: {what}.",
            known="It is over and will not be repeated.",
            kept="Output up to there is shown, and the notebook's variables are as before the "
            "cell. Values that lived in the worker alone are gone.",
            next="Take less memory (smaller batches, %macgpu free), or ask for a host that has "
            "it with --mem.",
        )
    reason = _late(summary) if stopping == "timeout" else what
    return RunCancelled(
        f"Run {run} on {host} was cancelled: {reason}.",
        known="It is over and will not be repeated.",
        next="Run the cell again, with a longer --timeout or --wait if that was the reason.",
    )


def _late(summary: Mapping[str, Any]) -> str:
    return str(summary.get("limit") or "its --timeout had passed")


def _memory_hint(summary: Mapping[str, Any]) -> str:
    peak = summary.get("peak")
    if not peak or summary.get("signal") not in _MEMORY_SIGNALS:
        return ""
    gib = float(peak) / 2**30
    return f" Its largest size was {gib:.2f} GiB; was it out of memory?"
