"""A submission on its way: what a host lacks of it is sent, what it holds is not."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from .sending import Upload
from .wire import messages as m
from .wire.errors import NOTHING_SENT, RemoteProtocolError, RunRefused

if TYPE_CHECKING:
    from .conversation import Submission
    from .link import Link
    from .steps import Steps

#: Bytes of inputs up to which they travel inside the first message. What is larger is sent in
#: parts, between which an interrupt finds its way on a slow link.
INLINE = 64 * 1024
#: Bytes of blobs up to which those that the host is not known to hold are sent unasked: to ask
#: first would take as long as sending them.
UNASKED = 4 * 1024 * 1024


class Shipping:
    """Brings one submission to a host, over as many connections as it takes.

    Parameters
    ----------
    link
        To the host. What comes over it is the caller's to read.
    submission
        What is sent.
    steps
        Told how far it is.
    """

    def __init__(self, link: Link, submission: Submission, steps: Steps) -> None:
        self._link = link
        self._submission = submission
        self._steps = steps
        self._upload: Upload | None = None
        self._again = False

    def begin(self) -> None:
        """Submit, over the connection that there is.

        Raises
        ------
        ConnectionLost
            If it is over.
        """
        self.close()
        hello = self._link.hello
        if hello is None or "blobs" not in hello.capabilities:
            self._submission = self._submission.whole()
        message, blobs = self._submission.message, list(self._submission.blobs.values())
        coming = self._unasked()
        pieces = [blobs[number] for number in coming]
        self._steps.over("place")
        self._count(message.size + sum(piece.nbytes for piece in pieces))
        if message.size <= INLINE:
            message = replace(message, buffers=(b"".join(self._submission.pieces),))
            self._steps.over("ship")
        else:
            pieces = [*self._submission.pieces, *pieces]
        self._again = True
        if pieces:
            self._upload = Upload(self._link, f"in:{message.run}", pieces)
        self._link.say(replace(self._dated(message), coming=coming))

    def arrived(self) -> None:
        """Note that the host has all of it."""
        self._link.holds(self._submission.blobs)

    def heed(self, message: m.Credit | m.Missing) -> None:
        """Note what the host says that it has taken, or that it lacks."""
        if isinstance(message, m.Missing):
            if message.run == self._submission.message.run:
                self._send(message)
        elif self._upload is not None:
            self._upload.credit(message, time.monotonic())
            self._steps.moved("ship", *self._upload.moved)

    def push(self) -> bool:
        """Send a bit; return whether more could be sent now.

        Raises
        ------
        ConnectionLost
            If the connection is over.
        """
        if self._upload is None:
            return False
        more = self._upload.push(time.monotonic())
        if self._upload.done:
            self._steps.over("ship")
            self.close()
        return more

    def close(self) -> None:
        """Send no more over this connection."""
        if self._upload is not None:
            self._upload.close()
            self._upload = None

    def _send(self, missing: m.Missing) -> None:
        """Send what the host asks for, of what it was promised."""
        names = [str(name) for name in missing.digests]
        if not {*names} <= self._submission.blobs.keys():
            text = f"{self._link.host} asks for inputs that it was not promised."
            raise RemoteProtocolError(text)
        pieces = [self._submission.blobs[name] for name in names]
        self._count(self._steps.shipped + sum(piece.nbytes for piece in pieces))
        self.close()
        self._upload = Upload(self._link, missing.stream, pieces)

    def _dated(self, message: m.Submit) -> m.Submit:
        """Say of a run with a time how far that is away now: its host's clock may be another one.

        Raises
        ------
        RunRefused
            If the host knows no times: it would begin at once.
        """
        if (at := message.options.get("at")) is None:
            return message
        hello = self._link.hello
        if hello is None or "times" not in hello.capabilities:
            raise RunRefused(
                f"{self._link.host} runs an older version of jupyter-macgpu, without --at.",
                known=NOTHING_SENT,
                next="It takes the newer one when nothing runs there. Until then, run the cell "
                "when it is time, or name another host with --on.",
            )
        delay = round(max(0.0, at - time.time()), 3)
        return replace(message, options={**message.options, "delay": delay})

    def _unasked(self) -> list[int]:
        """Return the numbers of the blobs that are sent at once.

        After a connection was lost there are none: most may be there by now.
        """
        blobs, held = self._submission.blobs.items(), self._link.held
        unknown = {number: view for number, (name, view) in enumerate(blobs) if name not in held}
        size = sum(view.nbytes for view in unknown.values())
        return [] if self._again or size > UNASKED else list(unknown)

    def _count(self, sent: int) -> None:
        whole = sum(view.nbytes for view in self._submission.blobs.values())
        self._steps.shipped = sent
        self._steps.reused = max(0, self._submission.message.size + whole - sent)
