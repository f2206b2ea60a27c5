"""The processes of one test's state folder: found by it, killed by their ids."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

#: What stands in the command line of a process of ours, by its role.
_ROLES = {
    "jupyter_macgpu.mac.door": "door",
    "jupyter_macgpu.mac.serve": "supervisor",
    "jupyter_macgpu.mac.worker": "worker",
    "ipykernel_launcher": "kernel",
}


#: Seconds in which a forked process has become the program that it is to be.
_BEGINS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One process that carries a state folder in its environment."""

    process: psutil.Process
    role: str

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process.pid

    def kill(self) -> bool:
        """Kill it, if it is still that process; say whether it was."""
        try:
            self.process.kill()
        except psutil.NoSuchProcess:
            return False
        return True


def found(state: Path, role: str = "") -> list[Found]:
    """Return the processes of a state folder, but not this one: all, or those of one role."""
    every = _living(lambda variables: variables.get("MACGPU_STATE") == str(state))
    asked = [each for each in every if role in ("", each.role)]
    return [each for each in asked if not _is_beginning(each, asked)]


def _is_beginning(each: Found, others: list[Found]) -> bool:
    """Whether it is a program that a supervisor has just forked for: it is still named like it.

    A guard is named so for good.
    """
    if each.role != "supervisor":
        return False
    above = {other.pid for other in others if other.role == each.role}
    until = time.monotonic() + _BEGINS
    try:
        while each.process.ppid() in above and _role(each.process) == each.role:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return each.process.ppid() in above
    except psutil.Error:
        return True


def end_below(folder: Path) -> list[Found]:
    """Kill the processes of ours whose state or home is a folder or in it; return them."""
    inside = str(folder) + "/"
    every = _living(
        lambda variables: any(
            f"{variables.get(name, '')}/".startswith(inside) for name in ("MACGPU_STATE", "HOME")
        )
    )
    return [each for each in every if each.role != "child" and each.kill()]


def _living(wanted: Callable[[dict[str, str]], bool]) -> list[Found]:
    """Return all processes but this one whose environment is wanted."""
    mine = psutil.Process().pid
    every = []
    for process in psutil.process_iter():
        try:
            if process.pid == mine or not wanted(process.environ()):
                continue
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            every.append(Found(process=process, role=_role(process)))
        except psutil.Error:
            continue
    return every


def _role(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    return next((name for word, name in _ROLES.items() if word in words), "child")


def wait_for_none(state: Path, roles: set[str], seconds: float) -> list[Found]:
    """Wait until no process of these roles is left; return those that are."""
    deadline = time.monotonic() + seconds
    while left := [each for each in found(state) if each.role in roles]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return left


def end_all(state: Path) -> None:
    """Kill whatever a test left, the supervisor first: it would only note the other deaths.

    What a door that was just killed had begun to start is killed when it is seen.

    Raises
    ------
    AssertionError
        If something cannot be killed.
    """
    everything = {"supervisor", "door", "worker", "kernel", "child"}
    for roles in ({"supervisor", "door"}, everything):
        deadline = time.monotonic() + 60.0
        while left := [each for each in found(state) if each.role in roles]:
            assert time.monotonic() < deadline, f"still alive: {left}"
            for each in left:
                each.kill()
            time.sleep(0.02)
