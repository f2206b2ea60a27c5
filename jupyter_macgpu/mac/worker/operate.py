"""Operations on live values, between cells: bring one home, list them, let go of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...wire import messages as m
from ...wire.values.changes import RESULT, Changes
from ...wire.values.receive import nothing_received

if TYPE_CHECKING:
    from collections.abc import Callable

    from .holdings import Holdings
    from .results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Does operations. On the main thread, one at a time.

    Attributes
    ----------
    namespace
        The cells' namespace: what functions that go home are taken out of.
    number_of
        Execution count of the cell whose code has a file name.
    """

    holdings: Holdings
    results: Results
    namespace: dict[str, Any]
    number_of: Callable[[str], int | None]

    def do(self, message: m.Operate) -> m.Operated:
        """Do what is asked; what goes wrong is in the answer's `error`."""
        try:
            match message.action:
                case "fetch":
                    return self._fetch(message)
                case "values":
                    detail: dict[str, Any] = {"values": self.holdings.listed()}
                case "free":
                    detail = {"freed": self.holdings.free(message.detail.get("keys") or ())}
                case _:
                    error = f"{message.action} is no operation of this worker"
                    return m.Operated(operation=message.operation, error=error)
        except Exception as error:  # whatever a value's own code raises
            text = f"{type(error).__name__}: {error}"
            return m.Operated(operation=message.operation, error=text)
        return m.Operated(operation=message.operation, detail=detail)

    def _fetch(self, message: m.Operate) -> m.Operated:
        key = str(message.detail.get("key"))
        known = self.holdings.all()
        if key not in known:
            error = "The worker does not hold this value any more."
            return m.Operated(operation=message.operation, error=error)
        changes = self._changes(message.operation, known[key])
        if changes.remote:
            error = f"The value {changes.remote[0].reason}"
            return m.Operated(operation=message.operation, error=error)
        packed = self.results.pack(message.operation, "{}", changes)
        return m.Operated(
            operation=message.operation,
            detail={"path": packed.path} if packed.path else {},
            size=packed.size,
            result=packed.digest,
            buffers=packed.buffers,
        )

    def _changes(self, operation: str, value: object) -> Changes:
        # A run that changed nothing and whose last expression was the value.
        return nothing_received(self.number_of).changes(
            self.namespace, run=operation, host="", result=(value,), only=(RESULT,)
        )
