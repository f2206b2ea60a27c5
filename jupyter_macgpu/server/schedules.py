"""Notebooks that run at their time: the server's own clock starts them, while the server runs.

Nothing of it is on the hosts: a Mac sleeps, and its supervisor leaves when there is nothing to do.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..grammar import Unreadable
from ..moments import read_moment
from ..notebookfile import NotebookFile
from ..options import CellOptions
from ..wire.errors import ConfigError, InputError, MacGPUError, RunRefused
from .awaiting import Awaiting
from .notebookjob import NotebookJob
from .once import found, mark_of
from .planfile import PlanFile
from .refusals import Unknown
from .timetable import Awaited, End, Plan, heard, looked_at, planned, resumed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from ..pool import Pool
    from .rows import Row

#: Seconds between two looks at the clock at most: it may be set, and this machine may sleep.
LOOK = 20.0
#: Notebooks that run at the same time; others wait for these.
AT_ONCE = 4
#: Plans that there may be, and that are remembered although they are done.
MOST, DONE = 1000, 50


class Schedules:
    """The plans of one server, and what runs of them. May be used by any thread.

    Parameters
    ----------
    root
        Folder that all paths are below.
    lend
        Lends connections for a notebook's name.
    tell
        Called with all rows whenever one is another.
    find
        Returns the row of the run that an id means, moves followed; it asks hosts.
    look
        Returns a run's row as its host has it now; see `Awaiting`.
    """

    def __init__(
        self,
        root: str,
        lend: Callable[[str], AbstractContextManager[Pool]],
        tell: Callable[[list[Row]], None],
        *,
        find: Callable[[str], Row],
        look: Callable[[Awaited], Row | None],
    ) -> None:
        self._root = Path(root)
        self._file = PlanFile(root)
        self._lend, self._tell, self._find = lend, tell, find
        self._awaiting = Awaiting(look, self._left, self._heard)
        self._plans: dict[str, Plan] = {}
        self._jobs: dict[str, NotebookJob] = {}
        self._queued: set[str] = set()
        self._slots = threading.Semaphore(AT_ONCE)
        self._news = threading.Condition(threading.RLock())
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.problem = ""

    def begin(self) -> None:
        """Take up the plans that there are; no host is asked before one is due."""
        with self._news:
            try:
                self._plans = {plan.id: plan for plan in self._file.read()}
                if self._plans and self._file.claim():
                    self._take_charge()
            except (MacGPUError, OSError) as error:
                self.problem = str(getattr(error, "what", error))

    def close(self) -> None:
        """Start nothing any more. What runs is told at the next start of a server to have ended."""
        with self._news:
            self._stopped = True
            self._news.notify_all()
        self._awaiting.close()
        self._file.close()

    def rows(self) -> list[Row]:
        """Return all plans, the one that is due first in front."""
        with self._news:
            plans = sorted(self._plans.values(), key=lambda plan: (plan.next is None, plan.next))
            return [self._row(plan) for plan in plans]

    def add(self, wanted: Mapping[str, Any]) -> Row:
        """Plan a notebook; the same request again is the same plan.

        Raises
        ------
        InputError
            If the notebook, a path or a time will not do. Nothing was planned.
        Unknown
            If no host knows a run that it is to follow. Nothing was planned.
        RunRefused
            If the request's key was used for something else.
        ConfigError
            If another server of this folder has its schedules, or they cannot be written.
        """
        if (same := self._same(wanted)) is not None:
            return same
        plan = self._plan(wanted)
        with self._news:
            if (same := self._same(wanted)) is not None:
                return same
            if len(self._plans) >= MOST:
                raise RunRefused(f"There are {MOST} schedules already.", next="Delete some.")
            self._take_charge()
            self._keep({**self._plans, plan.id: plan})
            if plan.awaits:
                self._awaiting.begin(plan.id)
            return self._row(self._plans[plan.id])

    def remove(self, name: str) -> None:
        """Forget a plan; what runs of it is stopped."""
        with self._news:
            self._get(name)
            self._keep({key: plan for key, plan in self._plans.items() if key != name})
            if job := self._jobs.get(name):
                job.stop()

    def change(self, name: str, what: str) -> Row:
        """Pause a plan, resume it, run it now, or cancel what runs of it.

        Raises
        ------
        Unknown
            If there is no such plan.
        RunRefused
            If it runs already, or nothing of it does that could be cancelled.
        """
        with self._news:
            plan = self._get(name)
            if what == "pause":
                self._keep({**self._plans, name: replace(plan, is_paused=True)})
            elif what == "resume":
                self._keep({**self._plans, name: resumed(plan, time.time())})
            elif (job := self._jobs.get(name)) is None and what == "run":
                self._start(replace(plan, awaits=()))
            elif job is not None and what == "cancel":
                self._queued.discard(name)
                job.stop()
            else:
                state = "runs already" if what == "run" else "does not run now"
                raise RunRefused(f"{plan.path} {state}.", known="Nothing was done.")
            return self._row(self._plans[name])

    # Plans.

    def _plan(self, wanted: Mapping[str, Any]) -> Plan:
        now, at = time.time(), wanted.get("at")
        source = self._inside(wanted["path"])
        if source.suffix != ".ipynb" or not source.is_file():
            raise InputError(f"There is no notebook {wanted['path'][:200]}.", next="Save it first.")
        NotebookFile(source, wanted.get("parameters") or {})  # says what is wrong with it
        if output := wanted.get("output"):
            self._target(source, output)
        return planned(
            Plan(
                id=secrets.token_hex(8),
                path=wanted["path"],
                created=round(now, 3),
                on=None if wanted.get("on") == "auto" else wanted.get("on"),
                at=None if at is None else _moment(at, now),
                cron=wanted.get("cron"),
                after=tuple(wanted.get("after") or ()),
                awaits=tuple(self._awaited(each) for each in wanted.get("after") or ()),
                priority=wanted.get("priority") or 0,
                parameters=dict(wanted.get("parameters") or {}),
                output=output or None,
                concurrency=wanted.get("concurrency", "skip"),
                missed=wanted.get("missed", "skip"),
                key=mark_of(wanted),
            ),
            now,
        )

    def _same(self, wanted: Mapping[str, Any]) -> Row | None:
        with self._news:
            plans = list(self._plans.values())
            same = found(mark_of(wanted), ((plan.key, plan) for plan in plans))
            return None if same is None else self._row(same)

    def _awaited(self, after: str) -> Awaited:
        row = self._find(after.removeprefix("any:"))
        return Awaited(run=row["run"], host=row["host"], whatever=after.startswith("any:"))

    def _inside(self, path: str) -> Path:
        """Return a path below the root, and not hidden; others are no paths here."""
        whole = (self._root / path).resolve() if "\x00" not in path else self._root
        root = self._root.resolve()
        if whole == root or not whole.is_relative_to(root):
            raise InputError(f"{path[:200]!r} is no path in the server's folder.")
        if any(part.startswith(".") for part in whole.relative_to(root).parts):
            raise InputError(f"{path[:200]!r} is hidden.")
        return whole

    def _target(self, source: Path, output: str) -> Path:
        target = self._inside(output)
        if target == source or target.suffix != ".ipynb" or not target.parent.is_dir():
            raise InputError(
                f"{output[:200]!r} cannot be the notebook that has run.",
                next="Name another .ipynb file in a folder that is there.",
            )
        return target

    def _get(self, name: str) -> Plan:
        if name not in self._plans:
            raise Unknown
        self._take_charge()
        return self._plans[name]

    def _keep(self, plans: dict[str, Plan]) -> None:
        """Let these be the plans, when they are written down."""
        done = [plan for plan in plans.values() if plan.is_over and plan.began is None]
        for plan in sorted(done, key=lambda plan: plan.created)[:-DONE]:
            del plans[plan.id]
        self._file.write(plans.values())
        self._plans = plans
        self._news.notify_all()
        self._tell(self.rows())

    def _take_charge(self) -> None:
        if self.problem:
            raise ConfigError(self.problem, known="No notebook is started.")
        try:
            is_ours = self._file.claim()
        except OSError as error:
            raise ConfigError(
                f"The schedules cannot be written here: {error.strerror or error}.",
                known="Nothing was changed.",
                next="Give write access to the state folder, then try again.",
            ) from None
        if not is_ours:
            raise ConfigError(
                "Another server of this folder has its schedules.",
                known="Nothing was changed.",
                kept="What is planned there goes on.",
                next="Use that server, or stop it.",
            )
        if self._thread is None:
            self._plans = {plan.id: _taken_up(plan) for plan in self._file.read()}
            self._thread = threading.Thread(target=self._go, name="macgpu-clock", daemon=True)
            self._thread.start()
            for plan in self._plans.values():
                if plan.awaits:
                    self._awaiting.begin(plan.id)

    # Runs that are waited for.

    def _left(self, name: str) -> tuple[Awaited, ...]:
        with self._news:
            plan = self._plans.get(name)
            return () if plan is None or self._stopped else plan.awaits

    def _heard(self, name: str, awaited: Awaited, row: Row | None) -> None:
        with self._news, contextlib.suppress(ConfigError):  # a full disk: it is heard again
            plan = self._plans.get(name)
            if plan is None or self._stopped:
                return
            after = heard(plan, awaited, row, round(time.time(), 3))
            if after is not plan:
                self._keep({**self._plans, name: after})

    # The clock.

    def _go(self) -> None:
        with self._news:
            while not self._stopped:
                with contextlib.suppress(ConfigError):  # a full disk: it is looked at again
                    self._look(time.time())
                times = [plan.next for plan in self._plans.values() if not plan.is_paused]
                due = min((at for at in times if at is not None), default=time.time() + LOOK)
                self._news.wait(min(LOOK, max(0.05, due - time.time())))

    def _look(self, now: float) -> None:
        for name, before in list(self._plans.items()):
            plan, is_due = looked_at(before, now)
            if not is_due:
                if plan is not before:
                    self._keep({**self._plans, name: plan})
            elif name not in self._jobs:
                self._start(plan)
            elif plan.concurrency == "queue":
                self._queued.add(name)
                self._keep({**self._plans, name: plan})
            else:
                text = "it was still running when it was due again"
                skipped = End(state="skipped", at=round(now, 3), message=text)
                history = plan.ended(skipped).history
                self._keep({**self._plans, name: replace(plan, history=history)})

    def _start(self, plan: Plan) -> None:
        source = self._root / plan.path
        now = time.time()
        stamp = datetime.fromtimestamp(now).strftime("%Y-%m-%dT%H%M%S")
        output = plan.output or str(Path(plan.path).with_suffix(f".{stamp}.ipynb"))
        # Written down before it begins: after a crash it is known that it did.
        self._keep({**self._plans, plan.id: replace(plan, began=round(now, 3))})
        job = NotebookJob(
            source,
            self._root / output,
            output,
            options=CellOptions(on=plan.on, priority=plan.priority or None),
            parameters=plan.parameters,
            lend=self._lend,
            tell=lambda: self._tell(self.rows()),
        )
        self._jobs[plan.id] = job
        name = f"macgpu-notebook-{plan.id}"
        threading.Thread(target=self._run, args=(plan.id, job), name=name, daemon=True).start()

    def _run(self, name: str, job: NotebookJob) -> None:
        with self._slots:
            end = job.run()
        with self._news:
            del self._jobs[name]
            plan = self._plans.get(name)
            if plan is None or self._stopped:
                return
            with contextlib.suppress(ConfigError):
                self._keep({**self._plans, name: plan.ended(end)})
                if name in self._queued:
                    self._queued.discard(name)
                    self._start(self._plans[name])

    def _row(self, plan: Plan) -> Row:
        job, plain = self._jobs.get(plan.id), plan.plain()
        history = plain.pop("history")
        for hidden in ("key", "began", "is_paused"):
            del plain[hidden]
        progress = None if job is None else job.progress
        plain["after"] = list(plan.after)
        plain["awaits"] = [{"run": each.run, "host": each.host} for each in plan.awaits]
        state = "done" if plan.is_over else "waiting"
        state = "paused" if plan.is_paused else state
        now = None
        if progress is not None:
            state = "running"
            now = {
                "started": round(progress.began, 3),
                "cell": progress.cell,
                "cells": progress.cells,
                "host": progress.host,
                "run": progress.run or None,
                "output": progress.output,
            }
        last = history[0] if history else None
        return {**plain, "state": state, "now": now, "last": last, "history": history}


def _taken_up(plan: Plan) -> Plan:
    """Return a plan as the next server finds it: what ran when the last one ended is over."""
    if plan.began is None:
        return plan
    text = "the server ended while it ran; it was not started again"
    return plan.ended(End(state="interrupted", at=plan.began, message=text))


def _moment(text: str, now: float) -> float:
    """Return the time that a text means, as `read_moment` does."""
    try:
        return read_moment(text, now)
    except Unreadable as unreadable:
        raise InputError(f"{text[:80]!r}: {unreadable.problem}.", next=unreadable.remedy) from None
