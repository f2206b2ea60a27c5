"""What may differ between a plain kernel and a `%%macgpu` kernel, and why. Ten at most."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Output = dict[str, Any]


def group_streams(outputs: list[Output]) -> list[Output]:
    """A kernel cuts streams where it likes, and does not keep stdout and stderr in order.

    Ours does; a test of the worker says so.
    """
    grouped: list[Output] = []
    texts: dict[str, str] = {}
    for output in [*outputs, {"what": "end"}]:
        if output["what"] == "stream":
            texts[output["name"]] = texts.get(output["name"], "") + output["text"]
            continue
        for name in sorted(texts, reverse=True):
            grouped.append({"what": "stream", "name": name, "text": texts[name]})
        texts.clear()
        grouped.append(output)
    return grouped[:-1]


def addresses(text: str) -> str:
    """An object lies somewhere else in each process."""
    return re.sub(r"0x[0-9a-f]{6,}", "0xADDRESS", text)


def times(text: str) -> str:
    """Nothing takes the same time twice."""
    text = re.sub(r"(CPU times|Wall time|Compiler ?):? [^\n]*\n?", "TIME\n", text)
    text = re.sub(r"(TIME\n)+", "TIME\n", text)
    return re.sub(r"[\d.]+ [nmuμµ]?s ± [^(]*\(", "TIME (", text)


def cell_files(text: str) -> str:
    """The name of a cell's code has a digest of it in it, and `%%macgpu` is not in the digest."""
    return re.sub(r"<ipython-input-\d+-[0-9a-f]+>", "CELLFILE", text)


def kernel_frames(text: str) -> str:
    """Python's own tracebacks show what runs the cell: IPython there, nothing here."""
    frame = r'[ |]*File "[^"]*/IPython/core/[^"]*", line \d+, in .*\n(.*\n)(.*\^.*\n)?'
    return re.sub(frame, "", text)


def library_lines(text: str) -> str:
    """A warning of IPython's own names a line of IPython, which no user knows."""
    return re.sub(r"(?m)^\S*/IPython/core/\w+\.py:\d+: (.*\n).*\n", r"IPYTHON: \1", text)


def repeated_syntax_warnings(text: str) -> str:
    """A plain kernel compiles a cell three times, and says so each time; ours once."""
    return re.sub(r"<>:\d+: SyntaxWarning: .*\n", "", text)


def depths(text: str) -> str:
    """How deep a kernel's own stack is decides how often a recursion fits on top of it."""
    return re.sub(r"\(\d+ times\)", "(MANY times)", text)


def random_ids(text: str) -> str:
    """A display without a name of its own gets a random one."""
    return re.sub(r"\b[0-9a-f]{32}\b", "RANDOM", text)


TEXTS: list[Callable[[str], str]] = [
    addresses,
    times,
    cell_files,
    kernel_frames,
    library_lines,
    repeated_syntax_warnings,
    depths,
    random_ids,
]


def normalise(outputs: list[Output]) -> list[Output]:
    """Return outputs without what may differ."""
    return [_texts(output) for output in group_streams(outputs)]


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        for each in TEXTS:
            value = each(value)
        return value
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value
