"""A host with `trust: data` cannot run code here, whatever stream it sends."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_macgpu.wire.values.confined import apply_data, inputs_from
from jupyter_macgpu.wire.values.opcodes import Unreadable
from jupyter_macgpu.wire.values.placeholders import Refused
from jupyter_macgpu.wire.values.reader import DataReader
from jupyter_macgpu.wire.values.remote import RemoteValue

from . import hostile

PROJECT = Path(__file__).parents[2]
CORPUS = [called for called, _ in hostile.streams(Path("canary"))]


def body(called: str, canary: Path) -> bytes:
    return dict(hostile.streams(canary))[called]


def applied(stream: bytes, namespace: dict[str, Any] | None = None, **options: Any) -> Any:
    names = {} if namespace is None else namespace
    return apply_data(stream, (), options.pop("table", {}), names, run="r", host="h", **options)


def test_the_corpus_is_large() -> None:
    assert len(set(CORPUS)) == len(CORPUS) >= 200


OBEY = """
import contextlib, pathlib, sys
from tests.security import hostile
folder = pathlib.Path(sys.argv[1])
for called in hostile.calls(folder):
    with contextlib.suppress(BaseException):
        hostile.obeyed(dict(hostile.streams(folder / called))["reduce-" + called])
"""


def test_pickle_itself_obeys_the_corpus(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", OBEY, str(tmp_path)]
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=True,
        cwd=PROJECT,
    )
    wanted = set(hostile.calls(tmp_path)) - {"code"}  # it asks the terminal
    deadline = time.monotonic() + 60.0  # a child may make it
    made: set[str] = set()
    while made != wanted and time.monotonic() < deadline:
        made = {path.name for path in tmp_path.iterdir()}
        time.sleep(0.01)
    assert made == wanted


@pytest.mark.parametrize("called", CORPUS)
def test_nothing_of_the_corpus_is_obeyed(called: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    value = body(called, canary)
    good = hostile.entry("name", hostile.text("good"), hostile.number(7))
    bad = hostile.entry("name", hostile.text("bad"), value)
    names: dict[str, Any] = {"bad": "before", "mine": [1]}
    told = applied(good + bad, names, announced=["good", "bad"])
    assert names["good"] == 7
    assert names["mine"] == [1]
    assert not callable(names["bad"]) or isinstance(names["bad"], RemoteValue)
    assert told.notes or names["bad"] == "before" or called in HARMLESS
    for stream in (
        hostile.entry("update", hostile.number(0), hostile.text("list"), value),
        hostile.entry("update", hostile.number(1), hostile.text("attributes"), value),
        hostile.entry("update", value, hostile.text("dict"), value),
        hostile.entry("replace", hostile.number(0), value),
        hostile.entry("result", hostile.text("_"), value),
        hostile.entry("name", value, value),
        hostile.whole(value),
    ):
        applied(stream, {"x": []}, table={0: [], 1: Plain(), 2: {}})
    with contextlib.suppress(Unreadable):
        DataReader(hostile.whole(value), host="h").load()
    inputs_from(bad, (), host="h")
    assert not canary.exists()
    assert not canary.is_symlink()
    assert "antigravity" not in sys.modules


#: What they leave is data: nothing of them is left to refuse.
HARMLESS = {"dropped", "dropped-at-mark", "remote-elsewhere"}


class Plain:
    """Not of the notebook: an instance of a library's class."""


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.lists(st.binary(max_size=40), max_size=3))
def test_any_bytes_are_read_or_refused(stream: bytes, buffers: list[bytes]) -> None:
    reader = DataReader(stream, buffers, seeds=[[], {}, "x"], host="h")
    with contextlib.suppress(Unreadable):
        while not reader.at_end():
            reader.load()
    apply_data(stream, buffers, {0: [], 1: {}}, {}, run="r", host="h", announced=["x"])


#: The opcodes that are understood, each with room for an argument: these reach deeper than bytes.
_SNIPPETS = [
    b"(", b"0", b"1", b"\x94", b"h\x00", b"h\x01", b"N", b"\x88", b"K\x05", b"\x8a\x01\x07",
    b"G" + bytes(8), b"\x8c\x01k", b"C\x01b", b"\x96" + bytes(8), b"\x97", b"\x98", b")", b"t",
    b"\x85", b"\x86", b"\x87", b"]", b"}", b"\x8f", b"\x91", b"a", b"e", b"\x90", b"s", b"u", b"R",
    b"\x81", b"\x92", b"b", b".",
    *(
        hostile.name(module, called)
        for module, called in [
            ("collections", "deque"), ("collections", "defaultdict"), ("collections", "Counter"),
            ("numpy", "dtype"), ("numpy._core.multiarray", "scalar"), ("torch", "Size"),
            ("jupyter_macgpu.wire.values.arrays", "build_array"),
            ("jupyter_macgpu.wire.values.arrays", "build_view"),
            ("jupyter_macgpu.wire.values.tensors", "build_storage"),
            ("jupyter_macgpu.wire.values.tensors", "build_tensor"),
            ("jupyter_macgpu.wire.values.tensors", "set_extras"),
            ("jupyter_macgpu.wire.values.remote", "build_remote"), ("uuid", "UUID"),
            ("datetime", "datetime"), ("fractions", "Fraction"), ("os", "system"),
        ]
    ),
    *(hostile.text(word) for word in ("update", "name", "list", "dict", "set", "attributes")),
]  # fmt: skip


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(_SNIPPETS), max_size=30))
def test_any_order_of_opcodes_is_read_or_refused(parts: list[bytes]) -> None:
    stream = b"".join(parts) + b"."
    names: dict[str, Any] = {}
    apply_data(stream, [b"12345678"], {0: [], 1: {}}, names, run="r", host="h")
    assert not any(isinstance(value, Refused) for value in names.values())


