"""What hosts and cells may say of themselves, all of it hostile, through what shows it.

Imported by a kernel. The words come from `hostile.txt`; what shows them is the product's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from IPython.core.getipython import get_ipython
from IPython.display import display

from jupyter_macgpu import commands, doctor, overview
from jupyter_macgpu.job import Run
from jupyter_macgpu.report import Report
from jupyter_macgpu.statusline import StatusLine
from jupyter_macgpu.sweeping import Sweep
from jupyter_macgpu.wire.usage import Usage

WORDS = Path(__file__).with_name("hostile.txt").read_text(encoding="utf-8").splitlines()


def spoiled(value: Any, word: str) -> Any:
    """Return a value in which every text is `word`."""
    if dataclasses.is_dataclass(value):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return dataclasses.replace(value, **spoiled(fields, word))
    if isinstance(value, dict):
        return {name: spoiled(item, word) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(spoiled(item, word) for item in value)
    return word if isinstance(value, str) else value


def lists() -> None:
    """Carry out the verbs that list something, with a row for each word."""
    for line, name in (
        ("status -o wide --show-labels", "status"),
        ("runs", "list_runs"),
        ("verify", "verify"),
    ):
        _verb(line, commands, name, _of_each_word)
    _verb("doctor", doctor, "examine", _of_each_word)


def texts(host: str) -> None:
    """Carry out the verbs that say something, with a row or a line for each word."""
    for line, name in (("where", "where"), (f"describe {host}", "describe"), ("why last", "why")):
        for word in WORDS:
            _verb(line, overview, name, lambda told, word=word: spoiled(told, word))


def _of_each_word(told: list[Any]) -> list[Any]:
    """Return what was found last once for each word, with every text of it that word."""
    return [spoiled(told[-1], word) for word in WORDS]


def _verb(line: str, module: Any, name: str, change: Callable[[Any], Any]) -> None:
    """Carry out a verb where what `name` finds is changed."""
    asked = getattr(module, name)

    def said(*given: Any, **more: Any) -> Any:
        told = asked(*given, **more)
        return change(told if isinstance(told, dict) else list(told))

    with patch.object(module, name, said):
        get_ipython().run_line_magic("macgpu", line)


def lines() -> None:
    """Show the line of a run for each word: while it waits, and at last."""
    shell = get_ipython()
    for word in WORDS:
        line = StatusLine(shell, print, "on")
        line.placed(word)
        line.waiting(word, word)
    for word in WORDS:
        line = StatusLine(shell, print, "on")
        line.ended(report(word))


def report(word: str) -> Report:
    """Return a report of a run in which every text is `word`."""
    usage = Usage(fallbacks=(word,), heat=word)
    return Report(run=word, host=word, state=word, chip=word, steps={"run": 1.0}, usage=usage)


def reports() -> None:
    """Show the report of a run for each word."""
    for word in WORDS:
        display(report(word))


def runs(run: Run) -> None:
    """Show a run for each word."""
    shown = run.shown()
    for state in ("queued", "unknown to this version"):
        for word in WORDS:
            told = {**spoiled(shown, word), "state": state, "place": 1, "reason": word}
            with patch.object(Run, "shown", lambda _self, told=told: told):
                display(run)


def sweep(made: Sweep) -> None:
    """Show the table of a sweep with each word in every column."""
    rows = [spoiled(made.rows()[0], word) for word in WORDS]
    with patch.object(Sweep, "rows", lambda _self: rows):
        display(made)
