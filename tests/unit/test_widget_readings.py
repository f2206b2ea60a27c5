"""What widgets show of hosts: from what recorded Macs said, and from what nobody should believe."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.fleet.seen import Seen
from jupyter_macgpu.fleet.status import Heard, host_status, shown_state
from jupyter_macgpu.scheduling.status import State
from jupyter_macgpu.simulation.macs import MACS
from jupyter_macgpu.simulation.replay import output
from jupyter_macgpu.simulation.weather import weather_at
from jupyter_macgpu.tables import page_table
from jupyter_macgpu.widgets import pages, readings
from jupyter_macgpu.widgets.readings import Inside
from jupyter_macgpu.widgets.viewers import SILENT, Viewers
from jupyter_macgpu.wire.gauges import Gpu, Machine, Memory, People
from jupyter_macgpu.wire.probe import read_probe
from jupyter_macgpu.wire.telemetry import Telemetry, to_json
from tests.unit.page import ANY, Page

LANES = {"gpu": {"slots": 1, "running": 1, "queued": 2, "wait": 240.0}}
CELLS = [
    {
        "run": "0123456789abcdef",
        "state": "started",
        "age": 72.0,
        "origin": {"notebook": "work/train.ipynb"},
        "options": {"name": "epochs"},
    },
    {
        "run": "fedcba9876543210",
        "state": "queued",
        "position": 1,
        "wait": 200.0,
        "origin": {"notebook": "other.ipynb"},
        "options": {},
    },
]
VALUES = [{"key": "k", "name": "model", "type": "Linear", "nbytes": 3 * 2**30}]


def recorded(mac: str, seed: int = 3, age: int = 100) -> Telemetry:
    return read_probe(output(MACS[mac], weather_at(seed, age), "n", 0), "n")


def seen_of(telemetry: Telemetry, *, name: str = "sim", labels=None, age=4.0, **said) -> Seen:
    host = Host(name=name, labels=labels or {})
    heard = Heard().told({"telemetry": to_json(telemetry), **said}, 100.0)
    status = host_status(host, heard)
    state, reason = shown_state(status, heard.said)
    return Seen(
        host=host,
        state=state,
        reason=reason,
        age=age,
        status=status,
        said=dict(heard.said),
        is_connected=True,
    )


def device(telemetry: Telemetry, inside: Inside | None = None, **said):
    seen = seen_of(telemetry, **said)
    return readings.device(seen, telemetry, inside or Inside(), notebook="work/train.ipynb")


def facts(shown):
    return dict(shown["facts"])


@pytest.mark.parametrize("mac", sorted(MACS))
def test_a_recorded_mac_is_shown_as_it_is(mac):
    telemetry = recorded(mac)
    shown = device(telemetry, labels={"simulated": "true"}, lanes=LANES)
    gpu, memory, *_ = shown["gauges"]
    assert shown["simulated"] is True
    assert telemetry.machine.chip in shown["about"]
    assert gpu["text"] == f"{100 * telemetry.gpu.utilization:.0f} %"
    assert gpu["share"] == pytest.approx(telemetry.gpu.utilization, abs=0.001)
    used = telemetry.memory.total_bytes - telemetry.memory.available_bytes
    assert memory["share"] == pytest.approx(used / telemetry.memory.total_bytes, abs=0.001)
    shares = {part["name"]: part["share"] for part in memory["parts"]}
    assert shares["ours"] + shares["others"] + shares["free"] == pytest.approx(1, abs=0.01)
    assert 0.6 < shares["GPU limit"] < 0.8
    assert facts(shown)["Heat"].startswith(telemetry.heat.pressure)
    assert facts(shown)["Cells"] == "1 of 1 running, 2 waiting"
    assert facts(shown)["Wait"] == "a free slot in about 4 min"


@pytest.mark.parametrize(
    ("state", "age", "said"),
    [
        (State.READY, 4.0, "heard just now"),
        (State.READY, 300.0, "heard 5 min ago"),
        (State.UNREACHABLE, 0.0, "tried just now"),
        (State.ASLEEP, 300.0, "tried 5 min ago"),
        (None, None, "nothing heard yet"),
    ],
)
def test_when_a_host_was_heard_of_is_not_when_it_was_tried(state, age, said):
    seen = replace(seen_of(Telemetry(), age=age), state=state)
    shown = readings.device(seen, Telemetry(), Inside(), notebook="work/train.ipynb")
    assert shown["heard"] == said


def test_a_host_without_a_gpu_has_no_limit_of_one():
    telemetry = Telemetry(memory=Memory(total_bytes=2**34, available_bytes=2**33))
    without = device(telemetry, devices=["cpu"])["gauges"][1]["parts"]
    assert [part["name"] for part in without] == ["ours", "others", "free"]
    unknown = device(telemetry)["gauges"][1]["parts"]
    assert [part["name"] for part in unknown] == ["ours", "others", "free", "GPU limit"]


def test_power_is_that_of_the_machine_or_of_its_gpu_and_left_out_where_nobody_says_it():
    laptop, desktop = recorded("m1-max"), recorded("m2-ultra")
    watts = laptop.power.system_watts
    assert device(laptop)["gauges"][2]["text"] == f"{watts:.1f} W"
    assert facts(device(laptop))["Supply"] == "mains, battery 100 %"
    assert len(device(desktop)["gauges"]) == 2
    assert facts(device(desktop))["Supply"] == "mains"
    measured = replace(desktop, gpus=(replace(desktop.gpu, watts=12.0),))
    assert device(measured)["gauges"][2]["text"] == "12.0 W by the GPU"


def test_what_cells_have_allocated_is_apart_from_what_others_use():
    total = 16 * 2**30
    telemetry = Telemetry(memory=Memory(total_bytes=total, available_bytes=total // 2))
    parts = device(telemetry, held=total // 4)["gauges"][1]["parts"]
    found = {part["name"]: part["share"] for part in parts}
    assert found["ours"] == 0.25
    assert found["others"] == 0.25
    assert found["free"] == 0.5


def test_what_nobody_knows_is_unknown_and_never_nothing():
    shown = device(Telemetry())
    assert [gauge["text"] for gauge in shown["gauges"]] == ["unknown", "unknown"]
    assert [gauge["share"] for gauge in shown["gauges"]] == [None, None]
    assert facts(shown) == dict.fromkeys(("Supply", "Heat", "Owner", "System", "Cells"), "unknown")
    assert shown["values"] is None
    assert "0 %" not in pages.device_text(shown)
    assert "<meter" not in pages.device_page(shown)


def test_of_a_host_that_is_gone_only_what_was_built_in_is_shown():
    telemetry = recorded("m1-max")
    gone = replace(seen_of(telemetry, lanes=LANES), state=State.ASLEEP, reason="no answer")
    shown = readings.device(gone, telemetry, Inside())
    assert "Apple M1 Max · 32 GPU cores · 64 GiB" in shown["about"]
    assert [gauge["text"] for gauge in shown["gauges"]] == ["unknown", "64 GiB in all"]
    assert facts(shown)["Owner"] == facts(shown)["Cells"] == "unknown"
    assert "Wait" not in facts(shown)
    row = readings.row(gone, telemetry)
    assert row["queue"] == ""
    assert row["sort"] == {"gpu": None, "free": None, "queue": 0}


def test_a_host_without_a_gpu_is_told_from_one_whose_gpu_is_unknown():
    assert device(Telemetry(gpus=()))["gauges"][0]["text"] == "none"


def test_an_owner_at_the_keyboard_is_told_from_one_who_left():
    here = Telemetry(people=People(console_user=True, idle_seconds=3.0))
    away = Telemetry(people=People(console_user=True, idle_seconds=4000.0))
    nobody = Telemetry(people=People(console_user=False, idle_seconds=3.0))
    assert facts(device(here))["Owner"] == "at the keyboard"
    assert facts(device(away))["Owner"] == "away for 67 min"
    assert facts(device(nobody))["Owner"] == "nobody logged in at the screen"


def test_cells_and_values_of_this_account_are_listed():
    shown = device(recorded("m4"), Inside(cells=CELLS, values=VALUES))
    first, second = shown["cells"]
    assert first == {
        "run": "01234567",
        "what": "epochs",
        "ours": True,
        "how": "runs, 72 s",
    }
    assert second["what"] == "other.ipynb"
    assert second["ours"] is False
    assert second["how"] == "after 1, in 3 min"
    assert shown["values"] == [{"name": "model", "type": "Linear", "size": "3 GiB"}]
    text = pages.device_text(shown)
    assert "epochs (this notebook)" in text
    assert "model  Linear  3 GiB" in text


def test_a_reading_does_not_change_with_every_second():
    telemetry = recorded("m4")
    shown = [readings.device(seen_of(telemetry, age=a), telemetry, Inside()) for a in (1, 19)]
    assert shown[0] == shown[1]


def test_lines_keep_their_last_points_and_gaps():
    telemetry = recorded("m1-max")
    status = seen_of(telemetry).status
    lines = {}
    for number in range(readings.POINTS + 5):
        new = readings.points(status, telemetry, connected=number != readings.POINTS)
        lines = readings.longer(lines, new)
    assert {len(line) for line in lines.values()} == {readings.POINTS}
    assert lines["gpu"][-5] is None
    assert lines["gpu"][-1] == round(telemetry.gpu.utilization, 3)
    assert lines["watts"][-1] == round(telemetry.power.system_watts, 3)


def test_hosts_can_be_sorted_by_what_is_known_of_them():
    telemetry = recorded("m4")
    row = readings.row(seen_of(telemetry, lanes=LANES), telemetry, chosen=True)
    assert row["chosen"] is True
    many = {f"key-{number}": "x" * 20 for number in range(20)}
    assert "key-9=x" in readings.row(seen_of(telemetry, labels=many), telemetry)["labels"]
    assert row["sort"]["free"] == telemetry.memory.available_bytes
    assert row["sort"]["gpu"] == row["gpu"]["share"]
    assert row["sort"]["queue"] == 3
    assert readings.row(seen_of(Telemetry()), Telemetry())["sort"]["gpu"] is None


#: How tables look, whatever stands in them: with text, and with numbers alone.
LOOKS = Page(page_table([{"a": "x", "b": 1}], "ab")).looks | {"text-align:left"}


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY, min_size=11, max_size=11))
def test_no_text_of_a_host_is_ever_html(texts):
    given_texts = iter(texts)
    telemetry = Telemetry(
        machine=Machine(chip=next(given_texts)),
        gpus=(Gpu(name=next(given_texts), cores=8, utilization=0.5),),
        memory=Memory(total_bytes=2**34, available_bytes=2**33, pressure=next(given_texts)),
    )
    telemetry = replace(telemetry, heat=replace(telemetry.heat, pressure=next(given_texts)))
    # A host's name is a name: the fleet file takes no other.
    seen = seen_of(telemetry, labels={"chip": next(given_texts)})
    seen = replace(seen, reason=next(given_texts))
    cell = {"run": next(given_texts), "options": {"name": next(given_texts)}}
    value = {"name": next(given_texts), "type": next(given_texts)}
    inside = Inside(cells=[cell], values=[value], note=next(given_texts))
    rows = [readings.row(seen, telemetry)]
    shown = readings.device(seen, telemetry, inside)
    for page in (Page(pages.device_page(shown)), Page(pages.fleet_page(rows))):
        allowed = {
            "b",
            "br",
            "caption",
            "meter",
            "p",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "wbr",
        }
        assert page.tags <= allowed
        assert page.attributes <= {"min", "max", "value", "style", "class"}
        assert page.looks <= LOOKS
    for text in (pages.device_text(shown), pages.fleet_text(rows)):
        assert not set(text) & set("\x1b\x00\x9b\u202e\r")
    page = Page(pages.device_page(shown))
    for text in (seen.reason, cell["options"]["name"], value["name"], value["type"], inside.note):
        assert readings.cut(text) in " ".join(page.text.split())


def test_a_view_counts_until_it_leaves():
    viewers = Viewers()
    assert not viewers.there(0.0)
    viewers.heard("a", 0.0)
    viewers.heard("b", 0.0)
    viewers.left("a")
    assert viewers.there(1.0)
    viewers.left("b")
    assert not viewers.there(1.0)
    viewers.left("b")


def test_a_view_that_ends_without_a_word_counts_for_a_while():
    viewers = Viewers()
    viewers.heard("a", 0.0)
    assert viewers.there(SILENT)
    assert not viewers.there(SILENT + 0.1)
    viewers.heard("a", SILENT + 1)
    assert viewers.there(SILENT + 2)


def test_silence_while_the_kernel_is_in_a_cell_is_excused():
    viewers = Viewers()
    viewers.heard("a", 0.0)
    viewers.excuse(1000.0)
    assert viewers.there(1000.0 + SILENT)
    assert not viewers.there(1000.1 + SILENT)


def test_whoever_opens_views_without_end_is_not_remembered_without_end():
    viewers = Viewers()
    for number in range(10_000):
        viewers.heard(str(number), 0.0)
    assert len(viewers._heard) < 100
