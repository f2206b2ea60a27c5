"""One pickler and one unpickler that number the objects of a graph alike.

The C pickler gives each object that it memoizes the next number, and the C
unpickler does the same on the other side. That numbering is the only address an
object needs: `Encoder.table` and `Decoder.table` are the two ends of it, and a
later stream that starts from the table (`Encoder.start_from`) names an object of
the earlier one by its number.
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import cloudpickle

from .naming import LIBRARIES
from .refusals import Unshippable, refusal
from .registry import ClassRegistry

Table = dict[int, object]
Reducer = Callable[["Encoder", Any], Any]


class RegisterSource(Protocol):
    """Called by the receiving side with each cell source that a function came from."""

    def __call__(self, filename: str, source: str, number: int | None, /) -> None:
        """Remember the source."""


class Encoder(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles a sequence of values as one graph.

    Parameters
    ----------
    namespace
        The session namespace of this side. A function whose globals it is travels
        without them and uses the other side's namespace there.
    classes
        The notebook classes that this process has sent or received.
    number_of
        Execution count of the cell whose code has this file name, if it is one.
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        classes: ClassRegistry,
        number_of: Callable[[str], int | None] = lambda _filename: None,
    ) -> None:
        self.file = io.BytesIO()
        self.buffers: list[pickle.PickleBuffer] = []
        self.nbytes_out_of_band = 0
        super().__init__(self.file, protocol=5, buffer_callback=self._keep)
        self.namespace = namespace
        self.classes = classes
        self.number_of = number_of
        self.global_names: dict[str, None] = {}
        self.attribute_names: set[str] = set()
        self.notes: dict[str, None] = {}
        #: Per library, what its reducers must remember during one pickling.
        self.scratch: dict[str, Any] = {}
        #: Ids of the objects that the other side has.
        self.known: frozenset[int] = frozenset()
        self._reducers: dict[type, Reducer | None] = {}

    @property
    def nbytes(self) -> int:
        """Bytes so far, out-of-band buffers included. Nothing is copied to know it."""
        return self.file.tell() + self.nbytes_out_of_band

    def table(self) -> Table:
        """Every object that was numbered, by its number."""
        return dict(self.memo.copy().values())

    def start_from(self, table: Table) -> None:
        """Count on from `table`, whose objects then travel as their numbers."""
        memo: dict[int, tuple[int, object]] = {}
        for index, obj in table.items():
            # Two numbers may lead to one object here (what was rebuilt is a singleton).
            # The memo's size is the next number, so the second one needs an entry too.
            entry = object() if id(obj) in memo else obj
            memo[id(entry)] = (index, entry)
        self.memo = memo
        self.known = frozenset(memo)

    def substitute(self, obj: object, stand_in: object) -> None:
        """Let every later occurrence of `obj` travel as `stand_in`.

        Works for any type, exact lists and dicts included, for which the C pickler
        asks nobody: the number of `stand_in` is given to `obj`.
        """
        self.dump(stand_in)
        memo = self.memo.copy()
        index, _ = memo.pop(id(stand_in))
        self.memo = {**memo, id(obj): (index, obj)}

    def reads(self, global_names: Iterable[str], attribute_names: Iterable[str]) -> None:
        """Remember what a function of the notebook reads from its namespace."""
        self.global_names.update(dict.fromkeys(global_names))
        self.attribute_names.update(attribute_names)

    def note(self, text: str) -> None:
        """Say something of the values to the user, once."""
        self.notes[text] = None

    def reducer_override(self, obj: Any) -> Any:
        """Reduce an object by its type; the C pickler asks for all but the builtin types."""
        cls = type(obj)
        try:
            reducer = self._reducers[cls]
        except KeyError:
            reducer = self._reducers[cls] = _reducer_for(cls)
        if reducer is None:
            return NotImplemented
        return reducer(self, obj)

    def _keep(self, buffer: pickle.PickleBuffer) -> None:
        self.buffers.append(buffer)
        self.nbytes_out_of_band += buffer.raw().nbytes


def _reducer_for(cls: type) -> Reducer | None:
    reason = refusal(cls)
    if reason is not None:
        return partial(_refuse, reason=reason)
    for base in cls.__mro__:
        library = LIBRARIES.get(base.__module__.partition(".")[0])
        if library is not None:
            module = importlib.import_module(f"{__package__}.{library}")
            reducer: Reducer | None = module.reducer_for(cls)
            if reducer is not None:
                return reducer
    return importlib.import_module(f"{__package__}.reducers").reducer_for(cls)  # type: ignore[no-any-return]


def _refuse(_encoder: Encoder, obj: Any, *, reason: str) -> Any:
    raise Unshippable(obj, reason)


class Decoder(pickle.Unpickler):
    """Loads what an `Encoder` dumped.

    A function marked with `builder` gets the decoder as its first argument, which is
    how rebuilt functions find this side's namespace without a global variable.

    Parameters
    ----------
    stream, buffers
        What the encoder wrote.
    namespace
        The session namespace of this side.
    classes
        The notebook classes that this process has sent or received.
    on_worker
        Which side this is. The worker imports what the stream names, and lets it change
        classes that exist; the notebook does neither: its classes are the truth.
    live
        The live objects of remote values, by key. None on the notebook's side, where
        remote values stay handles.
    host
        Where the stream comes from, for the texts of lazy imports.
    register_source
        Called with the source of each cell that a function came from.
    """

    def __init__(
        self,
        stream: bytes | bytearray | memoryview,
        buffers: Iterable[Any],
        *,
        namespace: dict[str, Any],
        classes: ClassRegistry,
        on_worker: bool,
        live: Mapping[str, object] | None = None,
        host: str = "the worker",
        register_source: RegisterSource | None = None,
    ) -> None:
        self.file = io.BytesIO(stream)
        super().__init__(self.file, buffers=buffers)
        self.namespace = namespace
        self.classes = classes
        self.on_worker = on_worker
        self.live = live
        self.host = host
        self.register_source = register_source
        #: Whether tensors go to the devices that they belong to, where there are these.
        self.to_devices = on_worker
        #: Functions and classes that were rebuilt here, against those imported by name.
        self.made: set[int] = set()
        #: Live objects of remote values: the notebook has handles in their place.
        self.held: set[int] = set()
        #: What could not be imported or rebuilt: its name -> why. Filled only where
        #: `missing` is set; otherwise the error is raised.
        self.missing: dict[str, str] | None = None
        #: Objects that were made and could not be filled.
        self.broken: list[object] = []
        self.scratch: dict[str, Any] = {}
        self._seed: Table = {}

    def table(self) -> Table:
        """Every object that was numbered, by its number."""
        return dict(self.memo.copy())

    def start_from(self, table: Table) -> None:
        """Resolve the numbers of `table` to its objects. Call before the first load.

        ``Unpickler.memo`` cannot be assigned (CPython loses the assignment), so a
        stream is loaded that does nothing but number the objects again.
        """
        self._seed = table
        # BININT index, BINPERSID, MEMOIZE, POP for each; one frame, so that it is read at once.
        body = b"".join(b"J%bQ\x940" % index.to_bytes(4, "little") for index in range(len(table)))
        body += b"N."
        rest = self.file.read()
        self.file.seek(0)
        self.file.truncate()
        self.file.write(b"\x80\x05\x95" + len(body).to_bytes(8, "little") + body + rest)
        self.file.seek(0)
        self.load()

    def at_end(self) -> bool:
        """Say whether the whole stream was loaded."""
        return self.file.tell() == len(self.file.getbuffer())

    def persistent_load(self, pid: Any) -> Any:
        """Return an object of the table that the stream starts from."""
        return self._seed[pid]

    def find_class(self, module: str, name: str) -> Any:
        """Import what the stream names, and give our builders this decoder."""
        try:
            found = super().find_class(module, name)
        except (ImportError, AttributeError) as exc:
            if self.missing is None:
                raise
            self.missing[f"{module}.{name}"] = str(exc)
            return Missing
        if module.startswith(__package__ or "") and getattr(found, "takes_decoder", False):
            return partial(found, self) if self.missing is None else partial(self._try, found)
        return found

    def _try(self, build: Callable[..., Any], *arguments: Any) -> Any:
        """Build or fill an object; one that this side cannot have does not spoil the others."""
        assert self.missing is not None
        try:
            return build(self, *arguments)
        except Exception as exc:  # any error of any object's own code
            self.missing[f"{build.__name__}: {exc}"] = str(exc) or type(exc).__name__
            self.broken += arguments[:1]
            return Missing()


class Missing:
    """Stands for an object whose type does not exist on this side."""

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, item: object) -> None:
        """Take an item, as the unpickler wants it."""

    def extend(self, items: object) -> None:
        """Take items, as the unpickler wants it."""
