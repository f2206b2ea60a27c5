"""Widgets of `%%macgpu` cells when things happen to them: busy, dead, lost, attached, reloaded."""

from __future__ import annotations

import json
import os
import signal
import uuid
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.faults import processes
from tests.notebook.widgets.front_end import FrontEnd, front_end

SLIDER = """\
%%macgpu
import ipywidgets as w
slider = w.IntSlider(3)
def moved(change):
    print('moved to', change['new'])
slider.observe(moved, 'value')
display(slider)
"""


CALLBACK_CELL = """\
%%macgpu -o b
import ipywidgets as w
class Large:
    word = 'kept'
kept, dropped = Large(), Large()
def helper():
    return kept.word
b = w.Button()
b.on_click(lambda _: print(helper(), 'dropped' in globals()))
display(b)
"""


@pytest.fixture
def front(tmp_path):
    with front_end(tmp_path, remote=True) as front:
        yield front


def text(said) -> str:
    return "".join(each.content["text"] for each in said if each.kind == "stream")


def workers(folder: Path) -> list[int]:
    """Return the workers of a front end's kernel."""
    files = folder.glob("s/*/main/workers/*/process")
    return [json.loads(file.read_text())["pid"] for file in files]


def closed(front: FrontEnd) -> None:
    """Wait until every comm is closed."""
    while front.models:
        front.until(lambda said: said.kind == "comm_close")


def test_a_worker_that_dies_closes_its_comms(front, tmp_path):
    front.run(SLIDER)
    assert len(front.models) == 3
    # It answers, so the line is open.
    assert "moved to 5" in text(front.set(front.model("IntSliderModel"), value=5))
    (pid,) = workers(tmp_path)
    os.kill(pid, signal.SIGKILL)
    closed(front)
    # The next worker's widgets are not taken for those of the last one.
    front.run(SLIDER)
    assert "moved to 6" in text(front.set(front.model("IntSliderModel"), value=6))


def test_a_worker_that_is_ended_on_purpose_closes_its_comms(front):
    front.run(SLIDER)
    front.run("%macgpu restart")
    closed(front)


def test_a_busy_worker_says_so_once_and_hears_all_of_it_when_its_cell_ends(front):
    front.run(SLIDER)
    slider = front.model("IntSliderModel")
    front.set(slider, value=4)
    subshell = front.subshell()
    # Some versions of ipykernel have a comm's messages wait for the shell that it spoke in last.
    front.run(
        "from comm import get_comm_manager\n"
        "for each in get_comm_manager().comms.values():\n"
        "    vars(each).pop('_reply_subshell_id', None)"
    )
    go = front.folder / "go"
    front.client.execute(
        "%%macgpu\nimport os, time\nprint('begun')\nwhile not os.path.exists("
        + repr(str(go))
        + "):\n"
        "    time.sleep(0.01)\nprint('cell over', slider.value)"
    )
    front.until(lambda said: said.kind == "stream" and "begun" in said.content["text"])
    said = []
    for value in (10, 11, 12):
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        said += front.until_idle(front.send(slider, data, subshell=subshell))
    data = {"method": "request_state"}
    said += front.until_idle(front.send(slider, data, subshell=subshell))
    notices = [each for each in said if "widgets wait" in str(each.data.get("text/plain"))]
    assert len(notices) == 1
    # It is answered from what is known: a page that is loaded again need not wait.
    (state,) = [each.data["state"] for each in said if each.data.get("method") == "update"]
    assert state["value"] == 12
    go.touch()
    # Which of the two is said first is not sure: the cell's end and the callbacks have shells of
    # their own.
    unheard = {"cell over 4", "moved to 12"}

    def all_is_heard(said):
        if said.kind == "stream":
            unheard.difference_update({each for each in unheard if each in said.content["text"]})
        return not unheard

    front.until(all_is_heard)
    assert "moved to 10" in text(front.said)
    assert "slider.value 12" in text(front.run("%%macgpu\nprint('slider.value', slider.value)"))


