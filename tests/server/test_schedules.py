"""Notebooks that run by themselves: now, later, and what becomes of them when the server ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu.server.contract import validator
from tests.scripts.fleet import several

from .running import Answer, Listener, Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with one host of this machine."""
    folder: Path = tmp_path_factory.mktemp("plans")
    with running(folder, environment=fleet_in(folder)) as started:
        yield started


def fleet_in(folder: Path) -> dict[str, str]:
    return {"MACGPU_FLEET": str(several(folder / "fleet.yaml", ["a"]))}


def notebook(root: Path, name: str, *cells: str, first_tags: list[str] | None = None) -> str:
    """Write a notebook; return its path as the browser names it."""
    made = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {"tags": (first_tags or []) if number == 0 else []},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(cells)
    ]
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}
    (root / name).write_text(json.dumps(content))
    return name


def plan(server: Running, path: str, **more: Any) -> Answer:
    return server.ask("POST", "jobs", {"path": path, **more})


def row_of(listener: Listener, name: str) -> dict[str, Any]:
    return next((row for row in listener.schedules if row["id"] == name), {})


def ended(name: str, times: int = 1) -> Any:
    def happened(listener: Listener) -> bool:
        row = row_of(listener, name)
        return row.get("state") in ("done", "waiting") and len(row["history"]) >= times

    return happened


def outputs(path: Path) -> list[list[dict[str, Any]]]:
    return [cell["outputs"] for cell in json.loads(path.read_text())["cells"]]


def test_a_notebook_runs_now_with_its_parameters_and_its_output_is_kept(server: Running) -> None:
    path = notebook(server.root, "now.ipynb", "n = 1", "m = n * 7", "m", first_tags=["parameters"])
    answer = plan(server, path, parameters={"n": 6}, output="ran.ipynb")
    assert answer.status == 201
    validator("Schedule").validate(answer.json)
    with server.stream() as listener:
        listener.until(ended(answer.json["id"]))
        row = row_of(listener, answer.json["id"])
    validator("Schedule").validate(row)
    assert row["last"]["state"] == "ok", row
    assert row["last"]["output"] == "ran.ipynb"
    ran = json.loads((server.root / "ran.ipynb").read_text())["cells"]
    assert ran[1]["source"] == "# Parameters\nn = 6"
    assert ran[3]["outputs"][0]["data"]["text/plain"] == "42"
    assert outputs(server.root / "now.ipynb") == [[], [], []]


def test_its_progress_is_told_cell_by_cell_and_it_is_cancelled(
    server: Running, tmp_path: Path
) -> None:
    gate = tmp_path / "never"
    waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    path = notebook(server.root, "long.ipynb", "print('first')", waits, "print('third')")
    with server.stream() as listener:
        name = plan(server, path, output="long-ran.ipynb").json["id"]

        def in_second(heard: Listener) -> bool:
            now = row_of(heard, name).get("now")
            return bool(now and now["cell"] == 2 and now["run"])

        listener.until(in_second)
        row = row_of(listener, name)
        assert (row["state"], row["now"]["cells"], row["now"]["host"]) == ("running", 3, "a")
        run = row["now"]["run"]
        listener.until(lambda heard: heard.runs.get(run, {}).get("state") == "started")
        assert listener.runs[run]["notebook"] == "long.ipynb"
        assert server.ask("POST", f"schedules/{name}/run", {}).status == 409
        assert server.ask("POST", f"schedules/{name}/cancel", {}).status == 200
        listener.until(ended(name))
        assert row_of(listener, name)["last"]["state"] == "cancelled"
        listener.until(lambda heard: heard.runs[run]["state"] == "cancelled")
    assert outputs(server.root / "long-ran.ipynb")[0][0]["text"] == "first\n"
    assert server.ask("POST", f"schedules/{name}/cancel", {}).status == 409


def test_an_error_ends_it_and_says_in_which_cell(server: Running) -> None:
    path = notebook(server.root, "bad.ipynb", "1", "1 / 0", "2")
    with server.stream() as listener:
        name = plan(server, path, output="bad-ran.ipynb").json["id"]
        listener.until(ended(name))
        last = row_of(listener, name)["last"]
    assert last["state"] == "error"
    assert "cell 2 of 3" in last["message"]
    assert outputs(server.root / "bad-ran.ipynb")[1][0]["ename"] == "ZeroDivisionError"


def test_at_its_time_it_runs_and_by_hand_again(server: Running) -> None:
    path = notebook(server.root, "later.ipynb", "6 * 7")
    at = datetime.now() + timedelta(seconds=8)
    with server.stream() as listener:
        row = plan(server, path, at=at.isoformat()).json
        assert row["state"] == "waiting"
        assert abs(row["next"] - at.timestamp()) < 0.01
        listener.until(ended(row["id"]))
        first = row_of(listener, row["id"])["last"]
        assert first["state"] == "ok"
        assert first["at"] >= at.timestamp()
        assert outputs(server.root / first["output"])[0][0]["data"]["text/plain"] == "42"
        time.sleep(1.0)  # each output is named for its second
        assert server.ask("POST", f"schedules/{row['id']}/run", {}).json["state"] == "running"
        listener.until(ended(row["id"], 2))
        assert row_of(listener, row["id"])["last"]["output"] != first["output"]


