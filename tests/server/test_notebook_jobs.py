"""Jupyter Scheduler's notebook jobs on hosts of ours, by its own REST interface."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.scripts.fleet import several

from .running import PATIENCE, Listener, Running, running
from .test_schedules import notebook, outputs

OURS = (
    "--SchedulerApp.scheduler_class=jupyter_macgpu.notebookjobs.MacScheduler",
    "--SchedulerApp.environment_manager_class=jupyter_macgpu.notebookjobs.MacEnvironments",
)
STOPS = """import pathlib, time
pathlib.Path({began!r}).touch()
try:
    while True:
        time.sleep(0.02)
finally:
    print("cleared up")
"""


class Calendar:
    """Who uses Jupyter Scheduler."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.root = server.root

    def ask(self, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask its interface; return the status and what it says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        said = {"Authorization": f"token {self.server.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        try:
            connection.request(verb, f"/base/scheduler/{path}", content, said)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def create(self, path: str, place: str = "a", **more: Any) -> str:
        """Create a job; return its id."""
        body = {
            "name": path,
            "input_uri": path,
            "runtime_environment_name": "Macs",
            "compute_type": place,
            "output_formats": ["ipynb"],
            **more,
        }
        status, said = self.ask("POST", "jobs", body)
        assert status == 200, said
        return str(said["job_id"])

    def job(self, name: str) -> dict[str, Any]:
        """Return what it says of a job."""
        found: dict[str, Any] = self.ask("GET", f"jobs/{name}")[1]
        return found

    def until(self, name: str, *states: str) -> dict[str, Any]:
        """Wait until a job is in one of these states."""
        until(lambda: self.job(name)["status"] in states)
        return self.job(name)

    def stop(self, name: str) -> None:
        """Have a job stopped, as its list does."""
        assert self.ask("PATCH", f"jobs/{name}", {"status": "STOPPED"})[0] == 204

    def live(self, name: str) -> Path:
        """Return the notebook that a job has run, or runs."""
        [folder] = (self.root / "jobs").glob(f"*{name}")
        [found] = folder.glob(f"{folder.name.removesuffix(name)}*-*.ipynb")
        return found


def until(happened: Callable[[], Any], patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def of_job(heard: Listener, name: str) -> list[dict[str, Any]]:
    """Return the runs of a job: those of other tests' jobs are told too, one host after another."""
    return [row for row in heard.runs.values() if name in row["notebook"]]


@pytest.fixture(scope="module")
def calendar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calendar]:
    """A server with both extensions, and two hosts of this machine."""
    folder: Path = tmp_path_factory.mktemp("calendar")
    fleet = several(folder / "fleet.yaml", ["a", "b"])
    with fleet.open("a") as more:
        more.write("profiles:\n  train: {nodeSelector: {simulated: 'true'}}\n")
    environment = {"MACGPU_FLEET": str(fleet)}
    extensions = "{'jupyter_macgpu': True, 'jupyter_scheduler': True}"
    # Its handlers are older than the rule that each must say whom it lets in.
    with running(
        folder, *OURS, environment=environment, extensions=extensions, is_strict=False
    ) as started:
        yield Calendar(started)


def test_the_form_offers_the_fleet(calendar: Calendar) -> None:
    status, [one] = calendar.ask("GET", "runtime_environments")
    assert status == 200
    assert one["compute_types"] == ["any Mac", "a", "b", "profile train"]
    assert one["default_compute_type"] == "any Mac"
    assert one["name"] == one["label"] == "Macs"


def test_a_job_runs_on_the_chosen_host_with_its_parameters(calendar: Calendar) -> None:
    path = notebook(calendar.root, "n.ipynb", "n = 1", "print(n * 7)", first_tags=["parameters"])
    name = calendar.create(path, "b", parameters={"n": "2 * 3"}, output_formats=["ipynb", "html"])
    job = calendar.until(name, "COMPLETED", "FAILED", "STOPPED")
    assert job["status"] == "COMPLETED", job
    assert job["end_time"] >= job["start_time"]
    ran = calendar.live(name)
    assert outputs(ran)[2][0]["text"] == "42\n"
    staged = next(file for file in job["job_files"] if file["file_format"] == "ipynb")
    assert calendar.root / staged["file_path"] == ran
    with calendar.server.stream() as listener:
        listener.until(lambda heard: {row["state"] for row in of_job(heard, name)} == {"ok"})
        mine = of_job(listener, name)
    assert {row["host"] for row in mine} == {"b"}
    assert {row["notebook"] for row in mine} == {str(ran.relative_to(calendar.root))}
    assert job["downloaded"]
    assert "42" in ran.with_suffix(".html").read_text()


def test_what_has_run_is_seen_while_the_rest_runs_and_a_stop_clears_up(
    calendar: Calendar, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    stops = STOPS.format(began=str(began))
    path = notebook(calendar.root, "long.ipynb", "print('first')", stops, "print('third')")
    name = calendar.create(path)
    until(began.exists)
    assert outputs(calendar.live(name))[0][0]["text"] == "first\n"
    assert calendar.job(name)["status"] == "IN_PROGRESS"
    calendar.stop(name)
    job = calendar.until(name, "STOPPED", "FAILED")
    assert job["status"] == "STOPPED"
    assert "cell 2 of 3 ended: cancelled" in job["status_message"]
    assert " on a." in job["status_message"]
    assert job["end_time"]
    _, second, third = outputs(calendar.live(name))
    assert "cleared up\n" in [out.get("text") for out in second]
    assert third == []
    with calendar.server.stream() as listener:
        ended = ["cancelled", "ok"]
        listener.until(lambda heard: sorted(r["state"] for r in of_job(heard, name)) == ended)


def test_a_cell_that_does_not_stop_is_ended(calendar: Calendar, tmp_path: Path) -> None:
    began = tmp_path / "began"
    deaf = f"""import pathlib, time
pathlib.Path({str(began)!r}).touch()
while True:
    try:
        time.sleep(0.02)
    except KeyboardInterrupt:
        pass
"""
    name = calendar.create(notebook(calendar.root, "deaf.ipynb", deaf))
    until(began.exists)
    calendar.stop(name)
    assert calendar.job(name)["status"] == "STOPPING"
    assert calendar.until(name, "STOPPED", "FAILED")["status"] == "STOPPED"


def test_a_job_that_is_stopped_at_once_never_begins(calendar: Calendar, tmp_path: Path) -> None:
    began = tmp_path / "began"
    name = calendar.create(notebook(calendar.root, "soon.ipynb", STOPS.format(began=str(began))))
    assert calendar.job(name)["status"] == "CREATED"
    calendar.stop(name)
    job = calendar.until(name, "STOPPED")
    assert job["status_message"] == "It was stopped before it began."
    assert not began.exists()


def test_a_job_whose_process_is_gone_can_be_stopped(calendar: Calendar, tmp_path: Path) -> None:
    began = tmp_path / "began"
    name = calendar.create(notebook(calendar.root, "gone.ipynb", STOPS.format(began=str(began))))
    until(began.exists)
    [pid] = job_processes(calendar.server.process.pid)
    os.kill(pid, signal.SIGKILL)
    calendar.stop(name)
    job = calendar.until(name, "STOPPED")
    assert "Its process was gone." in job["status_message"]
    with calendar.server.stream() as listener:

        def left(heard: Listener) -> list[str]:
            return [row["run"] for row in of_job(heard, name) if row["state"] == "started"]

        listener.until(left)
        [run] = left(listener)
        assert calendar.server.ask("POST", f"runs/{run}/cancel", {}).status == 202
        listener.until(lambda heard: heard.runs[run]["state"] == "cancelled")


def test_a_failure_says_where(calendar: Calendar) -> None:
    path = notebook(calendar.root, "bad.ipynb", "1 / 0", "print('never')")
    job = calendar.until(calendar.create(path), "FAILED", "COMPLETED")
    assert job["status"] == "FAILED"
    assert job["status_message"].startswith("Failed: cell 1 of 2 ended: error.")
    assert job["end_time"]
    assert outputs(calendar.live(job["job_id"]))[0][0]["ename"] == "ZeroDivisionError"


def test_what_cannot_run_is_refused_with_the_reason(calendar: Calendar) -> None:
    (calendar.root / "no.ipynb").write_text("no notebook")
    body = {"name": "x", "input_uri": "no.ipynb", "runtime_environment_name": "Macs"}
    status, said = calendar.ask("POST", "jobs", body)
    assert status == 500
    assert "cannot be read as a notebook" in said["message"]
    path = notebook(calendar.root, "far.ipynb", "1")
    job = calendar.until(calendar.create(path, "nowhere"), "FAILED", "COMPLETED")
    assert "nowhere" in job["status_message"]


def test_files_beside_the_notebook_go_there_and_come_back(calendar: Calendar) -> None:
    folder = calendar.root / "beside"
    folder.mkdir()
    (folder / "numbers.txt").write_text("1 2 3")
    text = "open('sum.txt', 'w').write(str(sum(map(int, open('numbers.txt').read().split()))))"
    path = notebook(calendar.root, "beside/files.ipynb", text)
    name = calendar.create(path, package_input_folder=True)
    job = calendar.until(name, "COMPLETED", "FAILED")
    assert job["status"] == "COMPLETED", job
    [folder] = (calendar.root / "jobs").glob(f"*{name}")
    assert (folder / "sum.txt").read_text() == "6"
    assert job["downloaded"]


def test_a_definition_of_its_calendar_makes_jobs_of_ours(calendar: Calendar) -> None:
    path = notebook(calendar.root, "nightly.ipynb", "print('by itself')")
    body = {
        "name": "nightly",
        "input_uri": path,
        "runtime_environment_name": "Macs",
        "runtime_environment_parameters": {"on": "simulated=true"},
        "output_formats": ["ipynb"],
        "schedule": "0 3 1 1 *",
        "timezone": "UTC",
    }
    status, said = calendar.ask("POST", "job_definitions", body)
    assert status == 200, said
    status, said = calendar.ask("POST", f"job_definitions/{said['job_definition_id']}/jobs", {})
    assert status == 200, said
    job = calendar.until(said["job_id"], "COMPLETED", "FAILED")
    assert job["status"] == "COMPLETED", job
    assert outputs(calendar.live(said["job_id"]))[0][0]["text"] == "by itself\n"


def job_processes(server: int) -> list[int]:
    """Return the processes of jobs that a server has; those that have ended have no words."""
    below = psutil.Process(server).children()
    there = [each for each in below if each.status() != psutil.STATUS_ZOMBIE]
    return [each.pid for each in there if any("spawn_main" in word for word in each.cmdline())]
