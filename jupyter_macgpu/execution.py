"""3 ship and 4 execute: one run, driven from here until its end is known.

The way is: submit once; show what comes; when the connection is lost, open it again and attach at
the offset that was shown last; stop only at an explicit end whose digest is right. Silence means
"unknown" and is said so; it never makes a run happen twice.
"""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from .conversation import LetGo as LetGo
from .conversation import Outcome as Outcome
from .conversation import Show as Show
from .conversation import Submission as Submission
from .declined import refusal_of
from .fetching import SILENCE, bring
from .shipping import Shipping
from .steps import Steps
from .wire import messages as m
from .wire.errors import (
    ALL_KEPT,
    NOTHING_SENT,
    MacGPUError,
    RemoteProtocolError,
    RunLost,
    RunRefused,
    RunUnknown,
    TransportError,
)
from .wire.plain import plain_line
from .wire.states import OutputDigest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .interrupts import Interrupts
    from .link import Link

T = TypeVar("T")
#: Seconds of silence after which we ask; past `SILENCE` the connection counts as lost.
HEARTBEAT = 5.0
#: Seconds for which a lost host is looked for while a cell waits.
PATIENCE = 60.0
#: Seconds for which an interrupt waits for a lost host: it is meant for the run there.
PROMPT = 5.0
#: Seconds between two looks at interrupts and limits.
BLINK = 0.1
#: Seconds between two attempts to reach a lost host, at most. Within one the system knocks after
#: 0, 1 and 3 of its 5 seconds: so a link that is back is found within three.
_PAUSE = 1.0
#: Output that may be shown before the host is told.
_ACK_EVERY = 8 * 1024
#: Broken messages of one run's host after which it is not asked again.
_FAULTS = 5
#: Refused logins of one run's host after which it is not asked again: some hosts shut out an
#: address that is refused often.
_REFUSALS = 1


