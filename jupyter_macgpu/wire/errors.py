"""Everything that can go wrong, by who can mend it.

The hierarchy::

    MacGPUError
    ├── ConfigError                 the user's settings
    │   └── FleetFileError          (in `fleet.problems`)
    ├── InputError                  the cell's line and inputs, before anything is sent
    │   ├── OptionError             (in `words`) the magic's own line
    │   ├── UnknownInput            a name that -i asks for
    │   ├── UnpicklableInput        values that cannot travel
    │   └── InputTooLarge           values that are too many bytes
    ├── PlacementError              the fleet, as it is now
    ├── TransportError              the road to one host
    │   ├── HostKeyRefused          (in `transport.hostkeys`)
    │   ├── LoginRefused            (in `transport.ssh.login`)
    │   ├── DeployError             (in `transport.deploy`)
    │   └── ConnectionLost
    ├── ProtocolError               what the two sides say
    │   ├── LocalProtocolError      this side broke the rules: a bug here
    │   └── RemoteProtocolError     the peer broke them: version skew, or noise
    ├── RemoteValueError            a value that is on its host was used here
    └── WorkerError                 the process on the Mac
        └── WorkerDied

Every message has four parts: what happened; what is known about the run; what was
kept; what to do next. The first is given where the error is raised; the others have
a default in the class where one holds for every error of its kind.
"""

from __future__ import annotations

import builtins
from typing import Any

from .plain import plain, plain_line

#: What is known, and what was kept, where a cell is refused before it leaves.
NOTHING_SENT = "No run was started; nothing was sent."
ALL_KEPT = "The notebook and the worker are as they were."
#: Names that one error lists.
_NAMED = 20


class MacGPUError(Exception):
    """Base class of every error that this package raises on purpose.

    Attributes
    ----------
    what
        What happened.
    known
        What is known about the run.
    kept
        What was kept: variables, outputs, the worker.
    next
        What to do next.
    """

    known = "The run's end is not known."
    kept = "The notebook's variables are as they were."
    next = "Run the cell again."

    def __init__(self, what: str, *, known: str = "", kept: str = "", next: str = "") -> None:
        # Texts of hosts stand in these: no character of theirs does anything here.
        what = plain(what)
        super().__init__(what)
        self.what = what
        self.known = plain(known) or type(self).known
        self.kept = plain(kept) or type(self).kept
        self.next = plain(next) or type(self).next

    def __str__(self) -> str:
        return "\n".join([self.what, self.known, self.kept, self.next])

    def _render_traceback_(self) -> list[str]:
        """Show the four parts and none of our own frames. Called by IPython."""
        return [f"{type(self).__name__}: {self.what}", self.known, self.kept, self.next]

    def __reduce__(self) -> tuple[object, ...]:
        # By attributes, so that a subclass may take what arguments it likes.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[MacGPUError], args: tuple[object, ...], state: dict[str, object]) -> object:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConfigError(MacGPUError):
    """The user's settings cannot be used. Nothing was sent."""

    known, kept = NOTHING_SENT, ALL_KEPT


class InputError(MacGPUError):
    """The cell cannot be sent as it stands. Nothing was sent."""

    known, kept = NOTHING_SENT, ALL_KEPT


