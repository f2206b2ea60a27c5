"""pandas: a frame is one value, its blocks are its own business.

Frames share memory under copy-on-write. An array that two frames share must not be
filled in place because one of them changed, so the arrays inside a frame are not
objects of the graph: the frame is compared and updated whole.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import cloudpickle
import pandas as pd  # type: ignore[import-untyped]

from .opaque import CannotUpdate
from .parts import PARTS, Part

if TYPE_CHECKING:
    from .graph import Encoder

_WHOLE = (pd.DataFrame, pd.Series, pd.Index, pd.api.extensions.ExtensionArray)


def reducer_for(cls: type) -> Any:
    """Return the reducer of a pandas type, or None for pickle's own way."""
    return reduce_frame if issubclass(cls, _WHOLE) else None


def parts_for(cls: type) -> tuple[Part, ...] | None:
    """Return what can change in a pandas object, or None to ask the object."""
    return (FRAME,) if issubclass(cls, _WHOLE) else None


def reduce_frame(_encoder: Encoder, frame: Any) -> Any:
    """Send a frame as a pickle of its own, its buffers out of band."""
    return build_frame, sealed(frame)


def build_frame(stream: bytes, *buffers: Any) -> Any:
    """Load a frame from its own pickle."""
    return pickle.loads(stream, buffers=buffers)


def sealed(frame: Any) -> tuple[Any, ...]:
    """Pickle a frame by itself: the stream, then its buffers."""
    buffers: list[pickle.PickleBuffer] = []
    stream = cloudpickle.dumps(frame, protocol=5, buffer_callback=buffers.append)
    return (stream, *buffers)


class _FrameContent:
    """A frame as its own pickle would be."""

    code = "pandas.frame"

    def snapshot(self, obj: Any) -> Any:
        stream, *buffers = sealed(obj)
        return stream, [bytes(buffer.raw()) for buffer in buffers]

    def changed(self, obj: Any, before: Any) -> bool:
        return bool(self.snapshot(obj) != before)

    def elements(self, _obj: Any) -> Iterable[object]:
        return ()

    def export(self, obj: Any, _before: Any) -> Any:
        if not hasattr(obj, "__setstate__"):
            raise CannotUpdate
        return sealed(obj)

    def restore(self, obj: Any, state: Any) -> None:
        obj.__setstate__(build_frame(*state).__getstate__())


FRAME = _FrameContent()
PARTS[FRAME.code] = FRAME
