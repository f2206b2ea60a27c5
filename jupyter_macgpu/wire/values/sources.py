"""Code objects travel as the source of the cell that they come from.

Bytecode belongs to one minor version of Python, and a traceback needs the source
anyway. The receiving side compiles the whole cell as it was compiled at home and
looks the code object up in it. Where that does not give back the very same code on
the sending side (no source, a rewritten syntax tree), bytecode is sent instead.
"""

from __future__ import annotations
import __future__

import ast
import dis
import functools
import linecache
import marshal
import sys
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .naming import builder

if TYPE_CHECKING:
    from .graph import Decoder, Encoder

_FUTURE_FLAGS = functools.reduce(
    int.__or__, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
_READS = {"LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL", "DELETE_NAME"}
# 3.12 and 3.13 read the globals of a class body or an annotation scope by these.
_READS |= {"LOAD_FROM_DICT_OR_GLOBALS", "LOAD_CLASSDEREF"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_NAME", "IMPORT_FROM"}


def nested(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield `code` and every code object inside it, in source order."""
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from nested(const)


@functools.lru_cache(maxsize=4096)
def names_used(code: types.CodeType) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the global names that code touches, and the attribute names it asks for."""
    global_names: dict[str, None] = {}
    attributes: set[str] = set()
    for each in nested(code):
        for step in dis.get_instructions(each):
            if step.opname in _READS:
                global_names[step.argval] = None
            elif step.opname in _ATTRIBUTES:
                attributes.add(step.argval)
    return tuple(global_names), frozenset(attributes)


def names_deleted(code: types.CodeType) -> frozenset[str]:
    """Return the names of the namespace that code deletes."""
    return frozenset(
        step.argval
        for each in nested(code)
        for step in dis.get_instructions(each)
        if step.opname in ("DELETE_NAME", "DELETE_GLOBAL")
    )


def reduce_code(encoder: Encoder, code: types.CodeType) -> tuple[Any, ...]:
    """Send code as its cell's source and its place there, else as bytecode."""
    source = cell_source(code.co_filename)
    flags = code.co_flags & _FUTURE_FLAGS
    if source is not None:
        same_place = _codes(source, code.co_filename, flags).get(_place(code), ())
        for nth, candidate in enumerate(same_place):
            if candidate == code:
                number = encoder.number_of(code.co_filename)
                return build_code, (source, code.co_filename, flags, number, _place(code), nth)
    return build_bytecode, (sys.version_info[:2], code.co_qualname, marshal.dumps(code))


@builder
def build_code(
    decoder: Decoder,
    source: str,
    filename: str,
    flags: int,
    number: int | None,
    place: tuple[str, int],
    nth: int,
) -> types.CodeType:
    """Compile a cell, or remember it compiled, and return the code at a place in it."""
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    if decoder.register_source is not None:
        decoder.register_source(filename, source, number)
    return _codes(source, filename, flags)[place][nth]


@builder
def build_bytecode(
    _decoder: Decoder, version: tuple[int, int], qualname: str, code: bytes
) -> types.CodeType:
    """Load bytecode of this Python version."""
    if version != sys.version_info[:2]:
        there, here = (".".join(map(str, v)) for v in (version, sys.version_info[:2]))
        raise ValueError(
            f"{qualname}() has no source, so it needs the same Python minor version on "
            f"both sides: it was made by {there}, this is {here}"
        )
    return marshal.loads(code)  # type: ignore[no-any-return]


def cell_source(filename: str) -> str | None:
    """Return the source that was registered in linecache for a cell, or None.

    An entry with a modification time belongs to a file on disk. It may have been
    edited since it was imported, and the other side may not have it.
    """
    entry = linecache.cache.get(filename)
    if entry is None or len(entry) != 4 or entry[1] is not None:
        return None
    return _joined(tuple(entry[2]))


@functools.lru_cache(maxsize=512)
def _joined(lines: tuple[str, ...]) -> str:
    return "".join(lines)


def _place(code: types.CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


@functools.lru_cache(maxsize=512)
def _codes(
    source: str, filename: str, flags: int
) -> dict[tuple[str, int], tuple[types.CodeType, ...]]:
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        whole = compile(source, filename, "exec", flags=flags, dont_inherit=True)
    except SyntaxError:
        return {}
    found: dict[tuple[str, int], tuple[types.CodeType, ...]] = {}
    for code in nested(whole):
        found[_place(code)] = (*found.get(_place(code), ()), code)
    return found