class Execution:
    """One run, driven from here.

    Parameters
    ----------
    link
        To the run's host.
    run
        The run's id.
    show
        Where its output goes.
    interrupts
        What the user pressed meanwhile.
    submission
        What to send; None attaches to a run that is there.
    watch
        Only look: whoever drives the run goes on driving it.
    steps
        Told how far the run is.
    """

    def __init__(
        self,
        link: Link,
        run: str,
        show: Show,
        interrupts: Interrupts,
        submission: Submission | None = None,
        *,
        watch: bool = False,
        steps: Steps | None = None,
    ) -> None:
        self.run = run
        self.offset = 0
        self._link = link
        self._show = show
        self._interrupts = interrupts
        self._watch = watch
        self._steps = steps or Steps()
        self._submission = submission
        self._shipping = None if submission is None else Shipping(link, submission, self._steps)
        self._epoch = 1
        self._digest = OutputDigest()
        self._reserved: tuple[str, str] | None = None
        self._shown_to = 0
        self._asked_until = 0
        self._asking = 0
        self._reply: tuple[int, m.InputReply] | None = None
        self._attaching = False
        self._trouble = ""
        self._faults = self._refusals = 0
        self._lost_at: float | None = None

    def drive(self) -> Outcome:
        """Return when the run's end is known and its result is here.

        Raises
        ------
        RunRefused
            If the host will not have it. Nothing ran.
        RunLost
            If the host cannot say any more what became of it.
        RunUnknown
            If the host is silent for `PATIENCE` seconds. The run may be going on.
        ResultLeft
            If the user does not wait for the result of a run that has ended.
        """
        return self._persist(self._to_the_end)

    def hand_in(self) -> m.RunState:
        """Return when the host has the run, on its disk if nobody is to wait for it.

        Raises
        ------
        RunRefused, RunLost, RunUnknown
            As `drive` says.
        """
        return self._persist(lambda: self._follow(self._heed_acceptance))

    def _to_the_end(self) -> Outcome:
        end = self._follow(self._heed)
        return Outcome(end=end, parts=self._result(end))

    def _persist(self, work: Callable[[], T]) -> T:
        """Do what needs the connection, over as many connections as it takes."""
        while True:
            try:
                self._begin(first=self._reserved is None)
                return work()
            except (TransportError, RemoteProtocolError) as error:
                self._faults += isinstance(error, RemoteProtocolError)
                if self._reserved is None:
                    error.known, error.kept = NOTHING_SENT, ALL_KEPT
                    raise
                if self._faults > _FAULTS:
                    raise
                self._lost_at = self._lost_at or time.monotonic()
                self._pause(error, self._lost_at)
            finally:
                if self._shipping is not None:
                    self._shipping.close()

    # Beginning, once and again.

    def _begin(self, first: bool) -> None:
        hello = self._link.connect()
        if first and self._shipping is not None:
            self._reserved = (hello.boot, hello.store)
            self._shipping.begin()
        else:
            self._reserved = self._reserved or (hello.boot, hello.store)
            self._attaching = True
            self._link.say(m.Attach(run=self.run, offset=self.offset, watch=self._watch))

    def _pause(self, error: MacGPUError, lost_at: float) -> None:
        away = time.monotonic() - lost_at
        self._refusals += isinstance(error, TransportError) and error.lasting
        given_up = away > PATIENCE or self._refusals > _REFUSALS
        if given_up or (away > PROMPT and self._interrupts.take()):
            raise RunUnknown(
                f"{self._link.host} has not answered for {away:.0f} s ({error.what})",
                known=f"Run {self.run[:8]} may be going on there. It was not repeated.",
                kept="What was shown up to there; the notebook's variables are as before the cell.",
                next=f"Take it up with %macgpu attach {self.run[:8]} when the host is back.",
            ) from error
        time.sleep(min(_PAUSE, 0.05 + away / 4))

    # The conversation.

    def _follow(self, heed: Callable[[m.Message], T | None]) -> T:
        while True:
            self._obey_interrupts()
            more = self._shipping is not None and self._shipping.push()
            message = self._link.listen(0.0 if more else BLINK)
            if message is None:
                self._acknowledge()  # on a slow link less is under way than we wait for
                self._steps.tick()
                self._link.mind_the_silence(HEARTBEAT, SILENCE)
                continue
            self._back_again()
            found = heed(message)
            if found is not None:
                return found

    def _back_again(self) -> None:
        """Note that the host speaks over this connection. To have opened it says nothing yet."""
        if self._lost_at is not None:
            away, self._lost_at = time.monotonic() - self._lost_at, None
            self._show.notice(f"reconnected to {self._link.host} after {away:.1f} s")

    def _heed_acceptance(self, message: m.Message) -> m.RunState | None:
        if (end := self._heed(message)) is not None:
            # Somebody else stopped it before all of it was there.
            return m.RunState(run=self.run, epoch=end.epoch, state=end.state)
        if isinstance(message, m.RunState) and message.run == self.run:
            return message if message.state != "receiving" else None
        return None

    def _heed(self, message: m.Message) -> m.End | None:
        if isinstance(message, m.Output) and message.run == self.run:
            self._take_output(message)
        elif isinstance(message, m.RunState) and message.run == self.run:
            self._take_state(message)
        elif isinstance(message, m.End) and message.run == self.run:
            return self._take_end(message)
        elif isinstance(message, (m.Credit, m.Missing)) and self._shipping is not None:
            self._shipping.heed(message)
        elif isinstance(message, m.Refused) and message.subject == self.run:
            self._take_refusal(message)
        return None

    def _take_output(self, output: m.Output) -> None:
        self._digest.add(output.what, output.end, output.buffers)
        self.offset = output.end
        if output.what == "input_request":
            self._answer(output)
        else:
            self._show.output(output)
        if self.offset - self._shown_to >= _ACK_EVERY:
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self.offset > self._shown_to:
            self._shown_to = self.offset
            self._link.say(m.Ack(run=self.run, offset=self.offset))

    def _take_state(self, state: m.RunState) -> None:
        if state.offset is not None:
            if state.offset < self.offset:
                raise RunLost(
                    f"{self._link.host} lost output of run {self.run[:8]} that was shown here.",
                    known=f"It restarted in mid-run. The run is {state.state}, and not repeated.",
                )
            self._attaching = False
            self._epoch = state.epoch
            self.offset = self._shown_to = state.offset
            self._asked_until = int(state.detail.get("end", 0))
        elif state.epoch > self._epoch and not self._attaching:
            self._show.notice("another notebook has attached to this run and drives it now")
        if "trouble" in state.detail:
            self._take_trouble(plain_line(str(state.detail["trouble"])))
        if state.detail.get("detached") and not self._watch:
            raise LetGo(self.run)
        if "asking" in state.detail:
            self._asking = int(state.detail["asking"])
            self._answer_again()
        if self._shipping is not None and state.state != "receiving":
            self._shipping.arrived()
        if state.state == "started" and "wait" not in self._steps.took:
            self._steps.over("wait")
        self._show.state(state)

    def _take_trouble(self, said: str) -> None:
        """Say that the host's disk takes nothing, or does so again."""
        if said != self._trouble:
            self._trouble, host = said, self._link.host
            self._show.notice(
                f"the disk of {host} takes nothing now ({said}); the run waits there, nothing "
                "of it is lost, and it goes on when there is room"
                if said
                else f"the disk of {host} has room again; the run goes on"
            )

    def _take_end(self, end: m.End) -> m.End:
        if end.digest != self._digest.hex():
            self._link.close()
            text = f"{self._link.host} sent output that does not match its digest."
            raise RemoteProtocolError(text)
        self._steps.over("there")
        self._steps.returned = end.size
        return end

    def _take_refusal(self, refused: m.Refused) -> None:
        if refused.about == "attach" and refused.reason == "unknown-run":
            self._unknown()
        elif refused.about in ("submit", "attach"):
            raise refusal_of(refused, self._link.host)
        else:
            self._show.notice(f"{refused.about} was refused: {refused.text}")

    def _unknown(self) -> None:
        hello = self._link.connect()
        assert self._reserved is not None
        if self._shipping is None or self._submission is None:
            raise RunRefused(
                f"{self._link.host} does not know run {self.run[:8]}.",
                known="It may have been removed, or be on another host.",
                next="%macgpu runs lists the runs that are known.",
            )
        rebooted, replaced = hello.boot != self._reserved[0], hello.store != self._reserved[1]
        # What nobody waits for is on the disk when it is accepted: a new boot knows it too.
        if replaced or (rebooted and not self._submission.message.options.get("detach")):
            raise RunLost(
                f"{self._link.host} does not know run {self.run[:8]} any more: "
                f"{_why_unknown(rebooted=rebooted, replaced=replaced)}.",
                known="It may have run in part before that. It was not repeated.",
            )
        # The same boot and store that would know the run if it had arrived: it never did. A journal
        # that was begun for it is gone; where the output begins in the next one, that one says.
        self.offset = self._shown_to = 0
        self._shipping.begin()

    def _answer(self, output: m.Output) -> None:
        mark = int(output.content.get("mark", 0))
        if output.end <= self._asked_until and mark != self._asking:
            return  # it was answered before we attached
        prompt = str(output.content.get("prompt", ""))
        try:
            text = self._show.ask(prompt, bool(output.content.get("password")))
            reply = m.InputReply(run=self.run, epoch=self._epoch, text=text)
        except (Exception, KeyboardInterrupt) as error:
            why = str(error) or type(error).__name__
            reply = m.InputReply(run=self.run, epoch=self._epoch, error=why)
        self._reply = mark, reply
        self._link.say(reply)

    def _answer_again(self) -> None:
        """Repeat an answer that was lost with the connection: the run still asks for it."""
        if self._asking and self._reply is not None and self._reply[0] == self._asking:
            self._link.say(replace(self._reply[1], epoch=self._epoch))

    def _obey_interrupts(self) -> None:
        if self._attaching:
            return  # until the new epoch is known, the host would refuse it
        how = self._interrupts.take()
        if how:
            self._link.say(m.Cancel(run=self.run, epoch=self._epoch, how=how))
        if how == "kill" and self._trouble:
            raise RunUnknown(
                f"{self._link.host} was told to end run {self.run[:8]}, and cannot write that "
                f"down: its disk takes nothing ({self._trouble}).",
                known="The run ends there now. It will not be repeated.",
                kept="What was shown up to there; the notebook's variables are as before the cell.",
                next=f"Make room on {self._link.host}; then %macgpu attach {self.run[:8]} says how "
                "it ended.",
            )

    # The result.

    def _result(self, end: m.End) -> list[memoryview]:
        moved = functools.partial(self._steps.moved, "bring")
        parts = bring(self._link, end, self.run, self._interrupts.take, moved)
        self._steps.over("back")
        return parts


def _why_unknown(*, rebooted: bool, replaced: bool) -> str:
    if not replaced:
        return "it restarted"
    if not rebooted:
        return "the folder in which its runs are kept was deleted there"
    return "it restarted, and the folder in which its runs are kept is another one"
