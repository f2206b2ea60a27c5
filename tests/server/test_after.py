"""Cells and notebooks that begin when other runs have ended."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.moments import written
from jupyter_macgpu.server.contract import validator
from tests.scripts.fleet import several

from .running import Answer, Listener, Running, running
from .test_schedules import ended, notebook, plan, row_of

NOBODYS = "0" * 32


@pytest.fixture(scope="module")
def environment(two_hosts: dict[str, str]) -> dict[str, str]:
    return two_hosts


def submit(server: Running, code: str, **more: Any) -> Answer:
    own = secrets.token_hex(8)
    said = {"code": code, "notebook": "n.ipynb", "cell": own, "idempotency_key": own, **more}
    return server.ask("POST", "submit", said)


def gated(server: Running, gate: Path, on: str) -> str:
    """Begin a cell that ends when its gate is there; return its run."""
    code = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    answer = submit(server, code, on=on)
    assert answer.status == 202, answer.raw
    return str(answer.json["run"])


def is_(state: str, run: str) -> Any:
    return lambda listener: listener.runs.get(run, {}).get("state") == state


def test_a_cell_waits_on_the_host_of_the_run_that_it_follows(
    server: Running, listener: Listener, tmp_path: Path
) -> None:
    before = gated(server, tmp_path / "gate", "b")
    answer = submit(server, "'second'", after=[before], priority=3)
    assert answer.status == 202, answer.raw
    row = answer.json
    validator("Run").validate(row)
    assert (row["host"], row["after"], row["priority"]) == ("b", [before], 3)
    listener.until(is_("started", before))
    listener.until(lambda heard: row["run"] in heard.runs)
    assert listener.runs[row["run"]]["state"] in ("accepted", "queued")
    (tmp_path / "gate").touch()
    listener.until(is_("ok", row["run"]))
    told = [
        (each["run"], each["state"])
        for message in listener.said
        for each in message.get("runs", ())
    ]
    assert told.index((before, "ok")) <= told.index((row["run"], "ok"))


def test_a_cell_does_not_follow_a_bad_end_unless_it_may_be_one(
    server: Running, listener: Listener
) -> None:
    bad = submit(server, "1 / 0", on="a").json["run"]
    listener.until(is_("error", bad))
    cut = submit(server, "2", after=[bad]).json["run"]
    follows = submit(server, "2", after=[f"any:{bad}"]).json["run"]
    listener.until(is_("cancelled", cut))
    listener.until(is_("ok", follows))


def test_a_cell_without_a_kernel_starts_at_its_time(server: Running, listener: Listener) -> None:
    answer = submit(server, "1", at="2001-01-01T00:00Z")
    assert (answer.status, b"that is past" in answer.raw) == (400, True)
    due = round(time.time()) + 86400.0
    answer = submit(server, "1", at=written(due))
    assert answer.status == 202, answer.raw
    row = answer.json
    validator("Run").validate(row)
    assert (row["at"], row["state"], row["reason"]) == (due, "queued", "its time has not come")
    listener.until(is_("queued", row["run"]))
    server.ask("POST", f"runs/{row['run']}/cancel", {})
    listener.until(is_("cancelled", row["run"]))
    began = submit(server, "import time\nprint(time.time())", at="+2s").json
    listener.until(is_("ok", began["run"]))
    shown = server.ask("GET", f"runs/{began['run']}/outputs").json["outputs"]
    assert float(shown[0]["text"]) >= began["at"]


def test_a_cell_follows_runs_of_its_own_host_alone(server: Running, tmp_path: Path) -> None:
    on_a = submit(server, "'a'", on="a").json["run"]
    on_b = submit(server, "'b'", on="b").json["run"]
    for refused, code in (
        ({"after": [on_a], "on": "b"}, 409),
        ({"after": [on_a, on_b]}, 409),
        ({"after": [NOBODYS]}, 404),
        ({"after": ["last"]}, 400),
        ({"after": [f"all:{on_a}"]}, 400),
        ({"priority": 6}, 400),
    ):
        answer = submit(server, f"open({str(tmp_path / 'ran')!r}, 'w')", **refused)
        assert answer.status == code, (refused, answer.raw)
    assert not (tmp_path / "ran").exists()


def test_a_notebook_waits_for_runs_of_several_hosts(
    server: Running, listener: Listener, tmp_path: Path
) -> None:
    first, second = (gated(server, tmp_path / on, on) for on in ("a", "b"))
    path = notebook(server.root, "follows.ipynb", "6 * 7")
    answer = plan(server, path, after=[first, f"any:{second}"], priority=2, idempotency_key="f")
    assert answer.status == 201, answer.raw
    row = answer.json
    validator("Schedule").validate(row)
    assert (row["state"], row["next"], row["priority"]) == ("waiting", None, 2)
    assert row["after"] == [first, f"any:{second}"]
    assert row["awaits"] == [{"run": first, "host": "a"}, {"run": second, "host": "b"}]
    (tmp_path / "a").touch()
    listener.until(
        lambda heard: row_of(heard, row["id"]).get("awaits") == [{"run": second, "host": "b"}]
    )
    assert row_of(listener, row["id"])["state"] == "waiting"
    server.ask("POST", f"runs/{second}/cancel", {})
    listener.until(ended(row["id"]))
    assert row_of(listener, row["id"])["last"]["state"] == "ok"
    cells = [run for run in listener.runs.values() if run["notebook"].endswith("follows.ipynb")]
    assert [run["priority"] for run in cells] == [2]
    again = plan(server, path, after=[first, f"any:{second}"], priority=2, idempotency_key="f")
    assert again.json["id"] == row["id"]


def test_a_notebook_is_not_started_after_a_bad_end(server: Running, listener: Listener) -> None:
    bad = submit(server, "1 / 0", on="b").json["run"]
    path = notebook(server.root, "never.ipynb", "open('ran', 'w')")
    row = plan(server, path, after=[bad]).json
    listener.until(ended(row["id"]))
    told = row_of(listener, row["id"])
    assert (told["state"], told["awaits"]) == ("done", [])
    assert told["last"]["state"] == "cancelled"
    assert f"{bad[:8]} on b" in told["last"]["message"]
    assert not told["last"]["output"]


def test_a_run_that_is_moved_is_followed_to_where_it_goes(
    server: Running, listener: Listener, tmp_path: Path
) -> None:
    blocks = gated(server, tmp_path / "gate", "a")
    listener.until(is_("started", blocks))
    waits = submit(server, "'moved'", on="a").json["run"]
    listener.until(is_("queued", waits))
    path = notebook(server.root, "moved.ipynb", "1")
    row = plan(server, path, after=[waits]).json
    assert server.ask("POST", f"runs/{waits}/move", {"to": "b"}).status == 200
    listener.until(ended(row["id"]))
    assert row_of(listener, row["id"])["last"]["state"] == "ok"
    assert listener.runs[blocks]["state"] == "started"
    (tmp_path / "gate").touch()


def test_who_waits_is_paused_and_started_by_hand(
    server: Running, listener: Listener, tmp_path: Path
) -> None:
    before = gated(server, tmp_path / "gate", "a")
    path = notebook(server.root, "by-hand.ipynb", "1")
    paused, forced = (plan(server, path, on="b", after=[before]).json["id"] for _ in range(2))
    assert server.ask("POST", f"schedules/{paused}/pause", {}).json["state"] == "paused"
    ran = server.ask("POST", f"schedules/{forced}/run", {}).json
    assert (ran["state"], ran["awaits"]) == ("running", [])
    listener.until(ended(forced))
    (tmp_path / "gate").touch()
    listener.until(lambda heard: row_of(heard, paused)["awaits"] == [])
    assert row_of(listener, paused)["state"] == "paused"
    resumed = server.ask("POST", f"schedules/{paused}/resume", {}).json
    assert resumed["state"] == "waiting"
    listener.until(ended(paused))
    assert len(row_of(listener, forced)["history"]) == 1


def test_what_cannot_follow_is_refused(server: Running) -> None:
    path = notebook(server.root, "refused.ipynb", "1")
    run = submit(server, "'there'", on="a").json["run"]
    for wanted, code in (
        ({"after": [run], "cron": "0 0 * * *"}, 400),
        ({"after": [run], "at": "2999-01-01T00:00"}, 400),
        ({"after": ["last"]}, 400),
        ({"after": [NOBODYS]}, 404),
        ({"priority": -6}, 400),
    ):
        assert plan(server, path, **wanted).status == code, wanted


def test_the_next_server_waits_on(tmp_path: Path) -> None:
    fleet = several(tmp_path / "fleet.yaml", ["a"])
    environment = {"MACGPU_FLEET": str(fleet)}
    with running(tmp_path, environment=environment) as first:
        run = gated(first, tmp_path / "gate", "a")
        path = notebook(first.root, "goes-on.ipynb", "1")
        row = plan(first, path, after=[run]).json
        first.kill()
    with running(tmp_path, environment=environment) as second, second.stream() as listener:
        listener.until(lambda heard: row_of(heard, row["id"]) == row)
        (tmp_path / "gate").touch()
        listener.until(ended(row["id"]))
        assert row_of(listener, row["id"])["last"]["state"] == "ok"
