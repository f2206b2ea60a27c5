"""The line over which one session's comms speak while no run is told of.

It is a connection of its own, opened when a session first shows a widget, and one thread listens on
it: so no cell waits for it, and it waits for no cell. A line without traffic is closed after
`RESTING` seconds, and opened again when the front end has something to say.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from .wire import messages as m
from .wire.errors import ConnectionLost, MacGPUError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .link import Link

#: Seconds without traffic after which the connection is closed.
RESTING = 600.0
#: Seconds of silence after which the host is asked whether it is there, and past which it is not.
HEARTBEAT, SILENCE = 20.0, 45.0
#: Seconds for which a lost host is looked for, and between two attempts.
PATIENCE, AGAIN = 120.0, 1.0
#: Seconds for which somebody waits who asks while there is no connection.
PROMPT = 5.0
#: Seconds between two looks at these.
_BLINK = 1.0


class CommLine:
    """One session's line. `say`, `ask`, `settle` and `close` are for all threads.

    Parameters
    ----------
    link
        A connection to the session's host, of the line's own.
    session
        The session.
    hear
        Takes what comes, in order: on a thread that waits in `ask`, or else on the line's.

    Attributes
    ----------
    over
        Whether the session has no worker any more.
    """

    def __init__(self, link: Link, session: str, hear: Callable[[CommLine, m.Comm], None]) -> None:
        self.link = link
        self.session = session
        self.over = False
        self._hear = hear
        self._state = threading.Condition()
        self._turn = threading.RLock()
        self._saying = threading.RLock()
        self._inbox: deque[m.Comm] = deque()
        self._unsaid: deque[m.Comm] = deque()
        self._asked: dict[int, str] = {}
        self._thread: threading.Thread | None = None
        self._open = False
        self._used = 0.0
        #: The highest number that was said.
        self._said_to = 0

    def start(self) -> None:
        """Open the connection in the background, if it is not open."""
        with self._state:
            if self._thread is None and not self.over:
                self._thread = threading.Thread(target=self._live, name="macgpu-comms", daemon=True)
                self._thread.start()

    def say(self, *messages: m.Comm) -> None:
        """Say something, now or when the connection is open; at most once."""
        with self._saying:
            self._unsaid += messages
            if self._open:
                try:
                    self._say_all()
                except ConnectionLost:
                    self._open = False  # the thread finds it too, and opens it again
        self.start()

    def ask(self, number: int, *messages: m.Comm) -> str:
        """Say something that has a number, and take what comes until it was done.

        Returns
        -------
        str
            ``done``, or why it will be done later: ``busy``, or ``lost`` where the host is out of
            reach.
        """
        deadline = time.monotonic() + PROMPT
        with self._state:
            self._asked[number] = ""
        try:
            self.say(*messages)
            while True:
                self._drain()
                with self._state:
                    if self._inbox:
                        continue
                    if self._asked[number]:
                        return self._asked[number]
                    if self.over or (not self._open and time.monotonic() > deadline):
                        return "lost"
                    self._state.wait(_BLINK)
        finally:
            with self._state:
                del self._asked[number]
            self._drain()

    def settle(self, number: int, how: str) -> None:
        """Have whoever asked `number` wait no longer."""
        with self._state:
            if number in self._asked:
                self._asked[number] = how
                self._state.notify_all()

    def close(self) -> None:
        """End the line."""
        with self._state:
            self.over = True
            self._state.notify_all()
        with self._saying:
            self._open = False
            self.link.close()

    # The line's thread.

    def _live(self) -> None:
        lost_since = 0.0
        while not self.over:
            try:
                self._open_up()
                lost_since = 0.0
                self._listen()
            except MacGPUError:
                lost_since = lost_since or time.monotonic()
                self._lost()
            with self._saying, self._state:
                given_up = lost_since and time.monotonic() - lost_since > PATIENCE
                if given_up or not (lost_since or self._unsaid):
                    self._thread = None
                    return
            time.sleep(AGAIN)

    def _lost(self) -> None:
        with self._state:
            self._open = False
            # What was not said yet is said over the next connection.
            for number in [number for number in self._asked if number <= self._said_to]:
                self._asked[number] = self._asked[number] or "lost"
            self._state.notify_all()

    def _open_up(self) -> None:
        self.link.connect()
        with self._saying:
            content = {"number": self._said_to}
            listen = m.Comm(session=self.session, action="listen", content=content)
            self._unsaid.appendleft(listen)
            self._say_all()
            self._open = True

    def _listen(self) -> None:
        pinged = 0.0
        while not self.over:
            message = self.link.listen(_BLINK)
            now = time.monotonic()
            if isinstance(message, m.Comm):
                self._used = now
                self._heard(message)
            elif message is None:
                silent = now - max(self.link.heard, self.link.greeted)
                if silent > SILENCE:
                    raise ConnectionLost(f"{self.link.host} has been silent for {silent:.0f} s.")
                if silent > HEARTBEAT and now - pinged > HEARTBEAT:
                    pinged = now
                    with self._saying:
                        self.link.say(m.Ping(number=1))
                if now - self._used > RESTING and self._rest():
                    return

    def _rest(self) -> bool:
        with self._saying:
            if self._unsaid:
                return False
            self._open = False
            self.link.close()
            return True

    def _heard(self, message: m.Comm) -> None:
        with self._state:
            self._inbox.append(message)
            if self._asked:
                self._state.notify_all()
                return
        self._drain()

    def _drain(self) -> None:
        with self._turn:
            while self._inbox:
                self._hear(self, self._inbox.popleft())

    def _say_all(self) -> None:
        self._used = time.monotonic()
        while self._unsaid:
            if not self.link.open:
                raise ConnectionLost(f"There is no connection to {self.link.host}.")
            message = self._unsaid.popleft()
            self._said_to = max(self._said_to, int(message.content.get("number") or 0))
            self.link.say(message)
