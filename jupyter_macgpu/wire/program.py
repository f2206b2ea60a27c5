"""A script or a command that is run instead of a cell, as a run's description has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is run, as a process of its own.

    Attributes
    ----------
    argv
        The command and its arguments; of a script its path in the session's folder and its
        arguments.
    script
        The script's text; bytes that are not UTF-8 as lone surrogates. None for a command.
    is_coloured
        Whether its output goes to a terminal.
    """

    argv: tuple[str, ...]
    script: str | None = None
    is_coloured: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as it travels; `read_program` reads it."""
        return {"argv": list(self.argv), "script": self.script, "coloured": self.is_coloured}


def read_program(said: dict[str, Any]) -> Program:
    """Return the program of a run's description."""
    script = said.get("script")
    return Program(
        argv=tuple(map(str, said["argv"])),
        script=None if script is None else str(script),
        is_coloured=bool(said.get("coloured")),
    )
