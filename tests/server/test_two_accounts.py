"""Two accounts of one machine: a server of one neither learns of nor touches the other's runs."""

from __future__ import annotations

import json
from typing import Any

from jupyter_macgpu import runs
from tests.faults.test_accounts import FIRST, Machine, machine, until

from .running import Answer, Running, running

__all__ = ["machine"]
FLEET = "version: 1\nhosts:\n  mac: {transport: local}\n"


def on_the_run(server: Running, run: str) -> dict[str, Answer]:
    """Do all that can be done with a run, as somebody who has got hold of its id."""
    cell = {"code": "1", "notebook": "n.ipynb", "cell": "c", "idempotency_key": "k"}
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"runs/{run}", None),
        ("GET", f"runs/{run}/outputs", None),
        ("GET", f"runs/{run}/report", None),
        ("POST", f"runs/{run}/cancel", {}),
        ("POST", f"runs/{run}/cancel", {"kill": True}),
        ("POST", f"runs/{run}/priority", {"priority": 5}),
        ("POST", f"runs/{run}/move", {"to": None}),
        ("DELETE", f"runs/{run}", None),
        ("POST", "submit", {**cell, "after": [run]}),
    ]
    return {f"{verb} {path} {body}": server.ask(verb, path, body) for verb, path, body in calls}


def test_of_anothers_run_nothing_is_told_but_who_has_the_machine(machine: Machine) -> None:
    theirs = machine.notebook(FIRST, "secret-notebook")
    machine.section(theirs, 120.0, mem=2 * 10**9, name="secret-name")
    until(lambda: machine.served() == ["secret-notebook"])
    (known,) = runs.known_runs(machine.notebook(FIRST, "beside").pool)
    fleet = machine.folder / "fleet.yaml"
    fleet.write_text(FLEET)
    environment = {
        "MACGPU_FLEET": str(fleet),
        "MACGPU_STATE": str(machine.folder / "home-server" / "state"),
        "MACGPU_QUEUE": str(machine.queue),
        "MACGPU_HOST_POLICY": str(machine.policy),
    }
    with running(machine.folder / "s", environment=environment) as server:
        with server.stream() as listener:
            listener.until(lambda heard: heard.hosts.get("mac", {}).get("holders"))
            (holder,) = listener.hosts["mac"]["holders"]
            told = json.dumps(listener.said)
            listener.say(type="follow", run=known.run, host="mac")
            problem = listener.until_said("problem")
            assert (problem["run"], problem["gone"]) == (known.run, True)
            assert not listener.outputs.get(known.run)
        assert holder.keys() == {"login", "since", "mem", "kind", "place"}
        assert (holder["login"], holder["mem"]) == (f"user {FIRST}", 2 * 10**9)
        assert (holder["kind"], holder["place"]) == ("gpu", None)
        assert listener.runs == {}
        for secret in ("secret", known.run, "oracle", "flock"):
            assert secret not in told, secret
        for call, answer in on_the_run(server, known.run).items():
            assert answer.status == 404, (call, answer.raw)
            assert b"secret" not in answer.raw
        # Who one is, no body says.
        for more in ({"login": f"user {FIRST}"}, {"user": FIRST}, {"host": "mac"}):
            assert server.ask("POST", f"runs/{known.run}/cancel", more).status == 400
        assert "secret" not in json.dumps(server.ask("GET", "hosts/mac").json)
    (still,) = runs.known_runs(machine.notebook(FIRST, "later").pool)
    assert (still.run, still.row["state"]) == (known.run, "started")
    assert not still.row["stopping"]
    theirs.interrupts.count()
    theirs.join()
