"""The widgets of hosts in a real kernel: they look while somebody looks, and do as a view asks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import yaml

from jupyter_macgpu.simulation.fleet import SimulatedFleet
from tests.notebook.widgets.front_end import FrontEnd, front_end

DEVICE = "import jupyter_macgpu\ndevice = jupyter_macgpu.DeviceWidget('sim-m4')\ndisplay(device)"
FLEET = "import jupyter_macgpu\nfleet = jupyter_macgpu.FleetWidget()\ndisplay(fleet)"
#: Views that say nothing are gone soon.
IMPATIENT = "from jupyter_macgpu.widgets import viewers\nviewers.SILENT = 1.5"


@pytest.fixture(scope="module")
def macs(own_state) -> Iterator[SimulatedFleet]:
    with SimulatedFleet(2, age=-86_400.0, over_ssh=False) as fleet:
        yield fleet


@pytest.fixture
def front(macs, tmp_path, own_state) -> Iterator[FrontEnd]:
    settings = {
        "MACGPU_FLEET": str(macs.file),
        "MACGPU_STATE": str(own_state),
        "MACGPU_HOST_POLICY": str(tmp_path / "host.yaml"),
    }
    with front_end(tmp_path, remote=False, **settings) as front:
        front.run("%load_ext jupyter_macgpu")
        yield front


def value(front: FrontEnd, expression: str):
    """Return what an expression is in the kernel."""
    said = front.run(f"import json; print(json.dumps({expression}))")
    return json.loads("".join(each.content["text"] for each in said if each.kind == "stream"))


def threads(front: FrontEnd) -> list[str]:
    """Return the threads of widgets and their monitors."""
    names = value(front, "[t.name for t in __import__('threading').enumerate()]")
    return [name for name in names if name.startswith(("macgpu-monitor", "macgpu-widget"))]


def shown(front: FrontEnd) -> dict:
    """Return the model of the one widget, as the front end has it."""
    return front.models[comm(front)]


def comm(front: FrontEnd) -> str:
    return front.model("AnyModel")


def look(front: FrontEnd, kind: str = "here") -> None:
    """Say that a view is there, or gone."""
    front.tell(comm(front), {"method": "custom", "content": {"kind": kind, "view": "v"}})


def ask(front: FrontEnd, what: str, host: str, number: int = 1) -> dict:
    """Ask for something as a button does; return the answer."""
    content = {"kind": "do", "what": what, "host": host, "number": number, "view": "v"}
    front.send(comm(front), {"method": "custom", "content": content})
    return front.until(lambda said: done(said.data, number)).data["content"]


def done(data: dict, number: int) -> bool:
    content = data.get("content") or {}
    return content.get("kind") == "done" and content["number"] == number


def until(front: FrontEnd, wanted, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def heard_of(front: FrontEnd) -> None:
    """Wait until the host that is shown has told how it is."""
    while "Apple M4" not in json.dumps(shown(front)["snapshot"]):
        front.until(lambda said: said.data.get("method") == "update")


def test_a_widget_looks_while_a_view_is_open_and_connects_to_its_host_alone(front, macs):
    front.run(DEVICE)
    look(front)
    heard_of(front)
    snapshot = shown(front)["snapshot"]
    assert snapshot["simulated"] is True
    assert snapshot["host"] == "sim-m4"
    assert dict(snapshot["facts"])["Cells"] == "0 of 1 running"
    assert macs["sim-m4"].pids
    assert not macs["sim-m2-ultra"].pids
    assert threads(front)

    look(front, "gone")
    until(front, lambda: not value(front, "device.is_live"))
    until(front, lambda: not threads(front))

    look(front)
    assert value(front, "device.is_live")
    until(front, lambda: threads(front))
    assert comm(front) in front.models
    front.run("device.close()")
    until(front, lambda: not threads(front))
    assert not [state for state in front.models.values() if "snapshot" in state]


def test_a_view_that_ends_without_a_word_is_missed_but_not_while_the_kernel_is_in_a_cell(front):
    front.run(IMPATIENT)
    front.run(DEVICE)
    look(front)
    # It is asked in that cell: behind it, a slow machine may miss the view at once.
    front.run("import time\ntime.sleep(4)\nwas_live = device.is_live")
    assert value(front, "was_live")
    until(front, lambda: not value(front, "device.is_live") if not time.sleep(3) else None)


def test_a_host_that_leaves_the_fleet_file_is_said_to_be_gone_and_comes_back(front, macs):
    text = macs.file.read_text()
    without = yaml.safe_load(text)
    del without["hosts"]["sim-m4"]
    front.run(DEVICE)
    look(front)
    heard_of(front)
    try:
        macs.file.write_text(yaml.safe_dump(without))
        until(front, lambda: value(front, "device.snapshot['state']") == "gone")
        snapshot = value(front, "device.snapshot")
        assert "does not name it any more" in snapshot["reason"]
        assert "Apple M4" in snapshot["about"]
        assert not snapshot["chosen"]
    finally:
        macs.file.write_text(text)
    until(front, lambda: value(front, "device.snapshot['state']") == "ready")


def test_a_host_that_is_chosen_by_a_button_runs_the_next_cells(front):
    front.run(FLEET)
    look(front)
    answer = ask(front, "use", "sim-m4")
    assert answer["failed"] is False
    assert answer["text"] == "Cells of this notebook run on sim-m4, unless they say --on."
    front.run("%%macgpu\nthere = 6 * 7")
    assert value(front, "there") == 42
    report = "".join(
        said.content["text"] for said in front.run("%macgpu report --json") if said.kind == "stream"
    )
    assert json.loads(report)["host"] == "sim-m4"
    chosen = {row["host"]: row["chosen"] for row in shown(front)["snapshot"]["hosts"]}
    assert chosen == {"sim-m4": True, "sim-m2-ultra": False}

    answer = ask(front, "use", "sim-m5", 2)
    assert answer["failed"] is True
    assert "The fleet has no host sim-m5" in answer["text"]
    uses = "get_ipython().magics_manager.registry['MacGPUMagics'].extension.pool.uses"
    assert value(front, uses) == "sim-m4"
    ask(front, "use", "", 3)
    assert value(front, uses) is None


def test_a_button_that_is_pressed_while_a_cell_runs_waits_for_its_end(front):
    front.run(FLEET)
    look(front)
    cell = front.client.execute("import time\ntime.sleep(2)\nprint('over')", allow_stdin=False)
    content = {"kind": "do", "what": "use", "host": "sim-m4", "number": 9, "view": "v"}
    front.send(comm(front), {"method": "custom", "content": content})
    said = front.until_idle(cell)
    assert not any(done(each.data, 9) for each in said)
    front.until(lambda each: done(each.data, 9))


def test_a_host_is_opened_drained_and_let_go_again(front, tmp_path):
    front.run(FLEET)
    look(front)
    ask(front, "open", "sim-m4")
    heard_of(front)
    while not (shown(front)["snapshot"]["device"] or {}).get("host"):
        front.until(lambda said: said.data.get("method") == "update")
    policy = tmp_path / "host.yaml"
    answer = ask(front, "drain", "sim-m4", 2)
    assert answer == {
        "kind": "done",
        "number": 2,
        "text": "sim-m4 takes nothing new, from anybody; what runs there goes on.",
        "failed": False,
    }
    assert json.loads(policy.read_text())["drain"] is True
    assert ask(front, "undrain", "sim-m4", 3)["failed"] is False
    assert not json.loads(policy.read_text()).get("drain")
    policy.write_text("{")
    answer = ask(front, "drain", "sim-m4", 4)
    assert answer["failed"] is True
    assert "The policy of sim-m4 cannot be read" in answer["text"]


def test_values_of_this_notebooks_worker_are_listed_with_its_cells(front):
    front.run("%macgpu use sim-m4")
    front.run("%%macgpu -o kept\nimport threading\nkept = threading.Lock()")
    front.run(DEVICE)
    look(front)
    while not shown(front)["snapshot"].get("values"):
        front.until(lambda said: said.data.get("method") == "update")
    (held,) = shown(front)["snapshot"]["values"]
    assert held["name"] == "kept"
    assert held["type"].endswith("lock")


def bundle(front: FrontEnd, code: str, *, looks: bool) -> dict[str, str]:
    """Run a cell for a front end where somebody looks, or nobody; return what it showed."""
    said = front.until_idle(front.client.execute(code, allow_stdin=looks))
    kinds = ("execute_result", "display_data")
    return next(each.content["data"] for each in said if each.kind in kinds)


def test_the_verbs_show_widgets_to_who_looks_and_text_to_who_does_not(front):
    view = "application/vnd.jupyter.widget-view+json"
    for code in ("%macgpu device sim-m4", "%macgpu"):
        data = bundle(front, code, looks=True)
        assert view in data
        assert "sim-m4 (simulated)" in data["text/plain"]
        assert data["text/html"].startswith("<table ")
    data = bundle(front, "%macgpu device sim-m4", looks=False)
    assert view not in data
    assert "Apple M4 · 10 GPU cores" in data["text/plain"]
    assert "<meter" in data["text/html"]
    data = bundle(front, "%macgpu", looks=False)
    assert view not in data
    assert data["text/plain"].startswith("host ")
