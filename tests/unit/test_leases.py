"""Slots and their queue, as tables: who asks, and who may run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.mac.leases import Leases, Waiting


def queue(*runs: str) -> Leases:
    """Return leases with one slot of each kind; a run is written as run:session:kind."""
    leases = Leases({"gpu": 1, "cpu": 1})
    for run in runs:
        name, session, kind = run.split(":")
        leases.ask(Waiting(run=name, session=session, kind=kind))
    return leases


def granted(leases: Leases) -> list[str]:
    return [waiting.run for waiting in leases.grant()]


#: What is asked, in order, and what is granted at once.
GRANTS = {
    "the first one runs": (["a:1:gpu", "b:2:gpu"], ["a"]),
    "kinds do not wait for each other": (["a:1:gpu", "b:2:gpu", "c:3:cpu"], ["a", "c"]),
    "a session runs one at a time": (["a:1:gpu", "b:1:cpu"], ["a"]),
    "a busy session lets others pass": (["a:1:cpu", "b:1:gpu", "c:2:gpu"], ["a", "c"]),
    "an unknown kind has one slot": (["a:1:tpu", "b:2:tpu"], ["a"]),
}


@pytest.mark.parametrize("name", GRANTS)
def test_who_runs_at_once(name: str) -> None:
    asked, expected = GRANTS[name]
    assert granted(queue(*asked)) == expected


def test_first_come_first_served() -> None:
    leases = queue("a:1:gpu", "b:2:gpu", "c:3:gpu")
    order = granted(leases)
    while leases.waiting():
        leases.release(order[-1])
        order += granted(leases)
    assert order == ["a", "b", "c"]


def test_a_place_counts_only_what_is_before_it_in_its_own_queue() -> None:
    leases = queue("a:1:gpu", "b:2:gpu", "c:3:cpu", "d:4:cpu", "e:5:gpu")
    leases.grant()
    assert [leases.position(run) for run in "abcde"] == [None, 0, None, 0, 1]
    leases.release("b")
    assert leases.position("e") == 0


def test_a_run_that_was_found_running_holds_its_slot() -> None:
    leases = queue("b:2:gpu")
    leases.hold(Waiting(run="a", session="1", kind="gpu"))
    assert granted(leases) == []
    leases.release("a")
    assert granted(leases) == ["b"]


def test_what_leaves_the_queue_is_never_granted() -> None:
    leases = queue("a:1:gpu", "b:2:gpu")
    leases.release("a")
    leases.release("unknown")
    assert granted(leases) == ["b"]
    assert (leases.waiting(), leases.holding()) == ([], ["b"])


@given(
    st.lists(
        st.tuples(st.sampled_from("123"), st.sampled_from(["gpu", "cpu"]), st.booleans()),
        max_size=20,
    )
)
def test_no_history_gives_a_slot_twice_or_forgets_a_run(
    history: list[tuple[str, str, bool]],
) -> None:
    leases = Leases({"gpu": 2, "cpu": 1})
    sessions, kinds = {}, {}
    started: list[str] = []
    for number, (session, kind, release) in enumerate(history):
        run = str(number)
        sessions[run], kinds[run] = session, kind
        leases.ask(Waiting(run=run, session=session, kind=kind))
        started += granted(leases)
        if release and leases.holding():
            leases.release(leases.holding()[0])
            started += granted(leases)
        held = leases.holding()
        assert len({sessions[run] for run in held}) == len(held)
        assert sum(kinds[run] == "gpu" for run in held) <= 2
        assert sum(kinds[run] == "cpu" for run in held) <= 1
    while leases.holding():
        leases.release(leases.holding()[0])
        started += granted(leases)
    assert sorted(started, key=int) == [str(number) for number in range(len(history))]
