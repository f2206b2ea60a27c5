"""What the server shows now, and which rows of it are news. No input or output.

Rows are never changed, only put in the place of others: whoever was given one may keep it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .rows import Row, aged, lasting, metric

Kind = Literal["hosts", "runs", "schedules", "metrics", "outputs", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """That something is another now; what it is, the board says.

    Attributes
    ----------
    kind
        What has changed.
    keys
        Which hosts or runs; of ``outputs`` the one run.
    first
        Of ``outputs``: index of the first one that is new or another.
    content
        Of ``metrics`` and ``problem``: what is said.
    """

    kind: Kind
    keys: tuple[str, ...] = ()
    first: int = 0
    content: Mapping[str, Any] = field(default_factory=dict)


class Board:
    """The rows of all hosts, runs and schedules. May be used by any thread.

    Parameters
    ----------
    now
        The time in seconds, by the clock of which rows of runs say when they were heard.

    Attributes
    ----------
    revision
        Counts the changes.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.revision = 0
        self.problems: tuple[str, ...] = ()
        self._hosts: dict[str, Row] = {}
        self._runs: dict[str, Row] = {}
        self._schedules: tuple[Row, ...] = ()
        self._lock = threading.Lock()

    def set_hosts(self, rows: Iterable[Row]) -> News | None:
        """Take in how all hosts are now; what was not named is gone."""
        new = {row["name"]: row for row in rows}
        with self._lock:
            before, self._hosts = self._hosts, new
            return self._changed("hosts", before, new)

    def set_runs(self, host: str, rows: Iterable[Row]) -> News | None:
        """Take in all runs of a host; what was not named is gone from there."""
        with self._lock:
            before = {run: row for run, row in self._runs.items() if row["host"] == host}
            new = {row["run"]: row for row in rows if self._is_of(row["run"], host)}
            for run in before:
                del self._runs[run]
            self._runs.update(new)
            return self._changed("runs", before, new)

    def add_runs(self, host: str, rows: Iterable[Row], gone: Iterable[str]) -> News | None:
        """Take in the runs of a host that are another now, and which are gone from there."""
        with self._lock:
            new = {row["run"]: row for row in rows if self._is_of(row["run"], host)}
            names = [run for run in gone if run in self._runs and self._is_of(run, host)]
            before = {run: self._runs[run] for run in (*new, *names) if run in self._runs}
            for run in names:
                del self._runs[run]
            self._runs.update(new)
            return self._changed("runs", before, new)

    def set_schedules(self, rows: Iterable[Row]) -> News | None:
        """Take in all schedules."""
        new = tuple(rows)
        with self._lock:
            if new == self._schedules:
                return None
            self._schedules = new
            self.revision += 1
            return News(kind="schedules")

    def set_problems(self, problems: Iterable[str]) -> News | None:
        """Take in what is wrong with the fleet files; a new one is news."""
        new = tuple(problems)
        before, self.problems = self.problems, new
        said = [text for text in new if text not in before]
        if not said:
            return None
        return News(kind="problem", content={"message": said[0], "reason": "", "hint": ""})

    def metrics(self, at: float) -> News:
        """Return what is drawn over time, of all hosts."""
        hosts = {name: metric(row) for name, row in self._hosts.items()}
        return News(kind="metrics", content={"at": round(at, 3), "hosts": hosts})

    def host(self, name: str) -> Row | None:
        """Return a host's row, or None."""
        return self._hosts.get(name)

    def run(self, run: str) -> Row | None:
        """Return a run's row, or None."""
        row = self._runs.get(run)
        return None if row is None else aged(row, self._now())

    def hosts_of(self, notebook: str) -> set[str]:
        """Return the names of hosts that know runs of a notebook."""
        with self._lock:
            return {row["host"] for row in self._runs.values() if row["notebook"] == notebook}

    def keep_hosts(self, names: Collection[str]) -> News | None:
        """Forget the runs of hosts that the fleet does not have any more."""
        with self._lock:
            gone = {run: row for run, row in self._runs.items() if row["host"] not in names}
            for run in gone:
                del self._runs[run]
            return self._changed("runs", gone, {})

    def part(self, kind: Kind, keys: Iterable[str]) -> Row:
        """Return what is said of some hosts or runs: their rows, and which are gone."""
        with self._lock:
            held = self._hosts if kind == "hosts" else self._runs
            wanted = list(keys)
            rows = self._told(kind, [held[key] for key in wanted if key in held])
            gone = [key for key in wanted if key not in held]
            return {"revision": self.revision, kind: rows, "gone": gone}

    def schedules(self) -> Row:
        """Return what is said of the schedules."""
        with self._lock:
            return {"revision": self.revision, "schedules": list(self._schedules)}

    def whole(self) -> Row:
        """Return everything."""
        with self._lock:
            return {
                "revision": self.revision,
                "hosts": list(self._hosts.values()),
                "runs": self._told("runs", self._runs.values()),
                "schedules": list(self._schedules),
                "problems": list(self.problems),
            }

    def _told(self, kind: Kind, rows: Iterable[Row]) -> list[Row]:
        now = self._now()
        return [aged(row, now) for row in rows] if kind == "runs" else list(rows)

    def _is_of(self, run: str, host: str) -> bool:
        """Say whether a run is this host's; two names may mean one machine: the first counts."""
        return run not in self._runs or self._runs[run]["host"] == host

    def _changed(
        self, kind: Kind, before: Mapping[str, Row], new: Mapping[str, Row]
    ) -> News | None:
        names = [name for name, row in new.items() if _is_other(before.get(name), row)]
        names += [name for name in before if name not in new]
        if not names:
            return None
        self.revision += 1
        return News(kind=kind, keys=tuple(names))


def _is_other(before: Row | None, now: Row) -> bool:
    return before is None or lasting(before) != lasting(now)
