"""Runs: every change is told as it happens, outputs come whole, and what is asked is done once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websocket import create_connection

from jupyter_macgpu.server.contract import validator
from jupyter_macgpu.simulation import processes
from tests.inputs.shell import Notebook, notebook
from tests.scripts.fleet import several

from .running import PATIENCE, Listener, Running, running

#: What a connection to a host of this machine goes through.
DOOR = "jupyter_macgpu.mac.door"


@pytest.fixture(scope="module")
def environment(two_hosts: dict[str, str]) -> dict[str, str]:
    return two_hosts


@pytest.fixture
def book(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook on the same hosts."""
    monkeypatch.setenv("MACGPU_FLEET", environment["MACGPU_FLEET"])
    with notebook() as opened:
        yield opened


def job(book: Notebook, cell: str, line: str = "--on a") -> Any:
    book.run(f"%%macgpu --detach {line}\n{cell}").error_is(None)
    return book.names["_"]


def blocked(book: Notebook, gate: Path) -> Any:
    """Fill host a until the gate is there."""
    waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    return job(book, waits)


def states(listener: Listener, run: str) -> list[str]:
    """Return the states in which a run was told, each once."""
    told = [
        row["state"]
        for message in listener.said
        if message["type"] in ("runs", "snapshot")
        for row in message["runs"]
        if row["run"] == run
    ]
    return [state for at, state in enumerate(told) if at == 0 or told[at - 1] != state]


def is_(state: str, run: str) -> Any:
    return lambda listener: run in listener.runs and listener.runs[run]["state"] == state