BOMBS = {
    "bytes": b"B\xff\xff\xff\x7f",
    "bytes8": b"\x8e" + b"\xff" * 7 + b"\x0f",
    "bytearray8": b"\x96" + b"\xff" * 7 + b"\x0f",
    "text8": b"\x8d" + b"\xff" * 7 + b"\x0f",
    "frame": b"\x95" + b"\xff" * 8,
    "long4": b"\x8b\xff\xff\xff\x7f",
    "put": b"Nr\xff\xff\xff\xff",
    "get": b"j\xff\xff\xff\xff",
    "sets": b"\x8f" * 4_000_000,
    "deques": hostile.name("collections", "deque") + b"\x940" + b"h\x00)R" * 1_500_000,
    "copies": hostile.name(f"{hostile._OURS}.tensors", "build_storage")
    + b"\x940"
    + hostile.pieces(bytes(2**20))
    + b"\x940"
    + (b"h\x00(h\x01" + hostile.text("cpu") + b"tR") * 5000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_words(bomb: str) -> None:
    command = [sys.executable, "-c", BURST.format(bomb=bomb)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    assert "cannot be read" in done.stdout or "not all changed" in done.stdout
    assert int(done.stdout.splitlines()[-1]) < 900 * 1024


#: The largest size is asked for as a worker does it: what `getrusage` says on Linux begins with the
#: size of the process that started this one.
BURST = """
from jupyter_macgpu.mac.worker.measure import peak
from tests.security.test_data_only import BOMBS, applied
print(applied(BOMBS[{bomb!r}] + b".", {{}}, announced=["x"]).notes)
print(peak() // 1024)
"""


def test_deep_values_are_refused_and_shallow_ones_are_not() -> None:
    for deep in (b")" + b"\x85" * 100_000, b"]" * 100_000 + b"a" * 99_999):
        names: dict[str, Any] = {}
        told = applied(hostile.entry("name", hostile.text("x"), deep), names)
        assert isinstance(names["x"], RemoteValue)
        assert "nested too deeply" in " ".join(told.notes)
    names = {}
    applied(hostile.entry("name", hostile.text("x"), b"]" * 300 + b"a" * 299), names)
    assert type(names["x"]) is list


def test_a_key_whose_hash_takes_for_ever_is_refused() -> None:
    doubled = b")\x94" + b"".join(
        b"0" + bytes([ord("h"), n, ord("h"), n]) + b"\x86\x94" for n in range(60)
    )
    body = b"}" + doubled + b"Ns"
    names: dict[str, Any] = {}
    told = applied(hostile.entry("name", hostile.text("x"), body), names)
    assert isinstance(names["x"], RemoteValue)
    assert told.notes


def test_one_bad_value_does_not_spoil_the_others_nor_does_a_broken_end() -> None:
    names: dict[str, Any] = {"old": 1}
    stream = (
        hostile.entry("name", hostile.text("a"), hostile.number(1))
        + hostile.entry("name", hostile.text("b"), hostile.call("os", "getcwd"))
        + hostile.entry("name", hostile.text("c"), hostile.number(3))
        + b"\xff"
    )
    told = applied(stream, names, announced=["a", "b", "c", "d"])
    assert (names["a"], names["c"]) == (1, 3)
    assert isinstance(names["b"], RemoteValue)
    assert isinstance(names["d"], RemoteValue)
    assert "b (a os.getcwd)" in " ".join(told.notes) or "b (os.getcwd)" in " ".join(told.notes)
    assert "`trust: full` for h" in " ".join(told.notes)


@pytest.mark.parametrize("name", ["__builtins__", "get_ipython", "In", "_", "a b", "for", "__x__"])
def test_names_that_are_not_the_users_are_not_bound(name: str) -> None:
    names: dict[str, Any] = {}
    told = applied(hostile.entry("name", hostile.text(name), hostile.number(1)), names)
    assert names == {}
    assert told.notes
