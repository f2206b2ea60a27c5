"""A client of a real supervisor on this machine, without a notebook around it."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, Self, TypeVar

from jupyter_macgpu.link import Link
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.wire import bundle
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.values.capture import capture

#: Seconds that anything here may take before the test fails.
PATIENCE = 60.0

M = TypeVar("M", bound=m.Message)


class Caller:
    """One connection to the supervisor, which it starts if there is none."""

    def __init__(self, notebook: str = "nb") -> None:
        self._link = Link(LocalTransport(), secrets.token_hex(4), notebook)
        self.hello = self._link.connect()
        self.session = secrets.token_hex(16)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    @property
    def supervisor(self) -> int:
        """Id of the supervisor's process."""
        return int(self.hello.detail["pid"])

    def say(self, message: m.Message) -> None:
        self._link.say(message)

    def listen(self, kind: type[M], seconds: float = PATIENCE) -> M:
        """Return the next message of a kind."""
        found = self.heard(kind, seconds)
        assert found is not None, f"no {kind.__name__} within {seconds} s"
        return found

    def heard(self, kind: type[M], seconds: float) -> M | None:
        """Return the next message of a kind, or None if there is none in time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            message = self._link.listen(left)
            if isinstance(message, kind):
                return message
            refused = isinstance(message, m.Refused) and kind is not m.Refused
            assert not refused, message
        return None

    def operate(self, action: str, **detail: Any) -> m.Operated:
        self.say(m.Operate(operation="1", session="", action=action, detail=detail))
        return self.listen(m.Operated)

    def submit(self, source: str, **options: Any) -> str:
        """Ask for a run of a cell without inputs; return its id."""
        description = {"source": source, "execution_count": 1, "cell_id": "c", "names": []}
        described = json.dumps(description | {"free": []}).encode()
        pieces = bundle.pack([described, capture([], {}).stream])
        run = secrets.token_hex(16)
        self.say(
            m.Submit(
                run=run,
                epoch=1,
                session=self.session,
                size=bundle.size_of(pieces),
                digest=bundle.digest_of(pieces),
                options=options,
                buffers=(b"".join(pieces),),
            )
        )
        return run

    def reaches(self, state: str) -> m.RunState:
        """Wait until the run is in a state."""
        while (told := self.listen(m.RunState)).state != state:
            pass
        return told
