"""What hosts last said of themselves, kept for all kernels of this account.

Each host has a small file with ages in it. So a kernel that has just begun ranks the fleet by what
others heard, and connects only to those that come into question.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .fleet.status import Heard, heard_from, host_status
from .ledger import state_folder
from .scheduling.status import State
from .scheduling.weights import STALE_AFTER
from .wire.errors import ConfigError, MacGPUError, ProtocolError, TransportError
from .wire.plain import plain_line, plain_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from .fleet.hosts import Host
    from .scheduling.status import HostStatus
    from .wire import messages as m

#: A file that is longer, in bytes, is none of ours.
LONGEST = 256 * 1024
#: Seconds for which a telemetry is new enough to place a cell by.
FRESH = 5.0
#: What passes by itself, so that it is not believed for long.
_PASSING = ("lanes", "queue", "draining", "paused", "asked", "held", "gpu_taken", "cpu_taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a host.

    Attributes
    ----------
    heard
        What it said, and what is thought of the way there.
    tried
        When that was last found out, well or not; None if nobody ever did.
    """

    heard: Heard = field(default_factory=Heard)
    tried: float | None = None

    def age(self, now: float) -> float | None:
        """Return how many seconds ago its state was found out."""
        return None if self.tried is None else max(0.0, now - self.tried)


_NOTHING = Known()


