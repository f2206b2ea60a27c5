"""What stands in the publisher's place for a run that is not shown: it keeps what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .recording import Recording
from .screening import screen_for
from .wire.errors import RemoteError

if TYPE_CHECKING:
    from .wire import messages as m


class Recorder:
    """Keeps the records of one run.

    Parameters
    ----------
    host, trust
        Where the run is; of a host of data only, what is kept goes through a screen first.
    count
        The cell's number, 0 if it is not known.

    Attributes
    ----------
    offset
        Journal offset up to which all of it is here.
    """

    def __init__(self, host: str, trust: str, count: int = 0) -> None:
        self.offset = 0
        self._recording = Recording(count, {}, screen_for(host, trust))

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """What the run has shown so far, in nbformat's form."""
        return self._recording.outputs

    @property
    def error(self) -> RemoteError | None:
        """The last error that it showed."""
        for output in reversed(self.outputs):
            if output["output_type"] == "error":
                lines = list(output["traceback"])
                return RemoteError.rebuilt(output["ename"], output["evalue"], lines)
        return None

    def output(self, output: m.Output) -> None:
        """Keep one record."""
        self.offset = output.end
        self._recording.output(output)

    def state(self, state: m.RunState) -> None:
        """Keep nothing: a run's state is asked for when it is wanted."""

    def notice(self, text: str) -> None:
        """Keep nothing: what is said of the way to the host is no output of the run."""

    def ask(self, prompt: str, password: bool) -> str:  # noqa: ARG002 (as `Show` has it)
        """Refuse: nobody sits before a run that is only recorded."""
        raise EOFError("nobody waits for this run who could answer")