def test_by_cron_it_waits_is_paused_resumed_and_forgotten(server: Running) -> None:
    path = notebook(server.root, "nightly.ipynb", "1")
    # Half a day away, so that its time does not come meanwhile.
    hour = (datetime.now().hour + 12) % 24
    row = plan(server, path, cron=f"30 {hour} * * *").json
    assert row["next"] > time.time()
    assert server.ask("POST", f"schedules/{row['id']}/pause", {}).json["state"] == "paused"
    resumed = server.ask("POST", f"schedules/{row['id']}/resume", {}).json
    assert (resumed["state"], resumed["next"]) == ("waiting", row["next"])
    listed = server.ask("GET", "schedules").json
    validator("Schedules").validate(listed)
    assert row["id"] in {each["id"] for each in listed["schedules"]}
    assert server.ask("DELETE", f"schedules/{row['id']}").status == 204
    for verb, rest in (("DELETE", ""), ("POST", "/pause"), ("POST", "/run")):
        gone = server.ask(verb, f"schedules/{row['id']}{rest}", {} if verb == "POST" else None)
        assert gone.status == 404


def test_the_same_request_twice_is_one_plan(server: Running) -> None:
    path = notebook(server.root, "twice.ipynb", "1")
    first = plan(server, path, cron="0 0 1 1 *", idempotency_key="k")
    again = plan(server, path, cron="0 0 1 1 *", idempotency_key="k")
    assert first.json["id"] == again.json["id"]
    assert plan(server, path, cron="0 0 2 1 *", idempotency_key="k").status == 409


@pytest.mark.parametrize(
    "wanted",
    [
        {"path": "../out.ipynb"},
        {"path": "/etc/passwd"},
        {"path": "nowhere.ipynb"},
        {"path": ".hidden.ipynb"},
        {"path": "link.ipynb"},
        {"path": "a\x00b.ipynb"},
        {"path": "text.txt"},
        {"path": "broken.ipynb"},
        {"path": "fine.ipynb", "output": "../ran.ipynb"},
        {"path": "fine.ipynb", "output": "fine.ipynb"},
        {"path": "fine.ipynb", "output": "ran.py"},
        {"path": "fine.ipynb", "at": "tomorrow"},
        {"path": "fine.ipynb", "at": "2020-01-01T00:00"},
        {"path": "fine.ipynb", "cron": "every day"},
        {"path": "fine.ipynb", "parameters": {"a-b": 1}},
        {"path": "fine.ipynb", "parameters": {"x\nimport os": 1}},
        {"path": "fine.ipynb", "concurrency": "both"},
        {"path": "fine.ipynb", "more": 1},
        {"path": 3},
        {},
    ],
)
def test_what_cannot_be_planned_is_refused_and_nothing_is_planned(
    server: Running, wanted: dict[str, Any]
) -> None:
    outside = notebook(server.root.parent, "outside.ipynb", "1")
    link = server.root / "link.ipynb"
    if not link.is_symlink():
        link.symlink_to(server.root.parent / outside)
    for name in ("fine.ipynb", ".hidden.ipynb"):
        notebook(server.root, name, "1")
    (server.root / "text.txt").write_text("")
    (server.root / "broken.ipynb").write_text("{")
    before = server.ask("GET", "schedules").json
    answer = server.ask("POST", "jobs", wanted)
    assert answer.status == 400, answer.raw
    validator("Refusal").validate(answer.json)
    assert server.ask("GET", "schedules").json == before


def test_what_runs_when_the_server_is_killed_is_said_and_plans_go_on(tmp_path: Path) -> None:
    environment = fleet_in(tmp_path)
    with running(tmp_path, environment=environment) as first:
        path = notebook(first.root, "long.ipynb", "import time; time.sleep(300)")
        cut = plan(first, path).json["id"]
        soon = (datetime.now() + timedelta(hours=1)).isoformat()
        later = plan(first, path, at=soon).json
        while not (first.ask("GET", "schedules").json["schedules"][-1]["now"] or {}).get("run"):
            time.sleep(0.1)
        other = plan_beside(tmp_path, path, environment)
        assert other.status == 409
        assert "Another server" in other.json["message"]
        first.kill()
    with running(tmp_path, environment=environment) as second:
        rows = {row["id"]: row for row in second.ask("GET", "schedules").json["schedules"]}
    assert rows[cut]["last"]["state"] == "interrupted"
    assert rows[cut]["state"] == "done"
    assert rows[later["id"]] == later


def plan_beside(folder: Path, path: str, environment: dict[str, str]) -> Answer:
    """Ask another server of the same folder to plan something."""
    with running(folder, environment=environment) as second:
        return plan(second, path, cron="0 0 * * *")


def test_a_cell_without_a_kernel_is_handed_in_once(server: Running) -> None:
    wanted = {
        "code": "import math\n%time x = math.pi\nx",
        "notebook": "now.ipynb",
        "cell": "c-1",
        "on": "a",
        "idempotency_key": "one",
    }
    answer = server.ask("POST", "submit", wanted)
    assert answer.status == 202, answer.raw
    validator("Run").validate(answer.json)
    run = answer.json["run"]
    assert (answer.json["notebook"], answer.json["cell"]) == ("now.ipynb", "c-1")
    assert server.ask("POST", "submit", wanted).json["run"] == run
    assert server.ask("POST", "submit", {**wanted, "code": "2"}).status == 409
    bad = server.ask("POST", "submit", {**wanted, "idempotency_key": "two", "code": "1 +"})
    assert bad.status == 400
    with server.stream() as listener:
        listener.say(type="follow", run=run, host="a")
        listener.until(lambda heard: heard.final.get(run))
        assert listener.outputs[run][-1]["data"]["text/plain"].startswith("3.14")
