"""A notebook's file: its code cells to be run elsewhere, and the same with what they showed.

Only nbformat 4 is read, as plain JSON: whatever stands in a file beside what is run is kept.
"""

from __future__ import annotations

import json
import keyword
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .wire.errors import InputError
from .words import shown

#: Lines that choose where a cell runs: here all run in one place.
_OUR_CELL = re.compile(r"\s*%%(macgpu|local)\b[^\n]*\n?")
_OUR_LINE = re.compile(
    r"^([ \t]*)(%(?:macgpu\b|(?:re)?load_ext[ \t]+jupyter_macgpu\b)[^\n]*)$", re.MULTILINE
)
#: The tag of a cell that binds parameters.
_INJECTED = "injected-parameters"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeCell:
    """One code cell.

    Attributes
    ----------
    source
        What is run: without lines that choose where.
    headed
        Whether its first line was such a one.
    may_fail
        Whether the notebook goes on after an error in it: the tag ``raises-exception``.
    raw
        The cell in the file, to be changed in place.
    """

    source: str
    headed: bool
    may_fail: bool
    raw: dict[str, Any]


class NotebookFile:
    """A notebook that is to be run, without what its code cells showed before.

    Parameters
    ----------
    path
        The file; it is never written to.
    parameters
        Values for names: a cell that binds them follows the first one with the tag
        ``parameters``, or is the first of all; one that was put there before is replaced.

    Raises
    ------
    InputError
        If it is no notebook of nbformat 4, or its language is not Python, or a parameter has no
        name of a variable. Nothing was run.
    """

    def __init__(self, path: Path, parameters: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.path = path
        self._data = _read(path)
        if parameters:
            self._data["cells"] = _with_parameters(self._data["cells"], parameters)
        self.cells = [_code_cell(raw) for raw in self._data["cells"] if _is_code(raw)]
        for cell in self.cells:
            self.finish(cell, [], None)

    def finish(self, cell: CodeCell, outputs: list[dict[str, Any]], count: int | None) -> None:
        """Put into a cell what it showed, and its number."""
        cell.raw["outputs"] = outputs
        cell.raw["execution_count"] = count

    def write(self, path: Path) -> None:
        """Write the notebook as it is now, whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written. What stood there before is as it was.
        """
        text = json.dumps(self._data, indent=1, ensure_ascii=False) + "\n"
        fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            fresh.write_text(text, encoding="utf-8", errors="backslashreplace")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)


def output_path(source: Path, wanted: str | None) -> Path:
    """Return where the notebook that has run is to go.

    Raises
    ------
    InputError
        If that is the source itself, or no file can be there. Nothing was run.
    """
    path = source.with_suffix(".out.ipynb") if wanted is None else Path(wanted)
    if path.exists() and path.samefile(source):
        raise InputError(
            f"--output {shown(str(path))} is the notebook that is to be run.",
            next="Name another file: the source is never overwritten.",
        )
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(
            f"--output {shown(str(path))}: there is no such folder, or it is one itself.",
            next="Name a file in a folder that is there.",
        )
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _no_notebook(path, f"it is not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("nbformat") != 4:
        raise _no_notebook(path, "it is not of nbformat 4")
    cells = data.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise _no_notebook(path, "it has no list of cells")
    language = _language(data.get("metadata"))
    if language not in ("", "python"):
        raise InputError(
            f"{shown(str(path))} is written in {shown(language)}.",
            next="Only notebooks in Python can be run.",
        )
    return data


def _no_notebook(path: Path, why: str) -> InputError:
    return InputError(
        f"{shown(str(path))} cannot be read as a notebook: {why}.",
        next="Save it again in JupyterLab, or convert it with jupyter nbconvert.",
    )


def _language(metadata: Any) -> str:
    try:
        named = metadata.get("language_info", {}).get("name")
        return str(named or metadata.get("kernelspec", {}).get("language") or "").lower()
    except AttributeError:
        return ""


def _with_parameters(
    cells: list[dict[str, Any]], parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    for name in parameters:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise InputError(
                f"{shown(name)} is no name that a parameter can have.",
                next="Use names of variables.",
            )
    lines = [f"{name} = {value!r}" for name, value in parameters.items()]
    injected: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": secrets.token_hex(4),
        "metadata": {"tags": [_INJECTED]},
        "outputs": [],
        "source": "\n".join(["# Parameters", *lines]),
    }
    kept = [cell for cell in cells if _INJECTED not in _tags(cell)]
    at = next((at for at, cell in enumerate(kept, 1) if "parameters" in _tags(cell)), 0)
    return [*kept[:at], injected, *kept[at:]]


def _tags(raw: dict[str, Any]) -> list[Any]:
    metadata = raw.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return tags if isinstance(tags, list) else []


def _is_code(raw: dict[str, Any]) -> bool:
    return raw.get("cell_type") == "code"


def _code_cell(raw: dict[str, Any]) -> CodeCell:
    text = raw.get("source", "")
    source = "".join(map(str, text)) if isinstance(text, list) else str(text)
    head = _OUR_CELL.match(source)
    body = source[head.end() :] if head else source
    return CodeCell(
        # In the place of such a line stands one that does nothing, so that all keep their numbers.
        source=_OUR_LINE.sub(r"\1pass  # \2", body),
        headed=head is not None,
        may_fail="raises-exception" in _tags(raw),
        raw=raw,
    )
