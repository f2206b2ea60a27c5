"""What the server answers when it does not do what was asked: the code, and why in three parts."""

from __future__ import annotations

from ..wire.errors import (
    ConfigError,
    InputError,
    MacGPUError,
    PlacementError,
    RunRefused,
    TransportError,
    WorkerError,
)

#: What each kind of error is over HTTP; the first that fits counts.
_CODES: tuple[tuple[type[MacGPUError], int], ...] = (
    (InputError, 400),
    (RunRefused, 409),
    (PlacementError, 409),
    (ConfigError, 409),
    (WorkerError, 409),
    (TransportError, 503),
)


class Unknown(MacGPUError):
    """There is no such host, run or schedule."""

    known, kept = "Nothing was done.", ""
    next = "The state lists what is known now."

    def __init__(self, what: str = "There is nothing of this name.") -> None:
        # One text for what is not there and for what can be no name at all.
        super().__init__(what)


class BadBody(InputError):
    """What was sent is not as the interface's description has it. Nothing was done."""

    known, kept = "Nothing was done.", ""
    next = "openapi.yaml of the package says what can be sent."


def code_of(error: MacGPUError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, Unknown):
        return 404
    return next((code for kind, code in _CODES if isinstance(error, kind)), 500)


def told(error: MacGPUError) -> dict[str, str]:
    """Return an error as the browser is told of it."""
    reason = " ".join(part for part in (error.known, error.kept) if part)
    return {"message": error.what, "reason": reason, "hint": error.next}
