"""Whose turn it is among several accounts, as tables and as a law over all schedules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.fleet.sharers import counts_of, users_of
from jupyter_macgpu.fleet.status import shown_state
from jupyter_macgpu.mac.leases import Leases, Waiting
from jupyter_macgpu.mac.mounts import is_network, kind_in, mounts_of_linux, mounts_of_mac
from jupyter_macgpu.mac.turns import (
    GRACE,
    PASSED,
    PATIENCE,
    Crowd,
    Ticket,
    Turns,
    crowd_of,
    in_order,
    said_of,
)
from jupyter_macgpu.scheduling.status import HostStatus, State
from jupyter_macgpu.wire.order import STEP, Place


def ticket(name: str, since: float = 0.0, priority: int = 0, **more: Any) -> Ticket:
    place = Place(since=since, priority=priority, name=name)
    return Ticket(
        **{"name": name, "account": 1, "login": "ana", "kind": "gpu", "place": place, **more}
    )


def line(*names: str) -> list[Ticket]:
    """Return tickets that came one after the other; those in capitals hold a slot."""
    return [
        ticket(name, float(number), is_held=name.isupper()) for number, name in enumerate(names)
    ]


#: Tickets in the order in which they came, ours, slots, and which of ours may begin.
TAKEN = {
    "the first one": (line("a", "b"), "a", 1, ["a"]),
    "not the second one": (line("a", "b"), "b", 1, []),
    "two slots for two": (line("a", "b", "c"), "bc", 2, ["b"]),
    "nobody while it is held": (line("A", "b"), "b", 1, []),
    "the slot beside it": (line("A", "b", "c"), "bc", 2, ["b"]),
    "more hold than there are slots": (line("A", "B", "c"), "c", 1, []),
}


@pytest.mark.parametrize("name", TAKEN)
def test_who_may_begin(name: str) -> None:
    tickets, mine, slots, expected = TAKEN[name]
    assert Turns().taken(tickets, set(mine), {"gpu": slots}, 0.0) == expected


def test_kinds_do_not_wait_for_each_other_and_an_unknown_one_has_one_slot() -> None:
    tickets = [ticket("a", 0), ticket("b", 1, kind="cpu"), ticket("c", 2, kind="tpu")]
    assert Turns().taken(tickets, {"b", "c"}, {"gpu": 1, "cpu": 1}, 0.0) == ["b", "c"]


def test_accounts_are_ordered_as_one_accounts_own_runs_are() -> None:
    tickets = [ticket("a", 0), ticket("b", 1, priority=1), ticket("c", STEP + 1, priority=1)]
    assert [each.name for each in in_order(tickets)] == ["b", "a", "c"]


def test_who_does_not_take_its_slot_is_passed_and_not_waited_for_again_at_once() -> None:
    turns, tickets = Turns(), line("a", "b", "c")

    def may(now: float) -> list[str]:
        return turns.taken(tickets, {"b", "c"}, {"gpu": 1}, now)

    assert may(100.0) == []
    assert may(100.0 + PATIENCE - 0.1) == []
    assert may(100.0 + PATIENCE) == ["b"]
    # The slot is taken and free again: it is still passed.
    assert turns.taken(line("a", "B", "c"), {"b", "c"}, {"gpu": 1}, 110.0) == []
    assert may(111.0) == ["b"]
    # Later it is waited for once more: its supervisor may be there again.
    assert may(100.0 + PATIENCE + PASSED) == []
    assert may(100.0 + 2 * PATIENCE + PASSED) == ["b"]


def test_a_ticket_that_waits_behind_others_is_not_passed_for_that() -> None:
    turns, tickets = Turns(), line("A", "b", "c")
    assert turns.taken(tickets, {"c"}, {"gpu": 1}, 0.0) == []
    free = line("b", "c")
    assert turns.taken(free, {"c"}, {"gpu": 1}, 1000.0) == []
    assert turns.taken(free, {"c"}, {"gpu": 1}, 1000.0 + PATIENCE) == ["c"]


def test_the_dead_do_not_wait_but_their_slot_is_kept_for_a_moment() -> None:
    turns = Turns()
    tickets = [
        ticket("a", 0, is_alive=False),
        ticket("B", 1, is_alive=False, is_held=True),
        ticket("c", 2),
    ]
    assert [each.name for each in turns.living(tickets, 0.0)] == ["B", "c"]
    assert [each.name for each in turns.living(tickets, GRACE)] == ["c"]
    # One that is there again counts again.
    assert len(turns.living(line("a", "B", "c"), GRACE)) == 3


@given(
    slots=st.integers(1, 3),
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["come", "look", "end"]), st.integers(-5, 5)),
        max_size=60,
    ),
)
def test_no_schedule_gives_a_slot_to_two_or_lets_anybody_pass(
    slots: int, steps: list[tuple[int, str, int]]
) -> None:
    """Four accounts that look when they like; each has its own view of who does not come."""
    accounts = [Turns() for _ in range(4)]
    tickets: dict[str, Ticket] = {}
    for number, (account, what, priority) in enumerate(steps):
        now = number * 0.01
        mine = {name for name, each in tickets.items() if each.account == account}
        if what == "come":
            name = f"{number}"
            tickets[name] = ticket(name, now, priority, account=account)
        elif what == "end":
            for name in [name for name in mine if tickets[name].is_held][:1]:
                del tickets[name]
        else:
            seen = accounts[account].living(list(tickets.values()), now)
            before = [each.name for each in in_order(seen)]
            free = slots - sum(each.is_held for each in seen)
            for name in accounts[account].taken(seen, mine, {"gpu": slots}, now):
                assert before.index(name) < free
                tickets[name] = ticket(
                    name, tickets[name].place.since, account=account, is_held=True
                )
        assert sum(each.is_held for each in tickets.values()) <= slots


# What an account's own queue makes of it.


def test_what_others_do_counts_in_places_and_is_said() -> None:
    tickets = [
        ticket("X", is_held=True, login="ben", age=725.0, mem=24 * 10**9),
        ticket("a", 1),
        ticket("y", 2),
        ticket("b", 3),
    ]
    crowd = crowd_of(tickets, {"a": "run-a", "b": "run-b"})
    assert crowd.ahead == {"run-a": 0, "run-b": 1}
    leases = Leases({"gpu": 1})
    leases.cleared, leases.crowd = frozenset(), crowd
    for run in ("run-a", "run-b", "run-c"):
        leases.ask(Waiting(run=run, session=run, kind="gpu"))
    assert [leases.position(run) for run in ("run-a", "run-b", "run-c")] == [0, 2, 3]
    assert leases.queued("gpu") == 4
    assert leases.reason("run-a") == "in use by ben since 12 min, 24 GB"
    assert said_of(tickets[1]) == "ana since 0 min"
    assert leases.grant() == []
    leases.cleared = frozenset({"run-b"})
    assert [each.run for each in leases.grant()] == ["run-b"]


def test_what_waits_for_its_own_notebook_has_no_ticket() -> None:
    leases = Leases({"gpu": 1})
    leases.cleared = frozenset()
    for run, session in (("a", "1"), ("b", "1"), ("c", "2")):
        leases.ask(Waiting(run=run, session=session, kind="gpu"))
    assert [each.run for each in leases.wanting()] == ["a", "c"]
    leases.cleared = frozenset({"a"})
    leases.grant()
    assert [each.run for each in leases.wanting()] == ["c"]
    assert Crowd().before("b", "gpu") == 0


# File systems.

LINUX = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 21 0:35 / /home rw - nfs4 server:/home rw
41 40 8:2 / /home/local\\040disk rw master:1 - xfs /dev/sdb rw
broken line
"""
MAC = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//me@server/Shared on /Users/Shared (smbfs, nodev, nosuid, mounted by me)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib", "ext4", False),
        ("/home/ana", "nfs4", True),
        ("/home/local disk/x", "xfs", False),
    ],
)
def test_what_a_path_is_on_linux(path: str, kind: str, network: bool) -> None:
    from pathlib import PurePosixPath

    assert kind_in(PurePosixPath(path), mounts_of_linux(LINUX)) == kind
    assert is_network(kind) is network


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [("/Users/Shared/macgpu", "smbfs", True), ("/Users/ana", "apfs", False)],
)
def test_what_a_path_is_on_a_mac(path: str, kind: str, network: bool) -> None:
    from pathlib import PurePosixPath

    assert kind_in(PurePosixPath(path), mounts_of_mac(MAC)) == kind
    assert is_network(kind) is network


