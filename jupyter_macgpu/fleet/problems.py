"""What can be wrong with fleet files, as values, and the error that names all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..wire.errors import ConfigError

#: The environment variable that names the fleet file.
VARIABLE = "MACGPU_FLEET"
FILE_NAME = "macgpu.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a file.

    Attributes
    ----------
    line
        Line of the file, from 1; 0 means the file as a whole.
    key
        Path of the key, such as ``hosts.studio-1.slots``; may be empty.
    text
        What is wrong and what would be right, in one sentence.
    file
        Path of the file; may be empty where there is one only.
    """

    line: int
    key: str
    text: str
    file: str = ""

    def __str__(self) -> str:
        place = [f"line {self.line}"] * bool(self.line) + [self.key] * bool(self.key)
        return f"{', '.join(place)}: {self.text}" if place else self.text


class FleetFileError(ConfigError):
    """A fleet file cannot be used. Nothing was sent, and no file was changed.

    Attributes
    ----------
    file
        Path of the file; of the first one, where files lie in layers.
    problems
        Everything that is wrong, by file and in the order of its lines.
    """

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        files = dict.fromkeys(problem.file or file for problem in self.problems)
        count = "one error" if len(self.problems) == 1 else f"{len(self.problems)} errors"
        if len(files) > 1:
            head = f"The fleet files have {count}:"
            lines = [f"  {problem.file or file}, {problem}" for problem in self.problems]
        else:
            head = f"The fleet file {next(iter(files), file)} has {count}:"
            lines = [f"  {problem}" for problem in self.problems]
        super().__init__(
            "\n".join([head, *lines]),
            next=f"Mend the file, or set {VARIABLE} to another one, and run the cell again.",
        )
