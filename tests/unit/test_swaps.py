"""Which hosts a cell waits on instead, while it waits."""

from __future__ import annotations

import pytest

from jupyter_macgpu.placement import AT_ONCE
from jupyter_macgpu.scheduling.needs import Needs
from jupyter_macgpu.scheduling.rank import rank
from jupyter_macgpu.scheduling.status import HostStatus, Lane
from jupyter_macgpu.swaps import Change, Stand, change_for, waited_on
from tests.unit.ranked_hosts import NOW, mac

WAITS = {f"busy-{n}": Stand(before=0, wait=10.0 * (n + 1)) for n in range(AT_ONCE)}


def busy(name: str, wait: float) -> HostStatus:
    """Return a host whose status counts the cell itself among those that wait."""
    return mac(name=name, gpu=Lane(running=1, queued=1, wait=wait))


def change(*others: HostStatus, waits=WAITS, ready=None) -> Change:
    statuses = [waited_on(busy(name, 500.0), stand) for name, stand in waits.items()]
    names = {one.name for one in others} if ready is None else ready
    ranking = rank([*statuses, *others], Needs(), NOW)
    return change_for(ranking, waits, {*waits, *names}, set())


def test_a_free_host_takes_the_place_of_the_worst() -> None:
    assert change(mac(name="free")) == Change(join=("free",), leave=("busy-3",))


def test_the_best_of_several_is_joined_and_one_alone() -> None:
    assert change(mac(name="free"), busy("soon", 1.0)).join == ("free",)


@pytest.mark.parametrize("wait", [10.0, 9.0, 11.0, 500.0])
def test_what_is_no_better_or_a_little_is_left_alone(wait: float) -> None:
    assert change(busy("other", wait)) == Change()


def test_a_host_that_cannot_take_the_cell_is_never_joined() -> None:
    assert change(mac(name="draining", is_draining=True)) == Change()


def test_a_better_host_that_is_not_connected_is_connected_to_first() -> None:
    assert change(mac(name="free"), ready=set()) == Change(connect=("free",))


def test_as_long_as_there_is_room_nobody_is_left() -> None:
    waits = dict(list(WAITS.items())[:2])
    found = change(busy("a", 15.0), busy("b", 25.0), busy("c", 35.0), waits=waits)
    assert found == Change(join=("a", "b"))


def test_what_stands_behind_the_cell_does_not_count() -> None:
    status = busy("here", 500.0)
    assert waited_on(status, None) is status
    here = waited_on(status, Stand(before=2, wait=30.0))
    assert (here.gpu.running, here.gpu.queued, here.gpu.wait) == (1, 2, 30.0)
    unknown = waited_on(status, Stand())
    assert (unknown.gpu.queued, unknown.gpu.wait) == (None, None)


def test_where_nothing_can_take_the_cell_any_more_it_goes_on_waiting() -> None:
    gone = [mac(name=name, is_draining=True) for name in WAITS]
    assert change_for(rank(gone, Needs(), NOW), WAITS, WAITS, set()) == Change()
