"""Asking a host how it is: the script that asks (``probe.sh``), and readers of what it prints.

The script is one round trip without privileges. Readers are pure; each reads what one tool
prints, from whatever version, whole or cut, and knows that tool's traps. What they do not find is
None.
"""

from __future__ import annotations

from .chips import Speed, prior
from .kinds import UnknownKind, guess, names, read
from .labels import labels
from .replay import replay
from .whole import read_probe

__all__ = [
    "SCRIPT",
    "Speed",
    "UnknownKind",
    "guess",
    "labels",
    "names",
    "prior",
    "read",
    "read_probe",
    "replay",
    "with_nonce",
]

#: The script's file in this package.
SCRIPT = "probe.sh"


def with_nonce(script: str, nonce: str) -> str:
    """Return the script's text with the mark of its sections put in.

    Raises
    ------
    ValueError
        If `nonce` has anything but letters and digits: it becomes part of a program.
    """
    if not (nonce.isascii() and nonce.isalnum() and len(nonce) <= 64):
        raise ValueError("a nonce is up to 64 ASCII letters and digits")
    return script.replace("@NONCE@", nonce)
