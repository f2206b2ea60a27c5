"""The one connection over which a browser is told of everything."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from ..wire.errors import MacGPUError
from . import words
from .contract import checked
from .followers import trouble
from .handlers import RESOURCE, JsonErrors
from .inbox import Inbox
from .refusals import BadBody, told

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from .announcing import Announcer
    from .board import News
    from .service import Service

#: Characters of a message from a browser at most.
LONGEST = 4096


class Audience:
    """All browsers that are connected. Its methods are for the server's own thread.

    Parameters
    ----------
    service
        Whose news they are told.
    announce
        Is told the same, to say to the server's event log what has become another.
    """

    def __init__(self, service: Service, announce: Announcer) -> None:
        self.service = service
        self.words = words.Words(service.board)
        self._announce = announce
        self._members: dict[Stream, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: Any = None

    def join(self, member: Stream) -> None:
        """Tell one more."""
        self._members[member] = None
        if self._leave is None:
            self._loop = asyncio.get_running_loop()
            self._announce.begin()
            self._leave = self.service.subscribe(self._heard)
        self.looks_changed()

    def part(self, member: Stream) -> None:
        """Tell one no more."""
        self._members.pop(member, None)
        self.looks_changed()

    def looks_changed(self) -> None:
        """Let hosts be watched only while somebody looks."""
        self.service.want(any(member.inbox.is_visible for member in self._members))

    def _heard(self, news: News) -> None:
        """Pass news on from whichever thread has them."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server ends
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._pass_on, news)

    def _pass_on(self, news: News) -> None:
        self._announce.take(news)
        for member in self._members:
            member.inbox.take(news)
            member.wake()
            if news.kind == "problem":
                # A run that cannot be followed is not: whoever wants it again says so.
                for run in news.keys:
                    member.unfollow(run)


class Stream(JsonErrors, ExtensionHandlerMixin, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """One browser."""

    auth_resource = RESOURCE

    @property
    def audience(self) -> Audience:
        """All browsers."""
        audience: Audience = self.settings["macgpu_audience"]
        return audience

    @ws_authenticated
    async def get(self, *arguments: Any, **named: Any) -> None:
        """Open the connection, if whoever asks may read."""
        allowed = await ensure_async(
            self.authorizer.is_authorized(self, self.current_user, "read", RESOURCE)
        )
        if not allowed:
            raise web.HTTPError(403)
        opened: Awaitable[None] = super().get(*arguments, **named)
        await opened

    def open(self, *arguments: Any, **named: Any) -> None:
        """Begin with everything."""
        super().open(*arguments, **named)
        self.inbox = Inbox()
        self._woken = asyncio.Event()
        self._woken.set()
        self.audience.join(self)
        self._telling = asyncio.ensure_future(self._tell())

    def on_message(self, message: str | bytes) -> None:
        """Do what a browser says; what cannot be read is answered with why."""
        try:
            said = self._read(message)
        except BadBody as error:
            self.write_message(words.said("problem", dict(told(error))))
            return
        match said["type"]:
            case "follow":
                self._follow(said["run"], said.get("host"))
            case "unfollow":
                self.unfollow(said["run"])
            case _:
                self.inbox.show(said["visible"])
                self.audience.looks_changed()
        self.wake()

    def on_close(self) -> None:
        """Tell it no more."""
        if hasattr(self, "inbox"):
            self.audience.part(self)
            self._telling.cancel()
            for run in list(self.inbox.follows):
                self.unfollow(run)
        super().on_close()

    def wake(self) -> None:
        """Have what there is to say said."""
        self._woken.set()

    def _follow(self, run: str, host: str | None) -> None:
        if run in self.inbox.follows:
            self.inbox.follow(run)
            return
        try:
            self.audience.service.follow(run, host)
        except MacGPUError as error:
            self.write_message(words.said("problem", dict(trouble(run, error).content)))
        else:
            self.inbox.follow(run)

    def unfollow(self, run: str) -> None:
        """Tell no more of a run's outputs."""
        if run in self.inbox.follows:
            self.inbox.unfollow(run)
            self.audience.service.unfollow(run)

    async def _tell(self) -> None:
        """Say what there is to say; while the browser does not take it, more comes together."""
        outputs = self.audience.service.followers
        user = str(getattr(self.current_user, "username", ""))
        with contextlib.suppress(WebSocketClosedError):
            while True:
                await self._woken.wait()
                self._woken.clear()
                for message in self.inbox.messages(self.audience.words, outputs, user):
                    await self.write_message(message)

    @staticmethod
    def _read(message: str | bytes) -> dict[str, Any]:
        if len(message) > LONGEST:
            raise BadBody(f"A message may have {LONGEST} characters.")
        try:
            said = json.loads(message)
        except (ValueError, RecursionError):
            raise BadBody("The message is not JSON.") from None
        return checked("Said", said)
