"""Which hosts are asked, and which of those that answer takes the cell."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest

from jupyter_macgpu.fleet.hosts import Fleet, Host
from jupyter_macgpu.fleet.profiles import Profile
from jupyter_macgpu.options import parse_cell
from jupyter_macgpu.placement import (
    AT_ONCE,
    ROWS,
    Answer,
    Wish,
    best_of,
    hoped,
    may_have,
    nobody,
    reason_for,
    rows_of,
    to_ask,
    unreachable,
    wish_of,
)
from jupyter_macgpu.scheduling.affinity import Affinity
from jupyter_macgpu.scheduling.explain import explain
from jupyter_macgpu.scheduling.needs import Needs
from jupyter_macgpu.scheduling.rank import Ranking, rank
from jupyter_macgpu.scheduling.status import HostStatus, Lane, State
from jupyter_macgpu.scheduling.taints import Taint, Toleration
from jupyter_macgpu.scouting import Scouts
from jupyter_macgpu.wire.errors import ConfigError, PlacementError, TransportError
from tests.unit.ranked_hosts import NOW, mac

HOSTS = tuple(Host(name=f"mac-{number}") for number in range(1, 9))
FLEET = Fleet(
    hosts=(
        Host(name="studio", labels={"room": "lab", "chip": "m2-ultra"}),
        Host(name="mini", labels={"room": "lab"}, taints=(Taint(key="slow"),)),
        Host(name="far"),
    ),
    profiles={
        "train": Profile(
            name="train",
            affinity=Affinity(node_selector={"chip": "m2-ultra"}),
            tolerations=(Toleration(key="slow", operator="Exists"),),
            mem=24 * 10**9,
        ),
        "light": Profile(name="light", cpu=True),
    },
)


def statuses(fleet: Fleet) -> list[HostStatus]:
    return [HostStatus(name=h.name, labels=h.labels, taints=h.taints) for h in fleet.hosts]


def ranked(line: str, **known: object) -> Ranking:
    wish = wish_of(parse_cell(line), FLEET, **known)  # type: ignore[arg-type]
    return rank(statuses(FLEET), wish.needs, NOW)


FITS = {
    "": ["far", "studio"],
    "--on studio": ["studio"],
    "--on room=lab": ["studio"],
    "--on room=lab --tolerate slow": ["mini", "studio"],
    "--on room": ["studio"],
    "--on '!room'": ["far"],
    "--on mini": [],
    "--on mini --tolerate slow": ["mini"],
    "--profile train": ["studio"],
    "--profile train --on far": [],
    "--profile light": ["far", "studio"],
    "--prefer room=lab": ["studio", "far"],
    "--prefer '!room:3'": ["far", "studio"],
}


@pytest.mark.parametrize("line", FITS)
def test_the_options_of_a_cell_say_which_hosts_can_take_it(line: str) -> None:
    assert [one.host for one in ranked(line).feasible] == FITS[line]


def test_what_the_cell_asks_goes_before_what_its_profile_asks() -> None:
    assert wish_of(parse_cell("--profile train"), FLEET).needs.mem == 24 * 10**9
    assert wish_of(parse_cell("--profile train --mem 2GB"), FLEET).needs.mem == 2 * 10**9
    assert wish_of(parse_cell("--profile light"), FLEET).needs.is_cpu
    assert wish_of(parse_cell("--cpu"), FLEET).needs.is_cpu
    both = wish_of(parse_cell("--profile train --tolerate other"), FLEET).needs.tolerations
    assert {"slow", "other", "apple.com/gpu"} <= {each.key for each in both}


def test_a_notebook_stays_unless_its_cell_says_where() -> None:
    for line, stays in (
        ("", True),
        ("--mem 2GB --cpu --tolerate slow", True),
        ("--on studio", False),
        ("--profile light", False),
        ("--prefer room=lab", False),
    ):
        assert wish_of(parse_cell(line), FLEET, home="far").stays is stays, line
    used = wish_of(parse_cell(""), FLEET, uses="room=lab")
    assert used.stays
    assert [one.host for one in rank(statuses(FLEET), used.needs, NOW).feasible] == ["studio"]
    assert wish_of(parse_cell("--on far"), FLEET, uses="room=lab").needs.host == "far"


def test_what_is_not_there_is_said_before_anybody_is_asked() -> None:
    with pytest.raises(ConfigError, match="no profile trian"):
        wish_of(parse_cell("--profile trian"), FLEET)
    with pytest.raises(PlacementError) as refused:
        wish_of(parse_cell("--on studoi"), FLEET)
    assert refused.value.next == "Did you mean studio?"
    # The key of a label that a host has told of is a selector.
    assert wish_of(parse_cell("--on macos"), FLEET, keys={"macos"}).needs.selector is not None


def test_no_more_hosts_are_asked_at_once_than_the_budget_allows() -> None:
    ranking = rank([HostStatus(name=host.name) for host in HOSTS], Needs(), NOW)
    first = to_ask(ranking, (), ())
    assert first == ("mac-1", "mac-2", "mac-3", "mac-4")
    assert len(first) == AT_ONCE
    assert to_ask(ranking, first, ()) == ("mac-5", "mac-6", "mac-7", "mac-8")
    assert to_ask(ranking, [host.name for host in HOSTS], ()) == ()


def test_a_host_that_was_never_heard_of_may_have_the_labels_that_are_asked_for() -> None:
    asked = "--on chip=m2-ultra,memory=64"
    assert not ranked(asked).feasible
    assert to_ask(ranked(asked), (), {"studio", "far"}) == ("far", "studio")
    assert to_ask(ranked(asked), (), ()) == ()
    # What the fleet file's own taints forbid, no host's answer allows.
    assert "mini" not in to_ask(ranked(asked), (), {"mini"})


def test_what_the_fleet_file_says_of_a_host_is_known_before_it_is_heard() -> None:
    studio, _, far = FLEET.hosts
    for line, studio_may, far_may in (
        ("", True, True),
        ("--on room=lab", True, True),
        ("--on room=attic", False, True),
        ("--on memory>32", True, True),
        ("--on '!room'", False, True),
        ("--on room,chip!=m2-ultra", False, True),
        ("--profile train", True, True),
    ):
        needs = wish_of(parse_cell(line), FLEET).needs
        assert (may_have(studio, needs), may_have(far, needs)) == (studio_may, far_may), line
    other = dataclasses.replace(studio, labels={"chip": "m1"})
    assert not may_have(other, wish_of(parse_cell("--profile train"), FLEET).needs)


@pytest.mark.parametrize(
    "state",
    [State.UNREACHABLE, State.ASLEEP, State.DRAINING, State.REFUSED, State.UNUSABLE],
)
def test_what_was_wrong_with_a_host_before_is_not_held_against_it_for_ever(state: State) -> None:
    ranking = rank([mac(name="bad", state=state), mac(name="good")], Needs(), NOW)
    assert to_ask(ranking, (), ()) == ("good",)
    assert to_ask(ranking, ("good",), ()) == ("bad",)
    assert [one.host for one in hoped(ranking, ())] == ["bad"]


def test_only_a_host_that_has_answered_is_chosen() -> None:
    ranking = rank([mac(name="fast"), mac(name="busy", gpu=Lane(running=1))], Needs(), NOW)
    assert [one.host for one in ranking.feasible] == ["fast", "busy"]
    best = best_of(ranking, {"busy"})
    assert best is not None
    assert best.host == "busy"
    assert reason_for(best, ranking, Wish()).startswith("best of those that answered in time: ")
    assert best_of(ranking, ()) is None


def test_each_choice_has_its_reason() -> None:
    one = rank([mac(name="a")], Needs(), NOW)
    two = rank([mac(name="a"), mac(name="b", gpu=Lane(running=1))], Needs(home="a"), NOW)
    closed = rank([mac(name="a"), mac(name="b", is_paused=True)], Needs(), NOW)
    for ranking, needs, stays, said in (
        (one, Needs(), True, "the fleet's only host"),
        (one, Needs(home="a"), True, "this notebook's host"),
        (two, Needs(home="a"), True, "this notebook's host"),
        (two, Needs(home="a"), False, "best of 2: "),
        (two, Needs(host="a"), True, "a was asked for"),
        (two, Needs(holders=frozenset({"a"})), True, "values of this cell live there"),
        (closed, Needs(), True, "the only host that can take it"),
    ):
        wish = Wish(needs=needs, stays=stays)
        assert reason_for(ranking.candidates[0], ranking, wish).startswith(said)


def test_what_is_kept_with_a_run_is_the_ranking_without_what_does_not_matter() -> None:
    hosts = [mac(name=f"mac-{i:02}", gpu=Lane(running=i % 3)) for i in range(30)]
    ranking = rank(hosts, Needs(), NOW)
    rows, whole = rows_of(ranking), explain(ranking)
    assert len(rows) == ROWS
    assert len(rows_of(ranking, None)) == 30
    for row, full in zip(rows, whole, strict=False):
        assert {**row, "terms": 0} == {**full, "terms": 0}
        assert row["terms"].items() <= full["terms"].items()
        left = [term["points"] for name, term in full["terms"].items() if name not in row["terms"]]
        assert all(abs(points) < 0.05 for points in left)


def test_if_no_host_can_take_it_each_one_says_why() -> None:
    hosts = [mac(name="a", is_paused=True), mac(name="b", state=State.UNREACHABLE)]
    hosts[1] = dataclasses.replace(hosts[1], state_reason="no route")
    error = nobody(rank(hosts, Needs(), NOW), FLEET)
    assert "  a: its owner has paused it" in error.what
    assert "  b: not reachable: no route" in error.what
    assert "doctor" in error.next
    crowd = [mac(name=f"mac-{i:02}", is_paused=True) for i in range(30)]
    error = nobody(rank(crowd, Needs(), NOW), FLEET)
    assert error.what.endswith("  and 10 more")
    assert "Ask for less" in error.next


def test_if_none_can_be_reached_each_one_says_why() -> None:
    answers = {"mac-1": Answer(error=TransportError("mac-1 is gone."))}
    error = unreachable(HOSTS[:2], answers)
    assert "  mac-1 is gone." in error.what
    assert "  mac-2: has not answered" in error.what


class _Link:
    """A link whose host answers when it is let."""

    def __init__(self, live: int | None) -> None:
        self.go = threading.Event()
        self.live = live
        self.tries = 0

    def connect(self) -> object:
        self.tries += 1
        self.go.wait(60.0)
        if self.live is None:
            raise TransportError("it is gone.")
        return type("Hello", (), {"detail": {"live": self.live}})


def scouts_for(links: dict[str, _Link], told: list[str]) -> Scouts:
    return Scouts(
        lambda host: links[host.name],  # type: ignore[arg-type,return-value]
        lambda host, _answer: told.append(host.name),
    )


def test_a_cell_waits_for_one_host_and_not_for_the_slowest() -> None:
    links = {"mac-1": _Link(3), "mac-2": _Link(0), "mac-3": _Link(None)}
    told: list[str] = []
    scouts = scouts_for(links, told)
    links["mac-1"].go.set()
    links["mac-3"].go.set()
    found = scouts.answers(HOSTS[:3], fresh=0.1)
    assert found["mac-1"].live == 3
    assert found["mac-3"].error is not None
    assert "mac-2" not in found
    assert sorted(told) == ["mac-1", "mac-3"]
    links["mac-2"].go.set()
    deadline = time.monotonic() + 60.0
    while "mac-2" not in scouts.answers(HOSTS[1:2]) and time.monotonic() < deadline:
        pass
    assert links["mac-2"].tries <= 2


def test_a_host_that_has_been_silent_for_long_is_not_waited_for_again() -> None:
    links = {"mac-1": _Link(1), "mac-2": _Link(0)}
    scouts = scouts_for(links, [])
    scouts.send(HOSTS[:2])
    time.sleep(0.2)
    links["mac-1"].go.set()
    found = scouts.answers(HOSTS[:2], fresh=0.2)
    assert "mac-2" not in found
    assert found["mac-1"].live == 1
    links["mac-2"].go.set()
