"""The stream: first everything, then what changes; and nothing for who does not look."""

from __future__ import annotations

from jupyter_macgpu.server.contract import validator
from jupyter_macgpu.simulation.fleet import SimulatedFleet

from .running import Listener, Running


def all_told(listener: Listener) -> bool:
    rows = listener.hosts.values()
    return len(rows) == 3 and all(row["memory"]["total"] for row in rows)


def test_hosts_are_told_as_they_answer_and_drawn_together(
    server: Running, fleet: SimulatedFleet
) -> None:
    with server.stream() as listener:
        first = listener.hear()
        assert first is not None
        assert first["type"] == "snapshot"
        listener.until(all_told)
        metrics = listener.until_said("metrics")
    assert set(listener.hosts) == set(metrics["hosts"]) == {host.name for host in fleet.hosts}
    for row in listener.hosts.values():
        validator("Host").validate(row)
        assert row["simulated"]
        assert row["state"] in ("ready", "busy")
    for value in metrics["hosts"].values():
        validator("Metric").validate(value)


def test_who_does_not_look_is_told_nothing_and_who_looks_again_everything(server: Running) -> None:
    with server.stream() as listener:
        listener.until(all_told)
        listener.say(type="visible", visible=False)
        while listener.hear(1.0) is not None:
            pass
        assert listener.hear(3.0) is None
        listener.say(type="visible", visible=True)
        assert listener.until_said("snapshot")["hosts"]


def test_what_cannot_be_read_is_answered_with_why(server: Running) -> None:
    with server.stream() as listener:
        for said in (
            "{",
            "[]",
            '{"type": "follow", "run": "../x"}',
            '{"type":"visible"}',
            "x" * 5000,
        ):
            listener.connection.send(said)
            assert listener.until_said("problem")["message"]
