"""The notebook's handle of a value that stayed on its host."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from ..errors import RemoteValueError
from .naming import builder

if TYPE_CHECKING:
    from .graph import Decoder, Encoder

#: How the reason begins of a value that no size and no limit keeps where it is.
UNPICKLED = "cannot be pickled"
#: Brings a value home. The session sets it; it may raise what the road raises.
Resolver = Callable[["RemoteValue"], object]


class NotHeldError(LookupError):
    """The process that held a value has ended, and another one is asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteInfo:
    """What the notebook is told of a value that stays where it is.

    Attributes
    ----------
    key
        Names the live object on its host.
    shape
        Length of each axis, where the type has axes.
    nbytes
        Size of its data, where it is known.
    reason
        Why it stayed, in words: "larger than 256 MiB".
    """

    key: str
    name: str
    host: str
    type_name: str
    shape: tuple[int, ...] | None
    nbytes: int | None
    reason: str


class RemoteValue:
    """A value that is on its host, and only there.

    In a `%%macgpu` cell the name is the value itself. Here it is this handle: its
    repr says what it is, `fetch` brings it, and any other use raises
    `RemoteValueError`.
    """

    __slots__ = ("__weakref__", "info")
    info: RemoteInfo

    resolver: ClassVar[Resolver | None] = None
    _alive: ClassVar[weakref.WeakSet[RemoteValue]] = weakref.WeakSet()

    def __init__(self, info: RemoteInfo) -> None:
        object.__setattr__(self, "info", info)
        RemoteValue._alive.add(self)

    @classmethod
    def held_on(cls, host: str) -> list[str]:
        """Return the keys of the handles that somebody here still holds, of one host."""
        return [handle.info.key for handle in cls._alive if handle.info.host == host]

    @classmethod
    def names_on(cls, host: str) -> dict[str, str]:
        """Return the names of the handles that somebody here still holds, of one host, by key."""
        return {each.info.key: each.info.name for each in cls._alive if each.info.host == host}

    def fetch(self) -> object:
        """Bring the value here, whatever its size.

        Raises
        ------
        RemoteValueError
            If nothing is connected to its host. The value is still there.
        """
        if RemoteValue.resolver is None:
            raise RemoteValueError(
                f"{self.info.name} cannot be fetched: nothing is connected to {self.info.host}.",
                known="No cell has run since this kernel started.",
                kept=f"{self.info.name} is still on {self.info.host} if its worker lives.",
                next="Run a %%macgpu cell first, then fetch it again.",
            )
        return RemoteValue.resolver(self)

    def __repr__(self) -> str:
        info = self.info
        shape = "" if info.shape is None else f" {info.shape}"
        size = "" if info.nbytes is None else f", {format_size(info.nbytes)}"
        return f"<{info.type_name}{shape}{size} on {info.host}: {info.reason}>"

    def __getattr__(self, attribute: str) -> NoReturn:
        # Protocols that ask whether a method exists get the answer that they expect.
        if attribute.startswith(("_repr_", "_ipython_", "__")):
            raise AttributeError(attribute)
        self._refuse()

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        name, host, reason = self.info.name, self.info.host, self.info.reason
        bring = f"Bring it with {name}.fetch(), or use it in a %%macgpu cell."
        if reason.startswith(UNPICKLED):
            bring = "Use it in a %%macgpu cell; what such a cell takes out of it comes here."
        raise RemoteValueError(
            f"{name} is on {host}, not here.",
            known=f"It stayed there: {reason}.",
            kept=f"The value is live on {host}.",
            next=bring,
        )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self._refuse()

    __setattr__ = __delattr__ = _refuse
    __call__ = __len__ = __iter__ = __next__ = __bool__ = __contains__ = _refuse
    __getitem__ = __setitem__ = __delitem__ = __enter__ = __exit__ = _refuse
    __int__ = __float__ = __index__ = __complex__ = _refuse
    __neg__ = __pos__ = __abs__ = __invert__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _refuse
    __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __and__ = __rand__ = _refuse
    __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse


def reduce_remote(encoder: Encoder, value: RemoteValue) -> Any:
    """Send a handle as what it says; on its host that is the live object."""
    info = value.info
    encoder.scratch.setdefault("holders", set()).add(info.host)
    encoder.scratch.setdefault("handles", set()).add(info.key)
    fields = (info.key, info.name, info.host, info.type_name, info.shape, info.nbytes, info.reason)
    return build_remote, fields


@builder
def build_remote(
    decoder: Decoder,
    key: str,
    name: str,
    host: str,
    type_name: str,
    shape: tuple[int, ...] | None,
    nbytes: int | None,
    reason: str,
) -> object:
    """Return the live object on its host, or a handle anywhere else."""
    if decoder.live is None:
        return RemoteValue(
            RemoteInfo(
                key=key,
                name=name,
                host=host,
                type_name=type_name,
                shape=shape,
                nbytes=nbytes,
                reason=reason,
            )
        )
    if key not in decoder.live:
        raise NotHeldError(f"{name} is not held here any more")
    decoder.held.add(id(decoder.live[key]))
    return decoder.live[key]


def describe(value: object, *, key: str, name: str, host: str, reason: str) -> RemoteInfo:
    """Say what is known of a live value without computing anything."""
    from .refusals import type_name

    shape = getattr(value, "shape", None)
    try:
        axes = None if shape is None else tuple(int(length) for length in shape)
    except (TypeError, ValueError):
        axes = None
    nbytes = getattr(value, "nbytes", None)
    return RemoteInfo(
        key=key,
        name=name,
        host=host,
        type_name=type_name(type(value)),
        shape=axes,
        nbytes=nbytes if isinstance(nbytes, int) else None,
        reason=reason,
    )


def format_size(nbytes: int) -> str:
    """Write a number of bytes as people read it: 3 significant digits or 4, binary units."""
    size, unit = float(nbytes), "B"
    for larger in ("KiB", "MiB", "GiB"):
        # What is rounded to 1024 is 1 of the next.
        if round(size) < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 999.5 else f"{size:.3g} {unit}"
