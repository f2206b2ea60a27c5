"""Reads a stream of a host that may send data and no code: an interpreter of our own.

The opcodes are those that the other side's pickler writes (protocol 5), and each is done here:
Python's unpickler is not asked, since with it a stream calls what it names. Here it can name what
`known` lists; for anything else a placeholder is put in its place, and reading goes on, so that
one such value does not spoil the others.

Rule 1: no module is imported, no attribute is looked up and nothing is called by the stream's
word. `known` has the functions that make values, and they take nothing for granted.

Rule 2: nothing that was not made here is changed here. The notebook's own objects are changed by
`confined`, one kind of change at a time.

Rule 3: lengths are compared with what has come before memory is taken, and what is made of the
stream is limited by the stream's own length.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..plain import plain_line
from .keys import NESTED, Shapes
from .known import find
from .opcodes import Opcodes, Unreadable
from .placeholders import Draft, Known, Own, Refused, T, is_refused

#: Bytes of objects that any stream may have made, and how many more for each byte of it.
ROOM = 256 * 2**20
ROOM_PER_BYTE = 16
_STOP = ord(".")
_CONTAINERS = (list, tuple, dict, set, frozenset, collections.deque)
_MAPPINGS = (dict, collections.OrderedDict, collections.defaultdict, collections.Counter)


class DataReader(Opcodes):
    """Reads values, one after the other, from one stream.

    Parameters
    ----------
    stream, buffers
        What the host sent.
    seeds
        What the stream's first numbers mean: the notebook's own objects, its code as `Own`.
    host
        Where the stream comes from.
    room
        Bytes of objects that may be made of it; None is by its length.
    """

    def __init__(
        self,
        stream: bytes | bytearray | memoryview,
        buffers: Iterable[Any] = (),
        *,
        seeds: Sequence[object] = (),
        host: str,
        room: int | None = None,
    ) -> None:
        super().__init__(stream, buffers, seeds)
        self.host = host
        #: What was made here, by id; it may be filled and is kept alive.
        self.made: dict[int, object] = {}
        self._shapes = Shapes()
        if room is None:
            room = ROOM + ROOM_PER_BYTE * len(self._data) + 2 * self.beside
        self._room = room
        self._clean: set[int] = set()
        # Steps of looking into values: a stream can have the same ones looked into again and again.
        self._looks = 1_000_000 + 10 * len(self._data)
        self._acts: dict[int, tuple[Callable[[], None], int]] = {
            ord(code): (getattr(self, f"_{name}"), cost) for code, name, cost in _OPCODES
        }

    def load(self) -> object:
        """Return the next value, with placeholders for what is not loaded.

        Raises
        ------
        Unreadable
            If the rest of the stream cannot be read. What was read before is good.
        """
        self._stack, self._marks = [], []
        data, acts, end = self._data, self._acts, len(self._data)
        while self._at < end:
            code = data[self._at]
            self._at += 1
            if code == _STOP:
                return self._pop()
            if code not in acts:
                raise Unreadable(f"byte {code:#04x} is none that our pickler writes")
            act, cost = acts[code]
            self._room -= cost
            if self._room < 0:
                self.spend(0)
            act()
        raise Unreadable("it is cut")

    def spend(self, nbytes: int) -> None:
        """Count memory that is about to be taken.

        Raises
        ------
        Unreadable
            If it is more than the stream may have.
        """
        self._room -= nbytes
        if self._room < 0:
            raise Unreadable("its objects would take far more memory than the bytes that came")

    def keep(self, value: T) -> T:
        """Remember a value that was made here and may hold others; return it."""
        self.made[id(value)] = value
        return value

    def refusals(self, value: object, *, settled: bool = False) -> list[Refused]:
        """Return the placeholders in a value.

        Parameters
        ----------
        settled
            Whether the whole stream was read, so that nothing in the value changes any more.
        """
        if not is_refused(value) and id(value) not in self.made:
            return []
        found: list[Refused] = []
        seen: set[int] = set()
        stack: list[Any] = [value]
        made, clean = self.made, self._clean
        while stack:
            item = stack.pop()
            if issubclass(type(item), Refused):
                found.append(item)
            elif id(item) in made and id(item) not in seen and id(item) not in clean:
                seen.add(id(item))
                stack.extend(_held(item))
            self._looks -= 1
            if self._looks < 0:
                return [*found, Refused("a value that is too entangled to be looked through")]
        if settled and not found:
            self._clean |= seen
        return found

    # Containers.

    def _empty_tuple(self) -> None:
        self._push(())

    def _tuple(self) -> None:
        self._push_tuple(self._items())

    def _tuple1(self) -> None:
        self._push_tuple([self._pop()])

    def _tuple2(self) -> None:
        last = self._pop()
        self._push_tuple([self._pop(), last])

    def _tuple3(self) -> None:
        last, middle = self._pop(), self._pop()
        self._push_tuple([self._pop(), middle, last])

    def _push_tuple(self, items: list[Any]) -> None:
        self.spend(8 * len(items))
        made = self.keep(tuple(items))
        # An entry of ours may hold a value that is as deep as values may be.
        deepest = NESTED if self._stack or self._marks else NESTED + 2
        self._push(made if self._shapes.hold(made, made, deepest) else _too_deep())

    def _empty_list(self) -> None:
        self._push(self.keep([]))

    def _empty_dict(self) -> None:
        self._push(self.keep({}))

    def _empty_set(self) -> None:
        self._push(self.keep(set()))

    def _frozenset(self) -> None:
        items = [self._hashable(item) for item in self._items()]
        self.spend(72 * len(items))
        made = self.keep(frozenset(items))
        self._push(made if self._shapes.hold(made, items) else _too_deep())

    def _append(self) -> None:
        self._extend([self._pop()])

    def _appends(self) -> None:
        self._extend(self._items())

    def _extend(self, items: list[Any]) -> None:
        target = self._target()
        self.spend(9 * len(items))
        if type(target) in (list, collections.deque):
            target.extend(self._fitting(target, items))

    def _additems(self) -> None:
        items = [self._hashable(item) for item in self._items()]
        target = self._target()
        self.spend(72 * len(items))
        if type(target) is set:
            target.update(self._fitting(target, items))

    def _setitem(self) -> None:
        value = self._pop()
        self._set_items([self._pop(), value])

    def _setitems(self) -> None:
        self._set_items(self._items())

    def _set_items(self, flat: list[Any]) -> None:
        target = self._target()
        if len(flat) % 2:
            raise Unreadable("it gives a key without a value")
        self.spend(60 * len(flat))
        if type(target) in _MAPPINGS:
            keys = self._fitting(target, [self._hashable(key) for key in flat[0::2]])
            for key, value in zip(keys, self._fitting(target, flat[1::2]), strict=True):
                target[key] = value

    def _target(self) -> Any:
        """Return what is to be filled: on the stack's top, made here; else a placeholder."""
        target = self._pop()
        self._push(target)
        if id(target) in self.made or is_refused(target):
            return target
        self._stack[-1] = Refused("a change of something that is not new")
        return self._stack[-1]

    def _fitting(self, target: object, items: list[Any]) -> list[Any]:
        if self._shapes.hold(target, items):
            return items
        return [_too_deep() if isinstance(item, _CONTAINERS) else item for item in items]

    def _hashable(self, key: object) -> object:
        if not self._shapes.may_be_key(key):
            return Refused(f"a {type(key).__name__} as a key")
        self.spend(self._shapes.weight(key))
        return key

    # What a stream may ask to be made.

    def _global(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise Unreadable("it names something without a name")
        self._push(find(module, name))

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        self._push(self._made_by(function, arguments))

    def _newobj(self) -> None:
        self._reduce()

    def _newobj_ex(self) -> None:
        self._pop()
        self._reduce()

    def _made_by(self, function: object, arguments: object) -> object:
        if type(arguments) is not tuple or not isinstance(function, Known):
            return Refused(_kind_of_instance(function))
        self.spend(sum(len(a) for a in arguments if type(a) in (str, bytes, bytearray)))
        try:
            return function.build(self, arguments)
        except Unreadable:
            raise
        except Exception as exc:  # whatever a library says of arguments that do not fit
            return Refused(f"{function.kind} ({plain_line(f'{type(exc).__name__}: {exc}')[:120]})")

    def _build(self) -> None:
        state, target = self._pop(), self._pop()
        if not isinstance(target, Draft):
            self._push(target if is_refused(target) else Refused(_kind_of_instance(target)))
            return
        try:
            made = target.finish(state)
        except Exception as exc:  # as in `_made_by`
            made = Refused(f"{target.kind} ({plain_line(f'{type(exc).__name__}: {exc}')[:120]})")
        for number in target.numbers:
            self._memo[number] = made
        self._push(made)


def _held(item: Any) -> Iterable[object]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, _CONTAINERS):
        return item
    return (*vars(item).values(), item.grad) if hasattr(item, "untyped_storage") else ()


