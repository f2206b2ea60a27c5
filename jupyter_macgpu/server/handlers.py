"""The routes under ``macgpu/api/v1``: thin, over one service. `openapi.yaml` describes them."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web

from .. import __version__
from ..wire.errors import MacGPUError
from .contract import checked
from .refusals import BadBody, Unknown, code_of, told
from .service import API

if TYPE_CHECKING:
    from .questions import Questions
    from .service import Service

#: What an authorizer is asked about.
RESOURCE = "macgpu"
BASE = "macgpu/api/v1/"
#: Bytes that a body may have.
LARGEST = 2**20
_RUN = re.compile(r"[0-9a-f]{32}")
Method = Callable[..., Awaitable[None]]


def allowed(action: str) -> Callable[[Method], Method]:
    """Let a method be called by who is logged in and may do this: read, write or execute."""

    def guard(method: Method) -> Method:
        guarded: Any = web.authenticated(authorized(action)(_answering(method)))
        return cast("Method", guarded)

    return guard


def named(run: str) -> str:
    """Return a run's id as the path has it.

    Raises
    ------
    Unknown
        If it can be none.
    """
    if _RUN.fullmatch(run) is None:
        raise Unknown
    return run


def _answering(method: Method) -> Method:
    """Answer errors of ours with their code and their parts."""

    @wraps(method)
    async def inner(self: Handler, *arguments: str) -> None:
        try:
            await method(self, *arguments)
        except MacGPUError as error:
            self.set_status(code_of(error))
            self.finish(json.dumps(told(error)))

    return inner


class JsonErrors:
    """Answers in JSON where Jupyter or tornado refuse, as all our errors are answered."""

    def write_error(self: Any, status_code: int, **details: Any) -> None:
        """Say what happened, and nothing of how it is made here."""
        error = (details.get("exc_info") or (None, None))[1]
        said = error.log_message if isinstance(error, web.HTTPError) else None
        message = said or {403: "Not allowed.", 404: "There is nothing of this name."}.get(
            status_code, "The server failed; its log says how."
        )
        self.set_status(status_code)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"message": message, "reason": "", "hint": ""}))


class Handler(JsonErrors, ExtensionHandlerMixin, APIHandler):
    """What all routes share. Who a person is, Jupyter says; which account it is, SSH."""

    auth_resource = RESOURCE

    @property
    def service(self) -> Service:
        """What does the work."""
        service: Service = self.settings["macgpu_service"]
        return service

    @property
    def user(self) -> str:
        """Name of who asks."""
        return str(getattr(self.current_user, "username", ""))

    @allow_unauthenticated
    def options(self, *_arguments: str) -> None:
        """Refuse: nothing here is for pages of other origins."""
        raise web.HTTPError(405, "This cannot be done here.")

    async def doing(self, act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Do what takes time in another thread, and return what it returns."""
        questions: Questions = self.settings["macgpu_questions"]
        return await questions.ask(partial(act, *arguments, **named))

    def body(self, schema: str) -> dict[str, Any]:
        """Return the body, which is as the named schema has it.

        Raises
        ------
        BadBody
            If it is not. Nothing was done.
        """
        try:
            said = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise BadBody(f"The body is not JSON: {str(error)[:200]}") from None
        return checked(schema, said)

    async def prepare(self) -> None:  # type: ignore[override] # as its own base has it
        """Refuse what is too large before anything is made of it, and tokens in addresses."""
        if "token" in self.request.query_arguments:
            raise web.HTTPError(403, "A token belongs in a header: addresses stand in logs.")
        await super().prepare()
        if len(self.request.body) > LARGEST:
            raise web.HTTPError(413, f"A body may have {LARGEST} bytes.")

    def say(self, answer: Any, status: int = 200) -> None:
        """Answer."""
        self.set_status(status)
        self.finish(json.dumps(answer))


class VersionHandler(Handler):
    """Which version this is."""

    @allowed("read")
    async def get(self) -> None:
        """Say so."""
        self.say({"version": __version__, "api": API})


class StateHandler(Handler):
    """Everything that is known."""

    @allowed("read")
    async def get(self) -> None:
        """Say it; no host is asked."""
        self.say(await self.doing(self.service.state, self.user))


class HostHandler(Handler):
    """One host."""

    @allowed("read")
    async def get(self, name: str) -> None:
        """Ask it for all that it says of itself."""
        self.say(await self.doing(self.service.describe, name))


class AskHandler(Handler):
    """A look at a host."""

    @allowed("write")
    async def post(self, name: str) -> None:
        """Look at it at once."""
        self.body("Nothing")
        self.say(await self.doing(self.service.ask, name), 202)


class DrainHandler(Handler):
    """A host that takes nothing new."""

    is_drained = True

    @allowed("write")
    async def post(self, name: str) -> None:
        """Lay it down for all accounts of it."""
        self.body("Nothing")
        self.say(await self.doing(self.service.drain, name, is_drained=self.is_drained))


