"""Talk about the files of a session's folder: what is asked of the host, and what it answers."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from .fetching import SILENCE
from .wire import messages as m
from .wire.errors import ConnectionLost, MacGPUError, TransportError
from .wire.folder import BadPath, inside, matches
from .words import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .session import Session

#: Seconds between two looks at whether to stop.
_BLINK = 0.1
#: Files that one list may have; a host that names more is not believed.
_MOST = 200_000
_AGAIN = "Do it again: what is there already, unchanged, is not sent a second time."


class FilesError(MacGPUError):
    """Files cannot be brought to a host, or from one."""

    known = "No run was started."
    kept = "Files that are whole stay; of others nothing is there."
    next = "%macgpu files lists what is in the session's folder."


def never() -> bool:
    """Go on, whatever happens: what `stop` is where nobody asks to."""
    return False


class Talk:
    """One conversation about one session's files.

    Parameters
    ----------
    session
        Whose folder; its link is used by nobody else meanwhile.
    stop
        Asked now and then whether to leave off.

    Raises
    ------
    TransportError
        If the host cannot be reached.
    FilesError
        If it knows nothing of files.
    """

    def __init__(self, session: Session, stop: Callable[[], object] = never) -> None:
        self.host = session.host.name
        self.link = session.link
        self.hashed = session.hashed
        self._session = session.session
        self._stop = stop
        self._answers: dict[str, m.Operated] = {}
        self._asked = 0.0
        if "files" not in self.link.connect().capabilities:
            raise FilesError(
                f"{self.host} runs an older version, which takes no files.",
                next="Install the same version of jupyter-macgpu on both sides.",
            )

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Close the connection if what is said in this block is not brought to its end.

        What is under way then would come between the next answers.
        """
        try:
            yield
        except TransportError as error:
            error.known, error.kept, error.next = FilesError.known, FilesError.kept, _AGAIN
            raise
        except BaseException:
            self.link.close()
            raise

    def ask(self, action: str, buffers: m.Buffers = (), **detail: Any) -> str:
        """Ask something; return the number under which `answer` has the answer."""
        self.check_stop()
        self.link.connect()
        operation = secrets.token_hex(8)
        self.link.say(
            m.Operate(
                operation=operation,
                session=self._session,
                action=action,
                detail=detail,
                buffers=buffers,
            )
        )
        self._asked = time.monotonic()
        return operation

    def answer(self, operation: str, about: str = "") -> m.Operated:
        """Wait for an answer.

        Parameters
        ----------
        about
            The file that was asked about, for the error.

        Raises
        ------
        FilesError
            If the host will not or cannot do it.
        """
        while operation not in self._answers:
            self.hear()
        answer = self._answers.pop(operation)
        if answer.error:
            file = f"{shown(about)}: " if about else ""
            raise FilesError(f"{self.host}: {file}{answer.error}.")
        return answer

    def answered(self, operation: str) -> bool:
        """Say whether an answer is here."""
        return operation in self._answers

    def hear(self) -> m.Message | None:
        """Return the next message that is no answer; None now and then, and for answers.

        Raises
        ------
        FilesError
            If `stop` said so; the connection is closed then.
        ConnectionLost
            If the host is silent.
        """
        self.check_stop()
        message = self.link.listen(_BLINK)
        if isinstance(message, m.Operated):
            self._answers[message.operation] = message
            return None
        if message is None and time.monotonic() - max(self._asked, self.link.heard) > SILENCE:
            self.link.drop()
            raise ConnectionLost(f"{self.host} has been silent for {SILENCE:.0f} s.")
        return message

    def check_stop(self) -> None:
        """Leave off if that is wanted: what is under way is of no use to what comes next."""
        if self._stop():
            self.link.close()
            raise FilesError("The files were not waited for.", next=_AGAIN)


def listing(talk: Talk, patterns: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the files in the session's folder, by name: path, size, age, executable.

    Parameters
    ----------
    patterns
        Which; all for none. See `wire.folder.matches`.

    Raises
    ------
    FilesError
        If the host names what was not asked for.
    """
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        operation = talk.ask("files", patterns=list(patterns), cursor=cursor)
        answer = talk.answer(operation)
        page = json.loads(b"".join(answer.buffers))
        rows += [_checked(row, patterns, talk.host) for row in page]
        cursor = str(answer.detail.get("cursor") or "")
        if not cursor or len(rows) > _MOST:
            return sorted(rows, key=lambda row: str(row["path"]))


def read_pattern(text: str) -> str:
    """Return a path or pattern inside the session's folder, in its one form.

    Raises
    ------
    FilesError
        If it leads out of the folder. Nothing was done.
    """
    try:
        return inside(text)
    except BadPath as error:
        raise FilesError(f"{shown(text)}: {error}.", known="Nothing was done.") from None


def _checked(row: Any, patterns: Sequence[str], host: str) -> dict[str, Any]:
    """Return what a host says of a file, if it is what was asked for."""
    try:
        path, size = row["path"], int(row["size"])
        wanted = not patterns or any(matches(path, pattern) for pattern in patterns)
        if inside(path) != path or not wanted or size < 0:
            raise ValueError
        return {
            "path": path,
            "size": size,
            "age": float(row["age"]),
            "executable": bool(row["executable"]),
        }
    except (KeyError, TypeError, AttributeError, ValueError):
        raise FilesError(
            f"{host} names a file that was not asked for.",
            known="Nothing was written here.",
            next="Do not use this host until its owner has looked at it.",
        ) from None
