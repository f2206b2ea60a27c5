"""What both widgets are: traits that a thread fills, views that come and go, commands of a user."""

from __future__ import annotations

import threading
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from ..closing import drain
from ..desks import desk
from ..fleet.hosts import select
from ..notebook import running_shell
from ..pool import Pool
from ..wire.errors import MacGPUError
from ..wire.plain import plain_line
from .watching import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..fleet.hosts import Host
    from ..fleet.seen import Seen
    from .readings import Inside

#: What a widget that was shown counts as, until its first view has said a word.
_SHOWN = "shown"


def read_parts(*names: str) -> str:
    """Return files of this package, one behind the other: a module, or a sheet of styles."""
    folder = files(__package__) / "parts"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


class _Cells:
    """Whether the kernel is in a cell: it hears no view then."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        kernel = getattr(shell, "kernel", None)
        header = (kernel.get_parent() or {}).get("header") if kernel is not None else None
        self.is_busy = (header or {}).get("msg_type") == "execute_request"
        if shell is not None:
            shell.events.register("pre_execute", self._begins)
            shell.events.register("post_execute", self._ended)

    def leave(self) -> None:
        """Listen to the shell no more."""
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.events.unregister("pre_execute", self._begins)
            shell.events.unregister("post_execute", self._ended)

    def _begins(self) -> None:
        self.is_busy = True

    def _ended(self) -> None:
        self.is_busy = False


class LiveWidget(anywidget.AnyWidget):
    """A widget that looks at hosts while somebody looks at it.

    Commands of its views are done by whichever thread brings them; what takes long is done by a
    thread of its own, and answered when it is done.

    Attributes
    ----------
    snapshot
        What is shown, as `readings` has it.
    history
        The last points of each line, by the line's name; null where nothing is known.
    """

    snapshot = traitlets.Dict().tag(sync=True)
    history = traitlets.Dict().tag(sync=True)
    #: Seconds after which a host tells anew how it is.
    every = 2.0
    #: Seconds between two messages to the views, unless something was asked for.
    pause = 1.0

    def __init__(self) -> None:
        self._desk = desk()
        self._cells = _Cells(running_shell())
        self._watch = Watch(
            lambda: self._desk.pool,
            hosts=self._watched,
            inside=self._in_full,
            every=self.every,
            pause=self.pause,
            show=self._show,
            is_busy=lambda: self._cells.is_busy,
        )
        super().__init__()
        self.on_msg(self._heard)

    @property
    def is_live(self) -> bool:
        """Whether hosts are looked at now: only while a view of the widget is open."""
        return self._watch.runs

    def close(self) -> None:
        """End the widget and all its views."""
        self._watch.close()
        self._cells.leave()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        found = super()._repr_mimebundle_(**kwargs)
        if found is None:
            return None
        # A kernel in a cell hears nothing of a view that is made for what the cell shows.
        self._watch.heard(_SHOWN)
        data, metadata = found
        page, text = self._instead()
        return {**data, "text/html": page, "text/plain": text}, metadata

    def _instead(self) -> tuple[str, str]:
        """Return what stands where no widget can: a page and a text."""
        raise NotImplementedError

    def _watched(self, pool: Pool) -> Sequence[Host]:
        """Return the hosts that are looked at."""
        raise NotImplementedError

    def _in_full(self) -> str:
        """Return the host that is shown in full; nothing for none."""
        raise NotImplementedError

    def _show(self, pool: Pool, seen: Sequence[Seen], inside: Inside) -> None:
        """Fill the traits."""
        raise NotImplementedError

    def _fill(self, snapshot: dict[str, Any], history: dict[str, Any]) -> None:
        """Set both traits; what is as it was is not sent, and all that is new in one message."""
        with self.hold_sync():
            self.snapshot = snapshot
            self.history = history

    # What views say.

    def _heard(self, _widget: object, content: object, _buffers: object) -> None:
        """Do what a view says. Called by ipywidgets."""
        said = content if isinstance(content, dict) else {}
        view = str(said.get("view", ""))[:64]
        kind = said.get("kind")
        if kind == "here":
            self._watch.left(_SHOWN)
            self._watch.heard(view)
            self.send({"kind": "heard"})
        elif kind == "gone":
            self._watch.left(_SHOWN)
            self._watch.left(view)
        elif kind == "do":
            self._do(said)

    def _do(self, said: dict[str, Any]) -> None:
        number, what, host = said.get("number"), said.get("what"), str(said.get("host", ""))
        if what in ("drain", "undrain"):
            self.send({"kind": "begun", "number": number})
            work = (number, self._drain, host, what == "drain")
            threading.Thread(target=self._answer, args=work, daemon=True).start()
        elif what == "use":
            self._answer(number, self._use, host)
        elif what == "open":
            self._answer(number, self._open, host)

    def _answer(self, number: object, work: Any, *arguments: object) -> None:
        """Do something for a view and tell it how it went; its error is a text like any other."""
        try:
            text, failed = work(*arguments), False
        except MacGPUError as error:
            text, failed = " ".join(filter(None, [error.what, error.next])), True
        self._watch.look()
        self.send({"kind": "done", "number": number, "text": plain_line(text), "failed": failed})

    def _use(self, name: str) -> str:
        pool = self._desk.pool
        pool.uses = select(pool.fleet.hosts, name, pool.fleet.notice).name if name else None
        if name:
            return f"Cells of this notebook run on {name}, unless they say --on."
        return "Cells of this notebook run where it suits them best."

    def _open(self, name: str) -> str:
        """Show a host in full, or none."""
        raise NotImplementedError

    def _drain(self, name: str, is_drained: bool) -> str:
        shared = self._desk.pool
        host = select(shared.fleet.hosts, name, shared.fleet.notice)
        # Not over the connection of the notebook's cells: it is closed behind this.
        pool = Pool(shared.fleet, shared.reach, "")
        try:
            drain(pool, host, is_drained=is_drained)
        finally:
            pool.close()
        if is_drained:
            return f"{name} takes nothing new, from anybody; what runs there goes on."
        return f"{name} takes cells again."