class UndrainHandler(DrainHandler):
    """A host that takes runs again."""

    is_drained = False


class RunHandler(Handler):
    """One run."""

    @allowed("read")
    async def get(self, run: str) -> None:
        """Ask its host for all that is known of it."""
        self.say(await self.doing(self.service.actions.run, named(run)))

    @allowed("write")
    async def delete(self, run: str) -> None:
        """Have its host forget it, and what it left."""
        await self.doing(self.service.actions.remove, named(run))
        self.set_status(204)
        self.finish()


class OutputsHandler(Handler):
    """What a run has shown."""

    @allowed("read")
    async def get(self, run: str) -> None:
        """Read it from its host."""
        self.say(await self.doing(self.service.actions.outputs, named(run)))


class ReportHandler(Handler):
    """What a run has cost."""

    @allowed("read")
    async def get(self, run: str) -> None:
        """Read it from its host."""
        self.say(await self.doing(self.service.actions.report, named(run)))


class CancelHandler(Handler):
    """A run that is to stop."""

    @allowed("execute")
    async def post(self, run: str) -> None:
        """Have it stopped; that it has stopped, the stream says."""
        kill = self.body("Cancel").get("kill", False)
        self.say(await self.doing(self.service.actions.cancel, named(run), kill=kill), 202)


class PriorityHandler(Handler):
    """A run that is to go before others, or after them."""

    @allowed("execute")
    async def post(self, run: str) -> None:
        """Change its priority while it waits."""
        priority = self.body("Priority")["priority"]
        self.say(await self.doing(self.service.actions.prioritise, named(run), priority))


class MoveHandler(Handler):
    """A run that is to wait elsewhere."""

    @allowed("execute")
    async def post(self, run: str) -> None:
        """Move it while it waits."""
        to = self.body("Move").get("to")
        self.say(await self.doing(self.service.actions.move, named(run), to))


class ValuesHandler(Handler):
    """What lives on hosts for one notebook alone."""

    @allowed("read")
    async def get(self) -> None:
        """Ask the hosts that have runs of it."""
        self.say(await self.doing(self.service.values, self.get_query_argument("path", "")))


class SubmitHandler(Handler):
    """A cell without a kernel."""

    @allowed("execute")
    async def post(self) -> None:
        """Hand it in; its output, the stream says to who follows it."""
        self.say(await self.doing(self.service.submit, self.body("Submit")), 202)


class JobsHandler(Handler):
    """A notebook that is to run."""

    @allowed("execute")
    async def post(self) -> None:
        """Plan it: now, later, or by cron."""
        self.say(await self.doing(self.service.schedules.add, self.body("Job")), 201)


class SchedulesHandler(Handler):
    """All notebooks that are to run."""

    @allowed("read")
    async def get(self) -> None:
        """Say them."""
        self.say({"schedules": await self.doing(self.service.schedules.rows)})


class ScheduleHandler(Handler):
    """One of them."""

    @allowed("execute")
    async def delete(self, name: str) -> None:
        """Forget it; what runs of it is stopped."""
        await self.doing(self.service.schedules.remove, name)
        self.set_status(204)
        self.finish()


class ChangeHandler(Handler):
    """Something done with one of them."""

    @allowed("execute")
    async def post(self, name: str, what: str) -> None:
        """Pause it, resume it, run it now, or cancel what runs of it."""
        self.body("Nothing")
        self.say(await self.doing(self.service.schedules.change, name, what))


class NothingHandler(Handler):
    """All that is no route."""

    @allowed("read")
    async def get(self, *_arguments: str) -> None:
        """Say that there is nothing."""
        raise Unknown

    post = put = patch = delete = get


#: Every route: its pattern, and who answers.
ROUTES: list[tuple[str, type[Handler]]] = [
    ("version", VersionHandler),
    ("state", StateHandler),
    (r"hosts/([^/]+)", HostHandler),
    (r"hosts/([^/]+)/ask", AskHandler),
    (r"hosts/([^/]+)/drain", DrainHandler),
    (r"hosts/([^/]+)/undrain", UndrainHandler),
    (r"runs/([^/]+)", RunHandler),
    (r"runs/([^/]+)/outputs", OutputsHandler),
    (r"runs/([^/]+)/report", ReportHandler),
    (r"runs/([^/]+)/cancel", CancelHandler),
    (r"runs/([^/]+)/priority", PriorityHandler),
    (r"runs/([^/]+)/move", MoveHandler),
    ("values", ValuesHandler),
    ("submit", SubmitHandler),
    ("jobs", JobsHandler),
    ("schedules", SchedulesHandler),
    (r"schedules/([^/]+)", ScheduleHandler),
    (r"schedules/([^/]+)/(pause|resume|run|cancel)", ChangeHandler),
    (r".*", NothingHandler),
]