def test_a_front_end_that_begins_anew_learns_of_local_and_remote_widgets(front):
    front.run(SLIDER)
    front.set(front.model("IntSliderModel"), value=9)
    states = ask_for_states(front)
    assert [s["state"]["value"] for s in states.values() if "value" in s["state"]] == [9]
    # Now with widgets of the kernel's own, whose package takes the same target.
    front.run("import ipywidgets as w\nlocal = w.IntText(77)")
    front.run(SLIDER.replace("3", "4"))
    states = ask_for_states(front)
    values = [s["state"]["value"] for s in states.values() if "value" in s["state"]]
    assert sorted(values) == [4, 9, 77]
    assert {s["model_name"] for s in states.values()} >= {"IntSliderModel", "IntTextModel"}
    assert set(states) == set(front.models)


def ask_for_states(front: FrontEnd):
    comm = uuid.uuid4().hex
    front.until_idle(front.open(comm, "jupyter.widget.control", version="1.0.0"))
    said = front.tell(comm, {"method": "request_states"})
    (answer,) = [each for each in said if each.kind == "comm_msg"]
    assert answer.data["method"] == "update_states"
    return answer.data["states"]


def test_buffers_are_in_the_states_of_a_front_end_that_begins_anew(front):
    front.run(
        "%%macgpu\nimport ipywidgets as w\n"
        "image = w.Image(value=b'first', format='png')\ndisplay(image)\nimage.value = b'second'"
    )
    comm = uuid.uuid4().hex
    front.until_idle(front.open(comm, "jupyter.widget.control", version="1.0.0"))
    said = front.tell(comm, {"method": "request_states"})
    (answer,) = [each for each in said if each.kind == "comm_msg"]
    image = front.model("ImageModel")
    assert answer.data["buffer_paths"] == [[image, "state", "value"]]
    assert answer.buffers == [b"second"]