def _kind_of_instance(function: object) -> str:
    if isinstance(function, Own):
        # Others may answer any question with an import: stand-ins of ours do.
        named = function.obj if _is_named(function.obj) else type(function.obj)
        name = getattr(named, "__name__", "object")
        return f"a new {plain_line(str(name))[:60]}"
    return function.kind if isinstance(function, Refused) else f"a {type(function).__name__}"


def _is_named(obj: object) -> bool:
    return issubclass(type(obj), (type, types.FunctionType))


def _too_deep() -> Refused:
    return Refused("a value that is nested too deeply")


#: Opcode, what is done here, and the bytes that its object takes. What the pickler of protocol 5
#: never writes is not here: names as lines, numbered entries, persistent ids, the extension
#: registry.
_OPCODES: tuple[tuple[str, str, int], ...] = (
    ("\x80", "proto", 0), ("\x95", "frame", 0), ("(", "mark", 8), ("0", "drop", 0),
    ("1", "drop_mark", 0), ("\x94", "memoize", 8), ("h", "binget", 8), ("j", "long_binget", 8),
    ("N", "none", 8), ("\x88", "true", 8), ("\x89", "false", 8), ("K", "int1", 8),
    ("M", "int2", 36), ("J", "int4", 36), ("\x8a", "long1", 36), ("\x8b", "long4", 36),
    ("G", "float", 32), ("\x8c", "text1", 60), ("X", "text4", 60), ("\x8d", "text8", 60),
    ("C", "bytes1", 44), ("B", "bytes4", 44), ("\x8e", "bytes8", 44), ("\x96", "bytearray8", 64),
    ("\x97", "buffer", 200), ("\x98", "read_only", 200), (")", "empty_tuple", 8),
    ("t", "tuple", 160), ("\x85", "tuple1", 160), ("\x86", "tuple2", 160), ("\x87", "tuple3", 160),
    ("]", "empty_list", 170), ("}", "empty_dict", 180), ("\x8f", "empty_set", 330),
    ("\x91", "frozenset", 330), ("a", "append", 0), ("e", "appends", 0), ("\x90", "additems", 0),
    ("s", "setitem", 0), ("u", "setitems", 0), ("\x93", "global", 300), ("R", "reduce", 1000),
    ("\x81", "newobj", 300), ("\x92", "newobj_ex", 300), ("b", "build", 300),
)  # fmt: skip
