"""One notebook's tie to one host: who it is there, and what can be asked between cells."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .fetching import bring
from .wire import messages as m
from .wire.errors import MacGPUError, WorkerError
from .wire.values import confined, restore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .cell import Dialect
    from .fleet.hosts import Host
    from .link import Link
    from .wire.values.remote import RemoteValue

#: Seconds that a worker may take for an operation; it waits for a cell that runs.
_OPERATION = 600.0


@dataclass(slots=True, kw_only=True)
class Session:
    """A notebook on a host.

    Attributes
    ----------
    session
        Its id there: 32 hexadecimal digits.
    environment
        What its worker runs in; fixed at its first run.
    announced
        Whether the user was told that cells run here.
    hashed
        SHA-256 of files that were put, by path and by what says that they have not changed.
    """

    host: Host
    link: Link
    session: str = field(default_factory=lambda: secrets.token_hex(16))
    environment: dict[str, Any] = field(default_factory=dict)
    announced: bool = False
    hashed: dict[tuple[object, ...], str] = field(default_factory=dict)

    def operate(self, action: str, **detail: Any) -> tuple[m.Operated, list[memoryview]]:
        """Do something with the session's live values; return the answer and its parts.

        Raises
        ------
        WorkerError
            If the worker will not or cannot do it.
        TransportError
            If the host cannot be reached.
        """
        operation = secrets.token_hex(8)
        answer = self.link.ask(
            m.Operate(operation=operation, session=self.session, action=action, detail=detail),
            lambda message: isinstance(message, m.Operated) and message.operation == operation,
            _OPERATION,
        )
        assert isinstance(answer, m.Operated)
        if answer.error:
            raise WorkerError(
                f"{self.host.name}: {answer.error}.",
                known="No cell was started.",
                next="%macgpu values shows what the worker holds.",
            )
        return answer, bring(self.link, answer, str(answer.detail.get("stored", "")))

    def leave(self) -> None:
        """End the session on its host, if that is connected, and all that leads there."""
        try:
            if self.link.open:
                self.operate("close")
        except MacGPUError:
            pass  # the host finds out by itself
        finally:
            self.link.drop()


def fetch_value(
    value: RemoteValue, sessions: Iterable[Session], namespace: dict[str, Any], dialect: Dialect
) -> object:
    """Bring a value that stayed on its host, in one of these sessions.

    Raises
    ------
    MacGPUError
        If that session is over.
    WorkerError
        If it cannot travel. It is still there.
    """
    info = value.info
    session = next((one for one in sessions if one.host.name == info.host), None)
    if session is None:
        raise MacGPUError(
            f"{info.name} was on {info.host}, in a session that is over.",
            known="Its worker has ended.",
            kept="Nothing of it is left there.",
            next="Compute it again in a %%macgpu cell.",
        )
    _answer, parts = session.operate("fetch", key=info.key)
    if session.host.trust == "data":
        return confined.fetched(parts, info)
    return restore.apply(
        parts[1],
        parts[2:],
        {},
        namespace,
        run=info.key,
        host=info.host,
        register_source=dialect.register_source,
    ).result[0]
