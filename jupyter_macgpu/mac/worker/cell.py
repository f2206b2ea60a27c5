"""What an `Execute` asks for: a cell's description and its inputs, out of one bundle."""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...wire import blobs, bundle
from ...wire.errors import RemoteProtocolError
from ...wire.program import Program, read_program
from ...wire.values.changes import CELL_LIMIT, VALUE_LIMIT, Limits

if TYPE_CHECKING:
    from ...wire.messages import Execute


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell to be run.

    Attributes
    ----------
    source
        The cell without its ``%%macgpu`` line.
    code
        The same as plain Python, transformed where it was typed; None to transform it here.
    headed
        Whether a line of the magic's own stands above the source in the notebook.
    execution_count, cell_id
        The notebook's number and name for it.
    names
        The inputs in the order in which they lie in the stream.
    free
        Names that the cell reads and the notebook lacks.
    only
        Names that come back, whatever their size, and nothing else; None for all that changed.
    held
        Keys of the handles that the notebook has; None if it did not say.
    environ
        Environment variables that hold for this run.
    limits
        Bytes that come back by themselves.
    can_ask
        Whether somebody answers `input()`.
    parent
        Id of the front end's request that runs the cell, if that front end shows comms.
    host
        What the notebook calls this machine.
    program
        What is run instead of a cell; None runs the cell.
    cpu
        Whether it goes without a GPU.
    is_compared
        Whether the run is compared with another one of the same cell; see `checking`.
    names_fallbacks
        Whether all operations that fall back to the processor are named; see `measure`.
    after
        Id of the run that came before this one, where the namespace stays here from one run to
        the next and nothing of it travels; the empty text for the first of them. None is a
        notebook's cell.
    stream, buffers
        The inputs. The buffers are writable, and nobody else's.
    """

    source: str
    code: str | None
    headed: bool
    execution_count: int
    cell_id: str | None
    names: tuple[str, ...]
    free: frozenset[str]
    only: tuple[str, ...] | None
    held: tuple[str, ...] | None
    environ: dict[str, str]
    limits: Limits
    can_ask: bool
    parent: str
    host: str
    program: Program | None
    cpu: bool
    is_compared: bool
    names_fallbacks: bool
    after: str | None
    stream: memoryview = field(repr=False)
    buffers: tuple[memoryview, ...] = field(repr=False)


def open_cell(message: Execute) -> Cell:
    """Read the bundle that `message` brings or names.

    Raises
    ------
    RemoteProtocolError
        If it is not what it should be.
    OSError
        If its file cannot be read.
    """
    folder = Path(message.blobs)
    data = _mapped(message.path) if message.path else memoryview(bytearray().join(message.buffers))
    parts = bundle.unpack(data)
    try:
        said = json.loads(str(parts[0], "utf-8"))
        inputs = blobs.inputs_of(said, parts[1:], lambda digest: _mapped(folder / digest))
        return _described(said, inputs[0], tuple(inputs[1:]))
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        text = f"a cell's description cannot be read: {type(error).__name__}: {error}"
        raise RemoteProtocolError(text) from None


def _described(said: dict[str, Any], stream: memoryview, buffers: tuple[memoryview, ...]) -> Cell:
    limits = said.get("limits") or {}
    return Cell(
        source=said["source"],
        code=said.get("code"),
        headed=bool(said.get("headed", True)),
        execution_count=int(said["execution_count"]),
        cell_id=said.get("cell_id"),
        names=tuple(said.get("names") or ()),
        free=frozenset(said.get("free") or ()),
        only=_names(said.get("narrow")),
        held=_names(said.get("held")),
        environ=dict(said.get("setenv") or {}),
        limits=Limits(value=limits.get("value", VALUE_LIMIT), cell=limits.get("cell", CELL_LIMIT)),
        can_ask=bool(said.get("stdin", True)),
        parent=str(said.get("parent") or ""),
        host=said.get("host") or "the worker",
        program=read_program(said["program"]) if said.get("program") else None,
        cpu=bool(said.get("cpu")),
        is_compared=bool(said.get("compared")),
        names_fallbacks=bool(said.get("fallbacks")),
        after=said.get("after"),
        stream=stream,
        buffers=buffers,
    )


def _names(value: list[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


def _mapped(path: str | Path) -> memoryview:
    # A private map: the run may write into its inputs, and the stored bundle stays as it is.
    with open(path, "rb") as file:  # noqa: PTH123 (a path from a message, used once)
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
