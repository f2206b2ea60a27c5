"""``macgpu doctor``: the way to a host, step by step, until something is wrong.

A step that fails says what mends it; what stands behind it is not tried.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from . import __version__
from .trial import value_of
from .wire.errors import MacGPUError
from .wire.values.remote import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .fleet.hosts import Host
    from .pool import Pool
    from .wire import messages as m

Word = Literal["ok", "failed", "note", "skipped"]
#: Bytes that a host should have free: inputs, outputs and packages are kept there.
_ENOUGH_DISK = 5 * 1024**3
_BEHIND_THE_DOOR = ("interpreter", "version", "disk", "tensor")
_TENSOR = """
def compute():
    import importlib.util
    if importlib.util.find_spec("torch") is not None:
        import torch
        name = "mps" if torch.backends.mps.is_available() else (
            "cuda" if torch.cuda.is_available() else "cpu")
        right = float((torch.ones(8, device=name) * 2).sum()) == 16.0
        return f"torch {torch.__version__} on {name}", name, right
    if importlib.util.find_spec("mlx") is not None:
        import mlx.core as mx
        name = "gpu" if "gpu" in str(mx.default_device()) else "cpu"
        right = float((mx.ones(8) * 2).sum()) == 16.0
        return f"mlx on {name}", name, right
    return "neither torch nor mlx is installed there", "", True
compute()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One step.

    Attributes
    ----------
    name
        What was looked at.
    state
        ``ok``; ``failed``; ``note``, which works and is worth knowing; ``skipped``, since
        something before it failed.
    detail
        What was found.
    mend
        What to do about it.
    """

    name: str
    state: Word
    detail: str = ""
    mend: str = ""


def examine(pool: Pool, host: Host) -> Iterator[Check]:
    """Check one host, from the outside in. Yields each step when it is done."""
    for name, found in pool.reach.steps(host):
        if isinstance(found, MacGPUError):
            yield Check(name=name, state="failed", detail=found.what, mend=found.next)
            yield from _skipped(_after(pool.reach.step_names(host), name) + _BEHIND_THE_DOOR)
            return
        yield Check(name=name, state="ok", detail=found)
    try:
        hello = pool.session(host).link.connect()
    except MacGPUError as error:
        yield Check(name="interpreter", state="failed", detail=error.what, mend=error.next)
        yield from _skipped(_BEHIND_THE_DOOR[1:])
        return
    yield Check(name="interpreter", state="ok", detail=f"Python {hello.python}")
    yield _version(hello)
    yield _disk(hello)
    yield _tensor(pool, host)


def rows(checks: list[Check]) -> list[dict[str, Any]]:
    """Return checks as JSON has them."""
    return [asdict(check) for check in checks]


def line(check: Check) -> str:
    """Return a check as one line of text, and what mends it as another."""
    mend = f"\n{'':>10}{check.mend}" if check.mend else ""
    return f"{check.state:>8}  {check.name}: {check.detail}".rstrip(": ") + mend


def _after(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names[names.index(name) + 1 :]


def _skipped(names: tuple[str, ...]) -> Iterator[Check]:
    for name in names:
        yield Check(name=name, state="skipped")


def _version(hello: m.Hello) -> Check:
    theirs = str(hello.detail.get("version", "")) or "unknown"
    detail = f"{theirs} there, {__version__} here"
    if theirs == __version__:
        return Check(name="version", state="ok", detail=detail)
    mend = "They speak the same protocol. The newer one stays until its runs have ended."
    return Check(name="version", state="note", detail=detail, mend=mend)


def _disk(hello: m.Hello) -> Check:
    free = hello.detail.get("free")
    if free is None:
        return Check(name="disk", state="note", detail="free space unknown")
    detail = f"{format_size(int(free))} free"
    if int(free) >= _ENOUGH_DISK:
        return Check(name="disk", state="ok", detail=detail)
    mend = f"Make room where {hello.detail.get('state', 'its state')} is."
    return Check(name="disk", state="failed", detail=detail, mend=mend)


def _tensor(pool: Pool, host: Host) -> Check:
    """Compute something: what says that it is available need not work."""
    try:
        value = value_of(pool, host, _TENSOR)
    except MacGPUError as error:
        return Check(name="tensor", state="failed", detail=error.what, mend=error.next)
    detail, device, right = value
    if not right:
        return Check(name="tensor", state="failed", detail=f"{detail}: a wrong result")
    if not device:
        mend = "Install one of them, or name another interpreter with `python:`."
        return Check(name="tensor", state="note", detail=detail, mend=mend)
    return Check(name="tensor", state="note" if device == "cpu" else "ok", detail=detail)
