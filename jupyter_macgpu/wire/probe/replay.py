"""A recorded output read again, so that whoever owns a Mac that we misread can show it."""

from __future__ import annotations

from typing import Any

from ..telemetry import to_json
from .kinds import UnknownKind, guess, known, names, plain, read
from .labels import labels
from .sections import split
from .whole import read_probe

#: What `replay` calls the output of the whole probe.
PROBE = "probe"


def replay(output: str | bytes, section: str | None = None, name: str = "") -> dict[str, Any]:
    """Return what is read from a recorded output, as JSON can hold it.

    Parameters
    ----------
    output
        What a tool printed, or the whole probe.
    section
        Its kind; None: told by `name`, or by what it looks like.
    name
        The file's name; ``KIND__anything.txt`` tells the kind.

    Returns
    -------
    ``kind``; ``read``: the groups of `Telemetry` of which anything is known, with null for what
    is not; ``labels``: what follows for Kubernetes' labels.

    Raises
    ------
    UnknownKind
        If nothing reads that kind, or the output looks like nothing that is known.
    """
    kind = section or _kind(output, name)
    whole = kind == PROBE
    sample = read_probe(output) if whole else read(kind, output)
    return {"kind": kind, "read": to_json(sample, unknown=True), "labels": labels(sample)}


def _kind(output: str | bytes, name: str) -> str:
    if split(plain(output)).parts:
        return PROBE
    told, double, _ = name.partition("__")
    if double and known(told) is not None:
        return told
    kind = guess(output)
    if kind is None:
        raise UnknownKind(
            f"this looks like nothing that is known; say what it is with --section KIND, one of: "
            f"{PROBE}, {', '.join(names())}"
        )
    return kind
