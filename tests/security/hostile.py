"""Streams that a hostile host might send: each would leave a file behind if it were obeyed."""

from __future__ import annotations

import io
import marshal
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

_OURS = "jupyter_macgpu.wire.values"


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


def name(module: str, qualname: str) -> bytes:
    return text(module) + text(qualname) + b"\x93"


def pieces(value: object) -> bytes:
    """Return what pickle writes for plain data, without its frame and its end."""
    stream = pickle.dumps(value, 4)
    return stream[11:-1] if stream[2:3] == b"\x95" else stream[2:-1]


def call(module: str, qualname: str, *arguments: object) -> bytes:
    return name(module, qualname) + pieces(arguments) + b"R"


def whole(body: bytes) -> bytes:
    return b"\x80\x05" + body + b"."


def entry(kind: str, *parts: bytes) -> bytes:
    """Return an entry as a worker sends it: ``("name", "x", value)``."""
    return whole(b"(" + text(kind) + b"".join(parts) + b"t")


def calls(canary: Path) -> dict[str, tuple[str, str, tuple[object, ...]]]:
    """Return calls that make the canary when pickle does them."""
    path, touch = str(canary), f"touch {canary}"
    source = f"open({path!r}, 'w').close()"
    inner = whole(call("builtins", "open", path, "w"))
    code = marshal.dumps(compile(source, "x", "exec"))
    return {
        "os.system": ("os", "system", (touch,)),
        "posix.system": ("posix", "system", (touch,)),
        "eval": ("builtins", "eval", (source,)),
        "exec": ("builtins", "exec", (source,)),
        "open": ("builtins", "open", (path, "w")),
        "io.open": ("io", "open", (path, "w")),
        "_io.open": ("_io", "open", (path, "w")),
        "codecs.open": ("codecs", "open", (path, "w")),
        "FileIO": ("_io", "FileIO", (path, "w")),
        "os.open": ("os", "open", (path, 66)),
        "os.mkdir": ("os", "mkdir", (path,)),
        "os.makedirs": ("os", "makedirs", (path,)),
        "Popen": ("subprocess", "Popen", (["touch", path],)),
        "check_output": ("subprocess", "check_output", (["touch", path],)),
        "getoutput": ("subprocess", "getoutput", (touch,)),
        "FileHandler": ("logging", "FileHandler", (path,)),
        "timeit": ("timeit", "main", (["-n1", "-r1", source],)),
        "run_path": ("cProfile", "run", (source, path)),
        "pickle.loads": ("pickle", "loads", (inner,)),
        "_pickle.loads": ("_pickle", "loads", (inner,)),
        "copyfile": ("shutil", "copyfile", ("/dev/null", path)),
        "symlink": ("os", "symlink", ("/dev/null", path)),
        "savetxt": ("numpy", "savetxt", (path, [1])),
        "memmap": ("numpy", "memmap", (path, "uint8", "w+", 0, 1)),
        "code": ("code", "interact", (None, None, {"canary": code})),
    }


#: Opcode routes to a call, given the callable's place and its arguments.
ROUTES: dict[str, Callable[[str, str, tuple[object, ...]], bytes]] = {
    "reduce": lambda m, n, a: call(m, n, *a),
    "newobj": lambda m, n, a: name(m, n) + pieces(a) + b"\x81",
    "newobj_ex": lambda m, n, a: name(m, n) + pieces(a) + b"}\x92",
    "inst": lambda m, n, a: b"(" + b"".join(map(pieces, a)) + f"i{m}\n{n}\n".encode(),
    "obj": lambda m, n, a: b"(" + name(m, n) + b"".join(map(pieces, a)) + b"o",
    "global": lambda m, n, a: f"c{m}\n{n}\n".encode() + pieces(a) + b"R",
    "memo": lambda m, n, a: (
        text(m) + b"\x940" + text(n) + b"\x940" + b"h\x00h\x01\x93" + pieces(a) + b"R"
    ),
    "put": lambda m, n, a: name(m, n) + b"q\x050" + b"h\x05" + pieces(a) + b"R",
    "setitem": lambda m, n, a: b"}" + text("k") + call(m, n, *a) + b"s",
}


