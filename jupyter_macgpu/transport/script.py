"""A short program for a host's own shell: for what is no cell.

The command is constant, as for every channel; the program and what it works on come over standard
input. Start-up files may print before it, so its own words stand on lines with a mark.
"""

from __future__ import annotations

import secrets
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..wire.errors import TransportError

#: What any login shell takes.
COMMAND = "exec /bin/sh -s"
#: Seconds that a program may take.
PATIENCE = 60.0
_SAY = """
say() {{ printf '%s %s\\n' {mark} "$*"; }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program in POSIX sh, in which ``say WORD TEXT`` answers.

    Attributes
    ----------
    text
        The program. What it works on never stands in it.
    values
        Variables that it finds set.
    mark
        What its answers begin with.
    """

    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: f"macgpu-{secrets.token_hex(8)}")

    def source(self) -> bytes:
        """Return what the shell reads."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.values.items()]
        whole = "\n".join([*settings, _SAY.format(mark=self.mark), self.text, ""])
        # In one function: a shell that reads as it goes would run the first half of a program
        # whose second half was lost.
        return f"main() {{\n{whole}\n}}\nmain\n".encode()

    def answer(self, output: bytes) -> tuple[str, str]:
        """Return the last word that it said, and the text behind it; empty if it said nothing."""
        lines = output.decode("utf-8", "replace").splitlines()
        said = [line for line in lines if line.startswith(f"{self.mark} ")]
        word, _, text = said[-1].removeprefix(f"{self.mark} ").partition(" ") if said else ("",) * 3
        return word, text.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended.

    Attributes
    ----------
    word, text
        Its last word and the text behind it; empty if it said nothing.
    complaint
        The last line of its standard error.
    """

    word: str
    text: str
    complaint: str


def run_here(program: Program) -> Ran:
    """Run a program on this machine.

    Raises
    ------
    TransportError
        If it does not end in time.
    """
    try:
        done = subprocess.run(
            ["/bin/sh", "-s"], input=program.source(), capture_output=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        raise TransportError(f"The shell of this machine took over {PATIENCE:g} s.") from error
    return ended(program, done.stdout, done.stderr)


def ended(program: Program, output: bytes, errors: bytes) -> Ran:
    """Return how a program ended that printed this."""
    word, text = program.answer(output)
    if not word and b"\0macgpu-" in output:
        word, text = "door", "this key may open nothing but the door"
    lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    complaint = "".join(c for c in (lines[-1] if lines else "") if c.isprintable())
    return Ran(word=word, text=text, complaint=complaint[:300])
