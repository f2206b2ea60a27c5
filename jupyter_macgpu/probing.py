"""What ``macgpu probe --replay FILE`` does, and where the probe's script is."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from .wire import probe

#: A file that is longer, in bytes, is not a probe's output; no more of it is read.
LONGEST = 8 * 1024 * 1024


def script(nonce: str) -> str:
    """Return the probe as a host's ``/bin/sh -s`` takes it on its standard input.

    Parameters
    ----------
    nonce
        Random letters and digits that mark the sections; `probe.read_probe` wants the same.
    """
    text = files(probe).joinpath(probe.SCRIPT).read_text(encoding="utf-8")
    return probe.with_nonce(text, nonce)


def replay_file(path: Path, section: str | None = None) -> dict[str, Any]:
    """Return what is read from a recorded output; see `probe.replay`.

    Raises
    ------
    OSError
        If the file cannot be read.
    probe.UnknownKind
        If nothing reads that kind.
    """
    with path.open("rb") as file:
        output = file.read(LONGEST)
    return probe.replay(output, section, path.name)


def as_text(found: dict[str, Any]) -> str:
    """Return a replay as people read it: a line for each thing that is known."""
    lines = [f"read as {found['kind']}"]
    lines += [f"  {key} = {value}" for key, value in _flat("", found["read"]) if value is not None]
    lines += [f"label {key}={value}" for key, value in found["labels"].items()]
    lines += ["  nothing: it holds no value that is known"] if not lines[1:] else []
    return "\n".join(lines)


def as_json(found: dict[str, Any]) -> str:
    """Return a replay as ``--json`` prints it."""
    return json.dumps(found, indent=2, ensure_ascii=False)


def _flat(prefix: str, value: object) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    if isinstance(value, dict):
        pairs = [(str(key), entry) for key, entry in value.items()]
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        pairs = [(str(number), entry) for number, entry in enumerate(value)]
    else:
        return [(prefix, value)]
    return [row for key, entry in pairs for row in _flat(f"{prefix}.{key}".lstrip("."), entry)]