def test_two_notebooks_have_each_their_own_widgets(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    state = {"MACGPU_STATE": str(tmp_path / "s")}
    with (
        front_end(tmp_path / "a", remote=True, **state) as one,
        front_end(tmp_path / "b", remote=True, **state) as other,
    ):
        for front in (one, other):
            front.run(SLIDER)
        for value, front in ((5, one), (6, other), (7, one)):
            said = front.set(front.model("IntSliderModel"), value=value)
            assert f"moved to {value}" in text(said)
        assert "one 7" in text(one.run("%%macgpu\nprint('one', slider.value)"))
        assert "other 6" in text(other.run("%%macgpu\nprint('other', slider.value)"))


def test_callbacks_read_what_their_cell_left_and_nothing_else_is_kept(front):
    front.run(CALLBACK_CELL)
    front.run("%%macgpu\nother = 1")
    front.run("%%macgpu\nother = 2")
    click = {"method": "custom", "content": {"event": "click"}}
    assert "kept False" in text(front.tell(front.model("ButtonModel"), click))


def test_a_lost_line_is_opened_again_and_the_state_is_asked_for(front):
    front.run(SLIDER + "late = None\n")
    slider = front.model("IntSliderModel")
    front.set(slider, value=4)
    front.run(
        "%%macgpu\nimport asyncio\nasync def count():\n"
        "    for n in range(10, 61):\n        slider.value = n\n        await asyncio.sleep(0.01)\n"
        "task = asyncio.get_event_loop().create_task(count())"
    )
    # The channel ends under the line, as where a network ends.
    front.run(LINES + "for line in lines.values():\n    line.link._channel._link.shutdown(2)")
    while front.models[slider].get("value") != 60:
        front.until(lambda said: said.kind == "comm_msg")
    assert "moved to 61" in text(front.set(slider, value=61))


LINES = "lines = get_ipython().magics_manager.registry['MacGPUMagics'].extension.comms._lines\n"


def test_a_line_rests_and_is_opened_again_by_the_front_end(front):
    front.run(SLIDER)
    slider = front.model("IntSliderModel")
    front.set(slider, value=4)
    front.run(
        "from jupyter_macgpu import commline\ncommline.RESTING = 0\n" + LINES + "import time\n"
        "while any(line.link.open for line in lines.values()):\n    time.sleep(0.05)\n"
        "commline.RESTING = 600\nprint('all rest')"
    )
    assert "moved to 5" in text(front.set(slider, value=5))


def test_100_000_steps_of_a_progress_bar_are_few_messages(front):
    said = front.run(
        "%%macgpu\nfrom tqdm.notebook import tqdm\nfor step in tqdm(range(100_000)):\n    pass"
    )
    comms = [each for each in said if each.kind.startswith("comm_")]
    assert 10 < len(comms) < 2000
    bar = front.model("FloatProgressModel")
    assert front.models[bar]["value"] == 100_000
    assert front.models[bar]["bar_style"] == "success"


def test_widgets_of_a_run_are_there_again_in_the_kernel_that_attaches(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    same = {"MACGPU_STATE": str(tmp_path / "s"), "JPY_SESSION_NAME": "book.ipynb"}
    go = tmp_path / "go"
    with front_end(tmp_path / "a", remote=True, **same) as first:
        pid = int(text(first.run("import os\nprint(os.getpid())")))
        first.client.execute(
            SLIDER + f"slider.value = 20\nprint('begun')\nimport os, time\n"
            f"while not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\nslider.value = 21"
        )
        first.until(lambda said: said.kind == "stream" and "begun" in said.content["text"])
        slider = first.model("IntSliderModel")
        os.kill(pid, signal.SIGKILL)
        with front_end(tmp_path / "b", remote=False, **same) as second:
            second.run("%load_ext jupyter_macgpu")
            attached = second.client.execute("%macgpu attach last")
            second.until(lambda said: said.kind == "stream" and "begun" in said.content["text"])
            assert second.models[slider]["value"] == 20
            go.touch()
            second.until_idle(attached)
            assert second.models[slider]["value"] == 21
            # On a busy machine the worker may not have come out of the run yet: then the kernel
            # does not wait for the callback, and what it prints belongs to no request.
            update = {"method": "update", "state": {"value": 30}, "buffer_paths": []}
            second.send(slider, update)
            second.until(lambda said: "moved to 30" in text([said]))


def test_a_host_of_data_only_shows_no_widgets_and_its_libraries_know(tmp_path):
    fleet = tmp_path / "lab.yaml"
    fleet.write_text("version: 1\nhosts:\n  lab:\n    transport: local\n    trust: data\n")
    with front_end(tmp_path, remote=True, MACGPU_FLEET=str(fleet)) as front:
        said = front.run(
            SLIDER + "from tqdm.auto import tqdm\nprint([c.__module__ for c in tqdm.__mro__])"
        )
        assert not front.models
        assert "tqdm.asyncio" in text(said)
        assert "tqdm.notebook" not in text(said)
        shown = [each.data for each in said if each.kind == "display_data"]
        assert {"text/plain": "IntSlider(value=3)"} in shown
        notes = [data["text/plain"] for data in shown if "is not shown" in data["text/plain"]]
        assert len(notes) == 1
        assert "widget-view" in notes[0]


def test_a_supervisor_that_dies_takes_no_widget_with_it(front, tmp_path):
    front.run(SLIDER)
    slider = front.model("IntSliderModel")
    front.set(slider, value=4)
    (supervisor,) = processes.found(tmp_path / "s", "supervisor")
    supervisor.kill()
    front.run(
        LINES + "import time\nwhile any(line.link.open for line in lines.values()):\n    pass"
    )
    assert "moved to 5" in text(front.set(slider, value=5))
    front.run("%%macgpu\nslider.value = 6")
    assert front.models[slider]["value"] == 6


def large_buffers_both_ways(folder: Path, there: dict[str, str]) -> None:
    with front_end(folder, remote=True, **there) as front:
        front.run(
            "%%macgpu\nimport ipywidgets as w\nimage = w.Image(value=b'')\n"
            "def changed(change):\n    print('got', len(change['new']))\n"
            "    image.send({'back': 1}, [bytes(change['new'])[::-1]])\n"
            "image.observe(changed, 'value')\ndisplay(image)"
        )
        raw = os.urandom(20_000_000)
        data = {"method": "update", "state": {}, "buffer_paths": [["value"]]}
        for _ in range(2):
            said = front.tell(front.model("ImageModel"), data, raw)
            assert "got 20000000" in text(said)
            (back,) = [each for each in said if each.data.get("method") == "custom"]
            assert back.buffers == [raw[::-1]]
            raw = raw[::-1]


def test_widgets_live_over_ssh_and_large_buffers_go_both_ways(sshd, home, tmp_path):
    home.know(sshd)
    home.write_fleet({"studio": sshd})
    home.fleet.chmod(0o600)
    there = {"HOME": str(home.folder), "MACGPU_FLEET": str(home.fleet)}
    # In a process of its own: descriptors of this one are counted, and sockets are closed late.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(large_buffers_both_ways, tmp_path, there).result()