def test_a_run_is_told_from_its_place_in_the_queue_to_its_end(
    book: Notebook, listener: Listener, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    first = blocked(book, gate)
    second = job(book, "6 * 7", "--on a --as later")
    listener.until(is_("started", first.run))
    listener.until(is_("queued", second.run))
    row = listener.runs[second.run]
    validator("Run").validate(row)
    assert (row["place"], row["name"], row["detached"], row["host"]) == (0, "later", True, "a")
    gate.touch()
    listener.until(is_("ok", second.run))
    assert listener.runs[second.run]["final"]
    assert listener.runs[second.run]["place"] is None
    assert states(listener, first.run)[-1] == "ok"


def test_outputs_are_told_as_they_come_and_whole_to_who_comes_later(
    server: Running, book: Notebook, listener: Listener, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    cell = f"""
import os, sys, time
from IPython.display import display
print("one", flush=True)
handle = display({{"text/plain": "0"}}, raw=True, display_id=True)
print("two", flush=True)
while not os.path.exists({str(gate)!r}): time.sleep(0.02)
for number in range(300): print(number)
handle.update({{"text/plain": "1"}}, raw=True)
print("three", file=sys.stderr)
6 * 7
"""
    run = job(book, cell).run
    listener.until(lambda heard: run in heard.runs)
    listener.say(type="follow", run=run)
    listener.until(lambda heard: "two" in _text(heard.outputs.get(run, [])))
    assert not listener.final[run]
    so_far = server.ask("GET", f"runs/{run}/outputs").json
    assert (_text(so_far["outputs"]), so_far["final"]) == ("one\ntwo\n", False)
    gate.touch()
    listener.until(lambda heard: heard.final.get(run))
    whole = server.ask("GET", f"runs/{run}/outputs").json
    assert whole["final"]
    assert whole["lost"] == 0
    assert listener.outputs[run] == whole["outputs"]
    kinds = [output["output_type"] for output in whole["outputs"]]
    assert kinds == ["stream", "display_data", "stream", "stream", "execute_result"]
    assert whole["outputs"][1]["data"] == {"text/plain": "1"}
    assert whole["outputs"][2]["text"] == "two\n" + "".join(f"{n}\n" for n in range(300))
    with server.stream() as other:
        other.until(lambda heard: run in heard.runs)
        other.say(type="follow", run=run, **{"from": 3})
        other.until(lambda heard: heard.final.get(run))
        assert other.outputs[run] == whole["outputs"]


def _text(outputs: list[dict[str, Any]]) -> str:
    return "".join(output.get("text", "") for output in outputs)


def test_a_run_is_followed_by_its_host_though_the_board_does_not_know_it(
    server: Running, book: Notebook, listener: Listener
) -> None:
    run = job(book, "print('here')")
    bundle, _ = book.shell.display_formatter.format(run)
    assert {"text/plain", "text/html"} < bundle.keys()
    named = bundle["application/vnd.jupyter-macgpu.run+json"]
    assert named == {"run": run.run, "host": "a"}
    with server.stream() as other:
        other.say(type="visible", visible=False)
        other.say(type="follow", **named)
        other.until(lambda heard: heard.final.get(run.run))
        assert _text(other.outputs[run.run]) == "here\n"
    for unknown in ({"host": "a"}, {"host": "nowhere"}, {}):
        listener.say(type="follow", run="f" * 32, **unknown)
        problem = listener.until_said("problem")
        assert (problem["run"], problem["gone"]) == ("f" * 32, True)


def test_who_does_not_look_is_told_the_end_of_what_it_follows_and_no_host_is_watched_for_it(
    environment: dict[str, str], book: Notebook, tmp_path: Path
) -> None:
    run = job(book, "1")
    with running(tmp_path, environment=environment) as fresh, fresh.stream() as heard:
        heard.say(type="visible", visible=False)
        while heard.hear(2.0) is not None:
            pass
        already = len(heard.said)
        heard.say(type="follow", run=run.run, host="a")
        heard.until(lambda listener: listener.final.get(run.run))
        assert heard.runs[run.run]["state"] == "ok"
        assert {message["type"] for message in heard.said[already:]} == {"runs", "outputs"}


def test_a_long_stream_grows_by_what_is_new(
    server: Running, book: Notebook, listener: Listener
) -> None:
    cell = (
        "import time\nfor n in range(40):\n    print('x' * 5000, flush=True)\n    time.sleep(0.03)"
    )
    run = job(book, cell).run
    listener.until(lambda heard: run in heard.runs)
    listener.say(type="follow", run=run)
    listener.until(lambda heard: heard.final.get(run))
    assert listener.outputs[run] == server.ask("GET", f"runs/{run}/outputs").json["outputs"]
    said = [each for each in listener.said if each["type"] == "outputs"]
    sent = sum(len(each["append"]) + len(_text(each["outputs"])) for each in said)
    assert len(said) > 2
    assert sent == 40 * 5001


def test_a_running_cell_is_cancelled_and_one_that_has_ended_is_not(
    server: Running, book: Notebook, listener: Listener, tmp_path: Path
) -> None:
    run = blocked(book, tmp_path / "never").run
    listener.until(is_("started", run))
    answer = server.ask("POST", f"runs/{run}/cancel", {})
    assert answer.status == 202
    validator("Run").validate(answer.json)
    listener.until(is_("cancelled", run))
    again = server.ask("POST", f"runs/{run}/cancel", {"kill": True})
    assert again.status == 409
    validator("Refusal").validate(again.json)
    assert "ended already" in again.json["message"]


def test_who_waits_gets_another_priority_and_place_and_keeps_them(
    server: Running, book: Notebook, listener: Listener, tmp_path: Path
) -> None:
    gate, order = tmp_path / "gate", tmp_path / "order"
    first = blocked(book, gate).run
    runs = [job(book, f"open({str(order)!r}, 'a').write('{n}')", "--on a").run for n in range(3)]
    listener.until(is_("queued", runs[2]))
    answer = server.ask("POST", f"runs/{runs[2]}/priority", {"priority": 5})
    assert answer.status == 200
    assert (answer.json["priority"], answer.json["place"]) == (5, 0)
    listener.until(lambda heard: heard.runs[runs[1]]["place"] == 2)
    server.ask("POST", f"runs/{runs[0]}/priority", {"priority": -1})
    listener.until(lambda heard: heard.runs[runs[1]]["place"] == 1)
    begun = server.ask("POST", f"runs/{first}/priority", {"priority": 1})
    assert begun.status == 409
    assert "it has its slot" in begun.json["message"]
    gate.touch()
    listener.until(is_("ok", runs[0]))
    assert order.read_text() == "210"


def test_a_run_that_waits_is_moved_and_begins_there(
    server: Running, book: Notebook, listener: Listener, tmp_path: Path
) -> None:
    gate, side = tmp_path / "gate", tmp_path / "side"
    first = blocked(book, gate).run
    run = job(book, f"open({str(side)!r}, 'a').write('x')", "--on a").run
    listener.until(is_("queued", run))
    answer = server.ask("POST", f"runs/{run}/move", {"to": "b"})
    assert answer.status == 200
    validator("Moved").validate(answer.json)
    moved = answer.json["run"]
    assert (answer.json["from"], answer.json["to"]) == ("a", "b")
    listener.until(is_("ok", moved))
    listener.until(is_("cancelled", run))
    assert listener.runs[run]["moved"] == {"host": "b", "run": moved}
    assert side.read_text() == "x"
    assert server.ask("POST", f"runs/{first}/move", {"to": "b"}).status == 409
    gate.touch()
    listener.until(is_("ok", first))


def test_a_finished_run_has_a_report_and_is_forgotten(
    server: Running, book: Notebook, listener: Listener
) -> None:
    run = job(book, "1 + 1").run
    listener.until(is_("ok", run))
    assert server.ask("GET", f"runs/{run}/report").json["run"] == run
    detail = server.ask("GET", f"runs/{run}")
    validator("RunDetail").validate(detail.json)
    assert server.ask("DELETE", f"runs/{run}").status == 204
    listener.until(lambda heard: run not in heard.runs)
    for path in (f"runs/{run}", f"runs/{run}/outputs", f"runs/{run}/report"):
        assert server.ask("GET", path).status == 404


def test_a_live_run_is_neither_forgotten_nor_reported(
    server: Running, book: Notebook, listener: Listener, tmp_path: Path
) -> None:
    run = blocked(book, tmp_path / "gate").run
    listener.until(is_("started", run))
    assert server.ask("DELETE", f"runs/{run}").status == 409
    assert server.ask("GET", f"runs/{run}/report").status == 409
    (tmp_path / "gate").touch()
    listener.until(is_("ok", run))


def test_a_server_that_was_killed_knows_it_all_again_and_runs_go_on(
    environment: dict[str, str], book: Notebook, listener: Listener, tmp_path: Path
) -> None:
    """F24."""
    gate = tmp_path / "gate"
    run = job(book, "6 * 7").run
    listener.until(is_("ok", run))
    with running(tmp_path / "one", environment=environment) as first, first.stream() as heard:
        live = blocked(book, gate).run
        heard.until(is_("started", live))
        heard.say(type="follow", run=live)
        first.kill()
    with running(tmp_path / "two", environment=environment) as second, second.stream() as heard:
        heard.until(is_("started", live))
        assert heard.runs[run] == {**listener.runs[run], "age": heard.runs[run]["age"]} | {
            "kept": heard.runs[run]["kept"]
        }
        assert not heard.runs[live]["cancelling"]
        gate.touch()
        heard.until(is_("ok", live))


def test_transitions_are_announced_without_anything_of_the_cell(
    server: Running, book: Notebook, listener: Listener
) -> None:
    header = [f"Authorization: token {server.token}"]
    url = f"ws://127.0.0.1:{server.port}/base/api/events/subscribe"
    events = create_connection(url, header=header, timeout=PATIENCE, suppress_origin=True)
    listener.until(lambda heard: len(heard.hosts) == 2)
    run = job(book, "secret_name = 'secret text'\nprint(secret_name)").run
    heard: list[dict[str, Any]] = []
    while not any(event["state"] == "ok" for event in heard if event.get("run") == run):
        event = json.loads(events.recv())
        if event["schema_id"] == "https://events.jupyter.org/jupyter_macgpu/run/v1":
            heard.append(event)
    events.close()
    ours = [event for event in heard if event["run"] == run]
    assert all(event["host"] == "a" for event in ours)
    assert [event["before"] for event in ours[1:]] == [event["state"] for event in ours[:-1]]
    assert "secret" not in json.dumps(heard)


def test_a_run_on_a_host_that_is_not_this_servers_is_unknown(
    book: Notebook, tmp_path: Path
) -> None:
    """What is another account's, or elsewhere, is not there; no answer tells it from nothing."""
    run = job(book, "1").run
    fleet = several(tmp_path / "fleet.yaml", ["b"])
    with running(tmp_path, environment={"MACGPU_FLEET": str(fleet)}) as other:
        for verb, path in (("GET", ""), ("POST", "/cancel"), ("GET", "/outputs"), ("DELETE", "")):
            body = {} if verb == "POST" else None
            ours = other.ask(verb, f"runs/{run}{path}", body)
            nobodys = other.ask(verb, f"runs/{'f' * 32}{path}", body)
            assert (ours.status, ours.raw) == (404, nobodys.raw)


def test_hosts_are_left_alone_when_nobody_looks_and_who_comes_back_is_told_what_was(
    environment: dict[str, str], book: Notebook, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with (
        running(tmp_path, environment=environment) as fresh,
        fresh.stream() as other,
        fresh.stream() as heard,
    ):
        run = blocked(book, gate).run
        heard.until(is_("started", run))
        await_doors(fresh, 4)
        other.connection.close()
        heard.say(type="visible", visible=False)
        # Of each host the connection is kept, and the channel that tells of runs is closed.
        await_doors(fresh, 2, 40.0)
        gate.touch()
        job(book, "1", "--on b").wait(30)
        heard.say(type="visible", visible=True)
        heard.until(is_("ok", run))
        heard.until(lambda heard: {row["host"] for row in heard.runs.values()} == {"a", "b"})
        await_doors(fresh, 4)


def await_doors(server: Running, count: int, patience: float = PATIENCE) -> None:
    """Wait until so many processes carry what is said between a server and its hosts."""
    deadline = time.monotonic() + patience
    while len(processes.named(processes.below([server.process.pid]), DOOR)) != count:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_run_that_nobody_watches_is_found_on_its_host(server: Running, book: Notebook) -> None:
    run = job(book, "1 + 1")
    assert run.wait(60.0)
    deadline = time.monotonic() + 60.0
    while (answer := server.ask("GET", f"runs/{run.run}")).status != 200:
        assert time.monotonic() < deadline, answer.raw
    assert answer.json["state"] == "ok"
