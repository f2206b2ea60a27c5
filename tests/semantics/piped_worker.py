"""A worker for the oracle: runs cells in ``__main__``, told what to do over two pipes.

It stands in for the real worker's shell only: what it is asked to load, compare and
send back is the product's.
"""

from __future__ import annotations

import ast
import io
import linecache
import pickle
import struct
import sys
import traceback
import types
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, BinaryIO


def read(stream: BinaryIO) -> Any:
    """Read one message, or None at the end."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    return pickle.loads(stream.read(struct.unpack("<Q", head)[0]))


def write(stream: BinaryIO, message: object) -> None:
    data = pickle.dumps(message, protocol=5)
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def run_cell(source: str, filename: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """Run a cell as a shell does: its output, its error, the value of its last expression."""
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    out, err = io.StringIO(), io.StringIO()
    error = ""
    result: tuple[object, ...] = ()
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        # As in a notebook, and unlike in these tests, a warning is only printed.
        warnings.simplefilter("always")
        try:
            result = _execute(source, filename, namespace)
        except Exception as exc:
            error = "".join(traceback.format_exception_only(exc))
            exc.__traceback__ = None
    return {"stdout": out.getvalue(), "stderr": err.getvalue(), "error": error, "result": result}


def _execute(source: str, filename: str, namespace: dict[str, Any]) -> tuple[object, ...]:
    tree = ast.parse(source, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, filename, "exec", dont_inherit=True), namespace)
    if not isinstance(last, ast.Expr):
        return ()
    value = eval(
        compile(ast.Expression(last.value), filename, "eval", dont_inherit=True), namespace
    )
    return () if value is None else (value,)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer runs until the pipe closes."""
    from jupyter_macgpu.wire.values.receive import receive

    namespace = vars(sys.modules["__main__"])
    live: dict[str, object] = {}
    while (request := read(requests)) is not None:
        try:
            received = receive(request["stream"], request["buffers"], namespace, live=live)
            done = run_cell(request["source"], request["filename"], namespace)
            changes = received.changes(
                namespace, run=request["run"], host="piped", result=done.pop("result")
            )
            live.update(changes.live)
            write(
                replies,
                {
                    **done,
                    "stream": changes.stream,
                    "buffers": [bytearray(buffer.raw()) for buffer in changes.buffers],
                    "notes": changes.notes,
                    "remote": changes.remote,
                },
            )
        except Exception:
            write(replies, {"broken": traceback.format_exc()})


def main() -> None:
    """Serve on the standard pipes; the cells get a module of their own as ``__main__``."""
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    own = types.ModuleType("__main__")
    sys.modules["__main__"] = own
    serve(requests, replies)


if __name__ == "__main__":
    main()
