"""Which hosts are asked, and which of those that answer takes the cell."""

from __future__ import annotations

import threading
import time

import pytest

from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.placement import AT_ONCE, Answer, Needs, place, shortlists
from jupyter_macgpu.scouting import Scouts
from jupyter_macgpu.wire.errors import PlacementError, TransportError

HOSTS = tuple(Host(name=f"mac-{number}") for number in range(1, 9))


def names(hosts: tuple[Host, ...]) -> list[str]:
    return [host.name for host in hosts]


def test_no_more_hosts_are_asked_than_the_budget_allows() -> None:
    first, second = shortlists(HOSTS, Needs())
    assert names(first) == ["mac-1", "mac-2", "mac-3", "mac-4"]
    assert names(second) == ["mac-5", "mac-6", "mac-7", "mac-8"]
    own, *others = shortlists(HOSTS, Needs(affinity="mac-8"))
    assert names(own) == ["mac-8"]
    assert [len(each) for each in others] == [AT_ONCE, 3]


def test_where_values_live_is_the_only_choice() -> None:
    needs = Needs(holders=frozenset({"mac-6", "mac-3"}), affinity="mac-1")
    assert [names(each) for each in shortlists(HOSTS, needs)] == [["mac-3"]]
    with pytest.raises(PlacementError, match="leaves out"):
        shortlists(HOSTS, Needs(on="mac-1", holders=frozenset({"mac-3"})))


def test_the_fewest_runs_win_and_the_first_of_equals() -> None:
    answers = {"mac-1": Answer(live=2), "mac-2": Answer(live=1), "mac-3": Answer(live=1)}
    assert place(HOSTS[:4], answers, Needs()).host.name == "mac-2"
    assert place(HOSTS[:4], answers, Needs(affinity="mac-1")).host.name == "mac-1"


def test_a_host_that_cannot_be_reached_is_passed_over() -> None:
    answers = {"mac-1": Answer(error=TransportError("mac-1 is gone.")), "mac-2": Answer(live=9)}
    assert place(HOSTS[:2], answers, Needs(affinity="mac-1")).host.name == "mac-2"


def test_if_none_can_be_reached_each_one_says_why() -> None:
    answers = {"mac-1": Answer(error=TransportError("mac-1 is gone."))}
    with pytest.raises(PlacementError) as refused:
        place(HOSTS[:2], answers, Needs())
    assert "  mac-1 is gone." in refused.value.what
    assert "  mac-2: has not answered" in refused.value.what


class _Link:
    """A link whose host answers when it is let."""

    def __init__(self, live: int | None) -> None:
        self.go = threading.Event()
        self.live = live
        self.tries = 0

    def connect(self) -> object:
        self.tries += 1
        self.go.wait(10)
        if self.live is None:
            raise TransportError("it is gone.")
        return type("Hello", (), {"detail": {"live": self.live}})


def test_a_cell_waits_for_one_host_and_not_for_the_slowest() -> None:
    links = {"mac-1": _Link(3), "mac-2": _Link(0), "mac-3": _Link(None)}
    scouts = Scouts(lambda host: links[host.name])  # type: ignore[arg-type,return-value]
    links["mac-1"].go.set()
    links["mac-3"].go.set()
    found = scouts.answers(HOSTS[:3], fresh=0.1)
    assert found["mac-1"].live == 3
    assert found["mac-3"].error is not None
    assert "mac-2" not in found
    links["mac-2"].go.set()
    deadline = time.monotonic() + 10
    while "mac-2" not in scouts.answers(HOSTS[1:2]) and time.monotonic() < deadline:
        pass
    assert links["mac-2"].tries <= 2


def test_a_host_that_has_been_silent_for_long_is_not_waited_for_again() -> None:
    links = {"mac-1": _Link(1), "mac-2": _Link(0)}
    scouts = Scouts(lambda host: links[host.name])  # type: ignore[arg-type,return-value]
    scouts.send(HOSTS[:2])
    time.sleep(0.2)
    links["mac-1"].go.set()
    found = scouts.answers(HOSTS[:2], fresh=0.2)
    assert "mac-2" not in found
    assert found["mac-1"].live == 1
    links["mac-2"].go.set()