# What a client makes of it.

ANA = {"login": "ana", "kind": "gpu", "since": 725, "mem": 24 * 10**9, "place": None}
#: What hosts say of others, and who is said to have the machine.
USERS: dict[str, tuple[Any, str]] = {
    "one": ([ANA], "ana since 12 min, 24 GB"),
    "no memory": ([{**ANA, "mem": 0}], "ana since 12 min"),
    "one waits": ([{**ANA, "place": 0}], ""),
    "a text that does things": ([{**ANA, "login": "a\x1b[2Jna\n"}], "ana since 12 min, 24 GB"),
    "many": ([ANA] * 6, "; ".join(["ana since 12 min, 24 GB"] * 4) + " and 2 more"),
    "garbage": ([1, {}, {"login": 3}, {"login": "x", "since": "y"}], ""),
    "no list": ("ana", ""),
}


@pytest.mark.parametrize("name", USERS)
def test_who_has_the_machine(name: str) -> None:
    others, expected = USERS[name]
    said = {"queue": {"others": others}}
    assert users_of(said) == expected
    ready = HostStatus(name="mac", state=State.READY)
    state, reason = shown_state(ready, said, 0)
    assert (state, reason) == (
        (State.BUSY, f"in use by {expected}") if expected else (State.READY, "")
    )


def test_a_host_that_says_nothing_of_its_queue_has_no_other_users() -> None:
    assert users_of({}) == users_of({"queue": None}) == ""
    assert counts_of({"queue": {"others": [ANA, {**ANA, "place": 0}]}}) == (1, 1)
