"""Hosts that take nothing new: drained for all by an administrator, or paused by their owner."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .applying import write
from .wire import messages as m
from .wire.errors import ConfigError, WorkerError
from .wire.policy import PolicyError, from_plain

if TYPE_CHECKING:
    from .fleet.hosts import Host
    from .pool import Pool


def drain(pool: Pool, host: Host, *, is_drained: bool, as_user: str = "") -> str:
    """Let a host take nothing new, or again; return where its policy stands.

    Its policy is otherwise left as it is. Runs that have begun go on, and runs that wait go on
    waiting.

    Raises
    ------
    ConfigError
        If its policy cannot be read, or whoever logs in may not write it. It is as it was.
    TransportError
        If the host cannot be reached.
    """
    link = pool.session(host).link
    said = link.connect().detail.get("policy")
    told: Mapping[str, Any] = said if isinstance(said, Mapping) else {"problem": "it is not told"}
    try:
        held = from_plain(told.get("policy") or {})
        problem = str(told.get("problem") or "")
    except PolicyError as error:
        problem = str(error)
    if problem:
        raise ConfigError(
            f"The policy of {host.name} cannot be read: {problem}.",
            known="Nothing was run.",
            kept="The policy there is as it was.",
            next="macgpu apply writes what the fleet file says.",
        )
    wanted = replace(held, limits=replace(held.limits, drain=is_drained))
    path = write(pool.reach, host, wanted, as_user)
    # The hello of an open connection is that of its beginning.
    link.close()
    return path


def pause(pool: Pool, host: Host, seconds: float | None) -> None:
    """Let nothing new begin on a host for so many seconds; None ends the pause.

    What runs goes on. The pause outlives the supervisor.

    Raises
    ------
    WorkerError
        If the host will not do it.
    TransportError
        If it cannot be reached.
    """
    operation = secrets.token_hex(8)
    action = "resume" if seconds is None else "pause"
    detail = {} if seconds is None else {"seconds": seconds}
    answer = pool.session(host).link.ask(
        m.Operate(operation=operation, session="", action=action, detail=detail),
        lambda message: (
            (isinstance(message, m.Operated) and message.operation == operation)
            or (isinstance(message, m.Refused) and message.subject in (operation, ""))
        ),
    )
    error = answer.text if isinstance(answer, m.Refused) else ""
    if isinstance(answer, m.Operated):
        error = answer.error
    if error:
        raise WorkerError(
            f"{host.name}: {error}.",
            known="Nothing was changed there.",
            next="macgpu status shows how it is.",
        )