class UnknownInput(InputError):
    """Names were asked for that the notebook does not have. Nothing was sent."""

    def __init__(self, names: tuple[str, ...]) -> None:
        listed = ", ".join(names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        super().__init__(
            f"The notebook has no variable {listed}{more}.",
            next="Define it first, or leave it out of -i.",
        )
        self.names = names


class UnpicklableInput(InputError):
    """Values that the cell reads cannot travel. Nothing was sent.

    Attributes
    ----------
    refused
        For each input: (name, type, path inside the value such as ``model.lock``, why).
    """

    def __init__(self, refused: tuple[tuple[str, str, str, str], ...]) -> None:
        lines = [f"  {path} ({kind}): {why}" for _, kind, path, why in refused]
        super().__init__(
            "\n".join(["These inputs of the cell cannot be sent:", *lines]),
            next="Make them inside the %%macgpu cell, or delete them from the value first.",
        )
        self.refused = refused


class InputTooLarge(InputError):
    """The inputs of a cell are larger than the limit. Nothing was sent.

    Attributes
    ----------
    sizes
        Bytes of each input, largest first.
    limit
        Bytes that a cell may send.
    """

    def __init__(self, sizes: dict[str, int], limit: int) -> None:
        lines = [f"  {name}: {size / 2**30:.2f} GiB" for name, size in sizes.items()]
        total = sum(sizes.values())
        super().__init__(
            "\n".join(
                [
                    f"The inputs of the cell are {total / 2**30:.2f} GiB, "
                    f"more than {limit / 2**30:.2f} GiB:",
                    *lines,
                ]
            ),
            next="Make the value in a %%macgpu cell, send a part of it, or add --yes.",
        )
        self.sizes = sizes
        self.limit = limit


class PlacementError(MacGPUError):
    """No decision could be made about where to run. Nothing was sent."""

    known, kept = NOTHING_SENT, ALL_KEPT


class TransportError(MacGPUError):
    """A host cannot be reached, or no longer.

    Attributes
    ----------
    lasting
        Whether it is of no use to try again soon: somebody has to mend something first.
    sign
        What it tells of the host: ``silent``, nobody answers there at all; ``slow``, it takes
        connections and does not get further in time, so it lives; nothing in all other cases.
    """

    lasting = False
    sign = ""
    known, kept = NOTHING_SENT, ALL_KEPT


class ConnectionLost(TransportError):
    """The connection to a host ended in mid-sentence."""

    known, kept = MacGPUError.known, MacGPUError.kept
    next = "Attach to the run with %macgpu attach, or run the cell again with --again."


class ProtocolError(MacGPUError):
    """What the two sides said to each other broke the rules."""


class LocalProtocolError(ProtocolError):
    """Our own side broke the rules: a bug in this package."""

    next = "Please report this with the versions that %macgpu status shows."


class RemoteProtocolError(ProtocolError):
    """The peer broke the rules: another version, or noise on the line."""

    next = "Restart the worker with %macgpu restart; if it comes again, compare the versions."


class RemoteValueError(MacGPUError):
    """A value that is on its host was used here. It is still there."""


class WorkerError(MacGPUError):
    """The process that ran the cell is in trouble."""


class WorkerDied(WorkerError):
    """The process that ran the cell ended before the cell did."""


class RunDied(WorkerDied):
    """The worker ended during the run. The run is over and was not repeated."""


class RunLost(MacGPUError):
    """What became of a run cannot be known any more. It was not repeated."""

    kept = "Output up to there is shown; the notebook's variables are as before the cell."
    next = "Look at what the cell had done already, then run it again with --again."


class RunUnknown(MacGPUError):
    """A host is silent, and with it the run that it has."""

    known = "The run may be going on there. It was not repeated."
    next = "Take it up with %macgpu attach when the host is back."


class ResultLeft(MacGPUError):
    """A run has ended, and the user did not wait until its result was here."""

    known = "The run has ended; it will not be repeated."
    kept = "Its result is kept on the host; the notebook's variables are as before the cell."


class RunRefused(MacGPUError):
    """The host will not run the cell. Nothing of it ran."""

    known, kept = "The cell was not started.", ALL_KEPT


class RunCancelled(MacGPUError):
    """A run was stopped from outside the cell: by a limit, or before it began.

    Attributes
    ----------
    is_limit
        Whether it was a limit of time.
    """

    is_limit = False

    kept = "Output up to there is shown; the notebook's variables are as before the cell."


class RemoteError(Exception):
    """The user's own exception, raised in a cell elsewhere.

    It travels as data and is never unpickled. Its class has the name of the original and,
    where that is a built-in exception, is a subclass of it, so that ``except ValueError``
    works here too.

    Attributes
    ----------
    ename, evalue
        Name of the exception and its text.
    traceback
        Lines as IPython shows them, made where it was raised.
    """

    ename = ""
    evalue = ""
    traceback: list[str]

    @classmethod
    def rebuilt(cls, ename: str, evalue: str, traceback: list[str]) -> RemoteError:
        """Return an error that looks like the original; of no valid name, one called Error."""
        ename = ename if ename.isidentifier() else plain_line(ename)[:100] or "Error"
        original = getattr(builtins, ename, None)
        bases: tuple[type, ...] = (cls,)
        # IPython shows these its own way and would not ask for our traceback.
        own_way = ("SyntaxError", "IndentationError", "TabError", "SystemExit")
        if (
            ename not in own_way
            and isinstance(original, type)
            and issubclass(original, BaseException)
        ):
            bases = (cls, original)
        try:
            kind: Any = type(ename, bases, {"__module__": "builtins"})
            error: RemoteError = kind.__new__(kind, evalue)
        except TypeError:  # a layout of its own, or more arguments than a text
            kind = type(ename, (cls,), {"__module__": "builtins"})
            error = kind.__new__(kind, evalue)
        error.args = (evalue,)
        error.ename, error.evalue, error.traceback = ename, evalue, traceback
        return error

    def __str__(self) -> str:
        return self.evalue

    def _render_traceback_(self) -> list[str]:
        """Show the traceback of the place where it was raised. Called by IPython."""
        return self.traceback


class ShownError(RemoteError):
    """The same, where the run has shown already what there was to show.

    The cell fails with it, and nothing more appears.
    """
