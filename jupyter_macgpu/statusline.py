"""Shows the one line of a run (`progress`): changed in place where that can be done.

In a notebook it is a display that is updated, as HTML and as text, so that a saved notebook holds
its last reading and nothing else. In a terminal it is the last line, which makes room for output.
Where nobody looks (nbclient, papermill, a pipe) it says no more than what a cell waits for.
"""

from __future__ import annotations

import html
import secrets
import shutil
import sys
import time
from typing import TYPE_CHECKING

from .notebook import somebody_looks
from .progress import Progress
from .tables import NO_FORMULAS
from .wire.plain import plain_line
from .wire.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from .report import Report

_STYLE = "opacity:0.8"
_CUT = f"white-space:nowrap;overflow:hidden;text-overflow:ellipsis;{_STYLE}"
#: Goes to the start of a terminal's line and empties it.
_ANEW = "\r\x1b[K"


class StatusLine:
    """One run's line, where it is shown.

    Parameters
    ----------
    shell
        The notebook's shell.
    mode
        As ``%macgpu config progress`` says; see `Progress`.
    keep
        Whether the last reading stays.
    notice
        Shows a line that is never changed.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        notice: Callable[[str], None],
        mode: str = "auto",
        keep: bool = True,
    ) -> None:
        self._shell = shell
        self._notice = notice
        self._keep = keep
        self._in_kernel = hasattr(shell, "kernel")
        self._in_terminal = not self._in_kernel and sys.stderr.isatty()
        looked_at = somebody_looks(shell) if self._in_kernel else self._in_terminal
        self._live = looked_at or mode == "on"
        self._progress = Progress(time.monotonic(), mode if self._live else "off")
        self._display = ""
        self._drawn = False
        self._place: str | None = None

    def placed(self, host: str) -> None:
        """Note the run's host."""
        self._progress.placed(host)

    def waiting(self, text: str, place: str | None) -> None:
        """Say what the cell waits for.

        Parameters
        ----------
        place
            Where the line cannot be changed, it is shown again only when this differs.
        """
        anew = self._progress.waiting(text, time.monotonic())
        if anew is not None and (self._can_change or place != self._place or not self._place):
            self._place = place
            # It may end in what to do.
            self._show(anew, is_whole=True)

    def waited(self, text: str = "") -> None:
        """Say that nobody waits any more: how long it took, or why."""
        left = self._progress.left(time.monotonic(), text)
        if left is not None and (self._can_change or text):
            self._show(left)

    def started(self, usage: Usage) -> None:
        """Say that the cell runs, and what it has used so far."""
        self._show(self._progress.started(time.monotonic(), usage))

    def moved(self, stage: str, done: int, total: int) -> None:
        """Say how many bytes are through: ``ship`` or ``bring``."""
        self._show(self._progress.moved(stage, done, total, time.monotonic()))

    def tick(self) -> None:
        """Let time pass."""
        self._show(self._progress.tick(time.monotonic()))

    def ended(self, report: Report) -> None:
        """Show the last reading, if the run is worth one."""
        last = self._progress.ended(report, time.monotonic())
        self.give_way()
        if last is None:
            return
        if self._in_kernel:
            self._publish(last if self._keep else "")
        elif self._live or self._can_change:
            self._notice(f"macgpu: {last}")

    def dropped(self) -> None:
        """Take the line out of a notebook: what the cell returns says the same, and stays true."""
        if self._display:
            self._publish("")

    def give_way(self) -> None:
        """Take the line off a terminal before something else is written there."""
        if self._drawn:
            self._drawn = False
            sys.stderr.write(_ANEW)
            sys.stderr.flush()

    @property
    def _can_change(self) -> bool:
        return self._in_kernel or self._in_terminal

    def _show(self, text: str | None, *, is_whole: bool = False) -> None:
        if text is None:
            return
        if self._in_kernel:
            self._publish(text, is_whole=is_whole)
        elif self._in_terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(_ANEW + f"macgpu: {plain_line(text)}"[:width])
            sys.stderr.flush()
            self._drawn = True
        else:
            self._notice(f"macgpu: {plain_line(text)}")

    def _publish(self, text: str, *, is_whole: bool = False) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        line = f"macgpu: {plain_line(text)}" if text else ""
        data = {
            "text/plain": line,
            "text/html": _page(line, _STYLE if is_whole else _CUT) if line else "",
        }
        is_update, self._display = bool(self._display), self._display or secrets.token_hex(8)
        self._shell.display_pub.publish(
            data, transient={"display_id": self._display}, update=is_update
        )


def _page(line: str, style: str) -> str:
    return f'<div {NO_FORMULAS} style="{style}">{html.escape(line)}</div>'