class Statuses:
    """The hosts as last seen by any kernel of this account. May be used by several threads.

    Parameters
    ----------
    folder
        Where the files are; in our state's folder if not given.
    clock
        Seconds, the same for all processes of this machine.
    """

    def __init__(self, folder: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._read: dict[str, tuple[int, int]] = {}
        self._made: dict[str, tuple[Known, Host, bool, int, HostStatus]] = {}
        #: Runs that were handed to a host since it was heard of: what was known then, how many.
        self._sent: dict[str, tuple[Known, int]] = {}
        self._lock = threading.Lock()
        #: Counts what was learnt.
        self.version = 0

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return self._folder or state_folder() / "statuses"

    def now(self) -> float:
        """Return the time by the clock of everything here."""
        return self._clock()

    def known(self, host: Host) -> Known:
        """Return what is known of a host."""
        return self._known.get(key_of(host), _NOTHING)

    def told(self, host: Host, sample: Mapping[str, Any], ago: float = 0.0) -> None:
        """Take in what a host said `ago` seconds before."""
        at = self.now() - max(0.0, ago)
        self.look([host])
        before = self.known(host)
        if before.heard.seen is not None and before.heard.seen > at + 1:
            return  # another kernel has newer news
        self._keep(host, Known(heard=before.heard.told(sample, at), tried=at))

    def answered(self, host: Host) -> None:
        """Take in that a host that was thought badly of is well; it said nothing new."""
        heard = replace(self.known(host).heard, state=State.READY, reason="")
        self._keep(host, Known(heard=heard, tried=self.now()))

    def failed(self, host: Host, error: MacGPUError) -> None:
        """Take in that a host could not be reached or used, and why."""
        self.look([host])
        before = self.known(host).heard
        state, reason = verdict_on(error, before)
        reason = reason.removeprefix(f"{host.name}: ")
        self._keep(host, Known(heard=replace(before, state=state, reason=reason), tried=self.now()))

    def slow(self, host: Host, seconds: float) -> None:
        """Take in that a host has not answered yet; other kernels are not told."""
        before = self.known(host)
        reason = f"no answer for {seconds:.0f} s"
        heard = replace(before.heard, state=State.SLOW, reason=reason)
        with self._lock:
            self._known[key_of(host)] = Known(heard=heard, tried=self.now())
            self.version += 1

    def sent(self, host: Host) -> None:
        """Note that a run was handed to a host, which what it said last does not count."""
        key = key_of(host)
        with self._lock:
            self._sent[key] = self._known.get(key, _NOTHING), self._sent_since(key) + 1
            self.version += 1

    def _sent_since(self, key: str) -> int:
        since, number = self._sent.get(key, (_NOTHING, 0))
        return number if since is self._known.get(key, _NOTHING) else 0

    def look(self, hosts: Iterable[Host]) -> None:
        """Take in what other kernels have heard of hosts."""
        for host in hosts:
            key = key_of(host)
            with contextlib.suppress(OSError, ValueError, RecursionError):
                file = self.folder / f"{key}.json"
                found = file.stat()
                stamp = (found.st_mtime_ns, found.st_ino)
                if self._read.get(key) == stamp or found.st_size > LONGEST:
                    continue
                self._read[key] = stamp
                self._adopt(key, json.loads(file.read_bytes()))

    def status(self, host: Host) -> HostStatus:
        """Return a host as placement sees it: what passes counts for `STALE_AFTER` seconds."""
        key, known = key_of(host), self.known(host)
        seen = known.heard.seen
        is_old = seen is not None and self.now() - seen > STALE_AFTER
        sent = self._sent_since(key)
        made, made_of = self._made.get(key), (known, host, is_old, sent)
        if made is not None and made[0] is known and made[1] is host and made[2:4] == made_of[2:]:
            return made[4]
        heard = known.heard
        if is_old:
            lasting = {name: said for name, said in heard.said.items() if name not in _PASSING}
            heard = replace(heard, said=lasting)
        status = host_status(host, heard, here=host.transport == "local")
        status = replace(status, sent_since=sent) if sent else status
        self._made[key] = (*made_of, status)
        return status

    def _adopt(self, key: str, data: object) -> None:
        if not isinstance(data, dict):
            return
        now, written = self.now(), data.get("written")
        if not isinstance(written, (int, float)) or isinstance(written, bool):
            return
        at = min(float(written), now)
        heard = heard_from(data.get("heard"), at)
        tried = data.get("tried_age")
        known = Known(
            heard=replace(heard, reason=plain_line(heard.reason), said=plain_values(heard.said)),
            tried=at - max(0.0, float(tried)) if isinstance(tried, (int, float)) else heard.seen,
        )
        with self._lock:
            ours = self._known.get(key, _NOTHING)
            if known.tried is not None and (ours.tried is None or known.tried > ours.tried):
                self._known[key] = known
                self.version += 1

    def _keep(self, host: Host, known: Known) -> None:
        key, now = key_of(host), self.now()
        with self._lock:
            self._known[key] = known
            self.version += 1
        entry = {
            "host": host.name,
            "written": now,
            "tried_age": known.age(now),
            "heard": known.heard.as_json(now),
        }
        # Nobody needs the file: a full disk must not keep a cell from running.
        with contextlib.suppress(OSError, ValueError, TypeError):
            content = json.dumps(entry).encode()
            if len(content) <= LONGEST:
                _write(self.folder, f"{key}.json", content)


def key_of(host: Host) -> str:
    """Return what names a host's file: another machine under the same name has another one."""
    return _key_of(host.name, host.transport, host.hostname, host.port, host.user)


@functools.lru_cache(maxsize=4096)
def _key_of(*where: str | int | None) -> str:
    return hashlib.sha256(json.dumps(where).encode()).hexdigest()[:32]


def sample_of(hello: m.Hello) -> dict[str, Any]:
    """Return what a supervisor's hello tells of its host.

    A supervisor that knows no telemetry says how many slots it has and how many runs live.
    """
    detail = hello.detail
    slots, live = detail.get("slots"), detail.get("live")
    sample: dict[str, Any] = {}
    if "devices" in detail:
        sample["devices"] = detail["devices"]
    if isinstance(held := detail.get("policy"), dict):
        sample["policy"] = held.get("policy")
    if isinstance(slots, dict) and isinstance(live, int):
        sample["lanes"] = {kind: _lane(slots.get(kind), live) for kind in ("gpu", "cpu")}
    said = detail.get("telemetry")
    return {**sample, **said} if isinstance(said, dict) else sample


def tells(hello: m.Hello | None) -> bool:
    """Say whether a host answers `Watch`."""
    return hello is not None and isinstance(hello.detail.get("telemetry"), dict)


def verdict_on(error: MacGPUError, before: Heard) -> tuple[State, str]:
    """Return what an error on the way to a host says of it, and the reason in one line."""
    reason = plain_line(error.what.splitlines()[0] if error.what else "")
    if isinstance(error, (ConfigError, ProtocolError)) or type(error).__name__ == "DeployError":
        return State.UNUSABLE, reason
    if isinstance(error, TransportError) and error.lasting:
        return State.REFUSED, reason
    sign = error.sign if isinstance(error, TransportError) else ""
    if sign == "slow":
        return State.SLOW, reason
    power = before.telemetry.power
    may_sleep = power.never_sleeps is False or (power.sleep_after_seconds or 0) > 0
    if sign == "silent" and may_sleep and not power.sleep_disabled:
        return State.ASLEEP, "no answer, and its settings let it sleep"
    return State.UNREACHABLE, reason


def _lane(slots: object, live: int) -> dict[str, object]:
    count = slots if isinstance(slots, int) and slots > 0 else 1
    return {"slots": count, "running": min(live, count), "queued": max(0, live - count)}


def _write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".{secrets.token_hex(6)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        temporary.replace(folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