def streams(canary: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the corpus: what it is called, and the bytes of one value."""
    every = calls(canary)
    for called, (module, qualname, arguments) in every.items():
        for route, make in ROUTES.items():
            yield f"{route}-{called}", make(module, qualname, arguments)
    plain = call(*every["os.system"][:2], *every["os.system"][2])
    yield from _nested(plain)
    yield from _through_allowed(canary, plain)
    yield from _through_ours(canary, plain)
    yield from _state_and_registry(canary)


def _nested(plain: bytes) -> Iterator[tuple[str, bytes]]:
    yield "in-list", b"](" + plain + b"e"
    yield "in-tuple", b"(" + plain + b"t"
    yield "in-dict", b"}(" + text("k") + plain + b"u"
    yield "as-key", b"}(" + plain + b"Nu"
    yield "in-set", b"\x8f(" + plain + b"\x90"
    yield "in-frozenset", b"(" + plain + b"\x91"
    yield "dropped", plain + b"0N"
    yield "dropped-at-mark", b"(" + plain + b"1N"
    yield "twice", b"](" + plain + plain + b"e"
    yield "deep", b"](" * 50 + plain + b"e" * 50
    yield "in-deque", call("collections", "deque") + b"(" + plain + b"e"
    yield "in-ordered", call("collections", "OrderedDict") + b"(" + text("k") + plain + b"u"
    yield "appended-to-a-name", name("os", "system") + b"(" + plain + b"e"


def _through_allowed(canary: Path, plain: bytes) -> Iterator[tuple[str, bytes]]:
    touch = f"touch {canary}"
    factory = b"(" + name("os", "getcwd") + b"tR"
    yield "factory", name("collections", "defaultdict") + factory
    for method in ("append", "__class__", "__reduce__", "__init_subclass__", "fromhex"):
        yield f"getattr-{method}", call("builtins", "getattr", [], method)
        yield f"dotted-{method}", name("builtins", f"list.{method}") + pieces((touch,)) + b"R"
    for dotted in ("os.system", "path.os.system", "__builtins__", "sys.modules"):
        yield f"dotted-os-{dotted}", name("os", dotted) + pieces((touch,)) + b"R"
        yield f"dotted-collections-{dotted}", name("collections", f"abc.{dotted}") + b")R"
    for module in ("numpy", "torch", "datetime", "pathlib", "decimal", _OURS + ".arrays"):
        yield f"other-of-{module}", name(module, "sys.modules") + pieces((touch,)) + b"R"
        yield f"os-of-{module}", name(module, "os.system") + pieces((touch,)) + b"R"
    yield "path-touch", name("pathlib", "Path.touch") + b"(" + call("pathlib", "PosixPath") + b"tR"
    yield "object-array", (
        name("numpy._core.multiarray", "_reconstruct")
        + b"(" + name("numpy", "ndarray") + pieces((0,)) + pieces(b"b") + b"tR"
    )  # fmt: skip
    dtype = call("numpy", "dtype", "O8", False, True)
    yield "object-dtype", dtype + pieces((3, "|", None, None, None, -1, -1, 63)) + b"b"
    yield "object-scalar", (
        name("numpy._core.multiarray", "scalar")
        + b"(" + dtype + pieces((3, "|", None, None, None, -1, -1, 63)) + b"b" + plain + b"tR"
    )  # fmt: skip
    yield "named-dtype", call("numpy", "dtype", "f4,O", False, True) + b"Nb"
    yield "dtype-metadata", call("numpy", "dtype", "f4", False, True) + b"(K\x03" + plain + b"tb"
    yield "torch-load", call("torch", "load", "/dev/null")
    yield "torch-storage", call("torch.storage", "_load_from_bytes", b"x")
    yield "torch-rebuild", call("torch._utils", "_rebuild_tensor_v2", None, 0, (), (), False, {})
    yield "uuid-state", name("uuid", "UUID") + b")\x81" + b"}(" + text("int") + plain + b"ub"
    yield "decimal-context", call("decimal", "setcontext", None)
    yield "copyreg", call("copyreg", "_reconstructor", None, None, None)
    yield "copyreg-newobj", name("copyreg", "__newobj__") + b"(" + plain + b"tR"
    yield "import-module", call("importlib", "import_module", "antigravity")


def _through_ours(canary: Path, plain: bytes) -> Iterator[tuple[str, bytes]]:
    source = f"open({str(canary)!r}, 'w').close()"
    inner = whole(call("builtins", "open", str(canary), "w"))
    code = marshal.dumps(compile(source, "x", "exec"))

    def ours(module: str, builder: str, *arguments: object) -> bytes:
        return call(f"{_OURS}.{module}", builder, *arguments)

    yield "frame", ours("frames", "build_frame", inner)
    yield "code", ours("sources", "build_code", source, "f", 0, None, ("<module>", 1), 0)
    yield "bytecode", ours("sources", "build_bytecode", (3, 11), "f", code)
    yield "function", (
        name(f"{_OURS}.functions", "build_function")
        + b"(" + ours("sources", "build_bytecode", (3, 11), "f", code)
        + pieces("os") + pieces("f") + b"NtR)R"
    )  # fmt: skip
    yield "class", ours("classes", "build_class", "0" * 32, None, "C", (), {}, None)
    yield "class-state", ours("classes", "set_class_state", None, ({"__del__": 1}, ()))
    yield "set-instance", ours("instances", "set_instance", [], ({"__class__": 1}, {}, None))
    yield "set-dict", ours("instances", "set_dict", [], {})
    yield "find", ours("modules", "find", "os", "system") + pieces((f"touch {canary}",)) + b"R"
    yield "import-with", ours("modules", "import_with", "antigravity", ())
    yield "module", ours("modules", "build_module", "antigravity", ()) + b")R"
    yield "import", ours("modules", "build_import", "os", "system") + pieces(("x",)) + b"R"
    yield "import-of-eval", ours("modules", "build_import", "builtins", "exec")
    yield "lazy", ours("modules", "LazyImport", "os", "system", "h")
    yield "part-by-code", ours("parts", "part_by_code", "os.system")
    yield "take-state", ours("opaque", "take_state", [], {})
    yield "frames-module", name(f"{_OURS}.frames", "pickle.loads") + pieces((inner,)) + b"R"
    yield "own-loader", ours("receive", "table_from", inner, [], {})
    yield "singledispatch", ours("reducers", "build_singledispatch", None, {})
    yield (
        "remote-elsewhere",
        ours("remote", "build_remote", "k", "x", "other-host", "t", None, None, "r"),
    )
    yield "array-of-call", (name(f"{_OURS}.arrays", "build_array") + b"(" + plain + b"NNNNNtR")
    yield (
        "huge-array",
        ours("arrays", "build_array", bytearray(8), "f8", (2**60,), "C", True, False),
    )
    yield (
        "tensor-of-text",
        ours("tensors", "build_tensor", "s", "cpu", "f", 0, (1,), (1,), False, False),
    )
    yield "storage-of-text", ours("tensors", "build_storage", "s", "cpu")
    yield "extras-of-list", ours("tensors", "set_extras", [], (None, {"__class__": 1}))


def _state_and_registry(canary: Path) -> Iterator[tuple[str, bytes]]:
    touch = f"touch {canary}"
    state = b"}(" + text("__setstate__") + name("os", "system") + b"u"
    for called, target in {
        "list": b"]", "dict": b"}", "text": text("x"), "none": b"N", "int": number(5),
        "name": name("os", "system"), "float": b"G" + bytes(8),
        "remote": name(f"{_OURS}.remote", "RemoteValue") + b")\x81",
        "exception": call("builtins", "Exception"), "module": name("os", "path"),
        "deque": call("collections", "deque"),
    }.items():  # fmt: skip
        yield f"build-{called}", target + state + b"b"
        yield f"build-twice-{called}", target + state + b"b" + text(touch) + b"b"
    for opcode in (b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"):
        yield f"extension-{opcode[0]:x}", opcode + pieces((touch,)) + b"R"
    yield "persistent-text", f"P{touch}\n".encode()
    yield "persistent", text(touch) + b"Q"
    yield "dup", b"]2a"
    yield "string", f"S'{touch}'\n".encode()
    yield "long", b"L" + b"9" * 100 + b"L\n"
    yield "unicode", b"V\\u0041\n"
    yield "put", b"Np0\n"
    yield "get", b"g0\n"


def obeyed(body: bytes) -> None:
    """Load a value as pickle would. For the proof that the corpus is hostile."""
    pickle.Unpickler(io.BytesIO(whole(body))).load()
