"""The panel with a real server half and simulated Macs: what a person does there, and sees."""

from __future__ import annotations

import re
from pathlib import Path

from book import LOAD, Book, Front
from held import Held
from panel import LONG, Panel, is_name
from playwright.sync_api import expect

STEPS = """import time
for step in range({steps}):
    print("step", step, flush=True)
    time.sleep(1)
"end"
"""
#: In the heads of the panel's sections, which JupyterLab makes, of one level in every front end.
#: Of what is long, axe says the beginning.
HEADS = "lm-AccordionPan"
MACS = ("sim-m2-ultra", "sim-m4", "sim-m1-max")


def steps(number: int) -> str:
    return STEPS.format(steps=number)


def lines(outputs: list[dict[str, object]]) -> list[str]:
    texts = [output["text"] for output in outputs if output["output_type"] == "stream"]
    return "".join("".join(text) for text in texts).splitlines()


def wrong(book: Book) -> list[str]:
    """Return what axe finds wrong with what is ours in the panel."""
    return [line for line in book.violations("#macgpu-panel") if HEADS not in line]


def test_each_mac_has_a_card_that_anybody_can_read(fleet: Front) -> None:
    book = fleet.open(["1"])
    panel = Panel(book)
    for name in MACS:
        expect(panel.mac(name, "ready")).to_be_visible(timeout=LONG)
        expect(panel.mac(name)).to_contain_text("simulated")
        expect(panel.mac(name)).to_contain_text(" GiB of ")
    for theme in ("light", "dark"):
        book.theme(theme)
        assert wrong(book) == []
        book.screenshot(f"panel-{fleet.app}-{theme}")


def test_a_chosen_mac_is_kept_in_the_notebook_and_told_to_each_kernel(fleet: Front) -> None:
    book = fleet.open(["import os", "print('there')", "print('there')"])
    panel = Panel(book)
    expect(panel.mac("sim-m1-max", "ready")).to_be_visible(timeout=LONG)
    panel.press("Use sim-m1-max for this notebook")
    expect(panel.mac("sim-m1-max")).to_contain_text("this notebook")
    panel.run_cell(1)
    panel.finished(1)
    assert panel.host_of(1) == "sim-m1-max"
    metadata = "window.jupyterapp.shell.currentWidget.content.model.getMetadata('macgpu')"
    assert book.page.evaluate(metadata) == {"on": "sim-m1-max"}
    book.page.evaluate(
        "async () => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    book.wait_for_kernel()
    panel.run_cell(2)
    panel.finished(2)
    assert panel.host_of(2) == "sim-m1-max"


def test_a_run_waits_is_moved_and_its_outputs_come_into_its_cell(
    fleet_lab: Front, tmp_path: Path
) -> None:
    ahead = Held(tmp_path)
    book = fleet_lab.open([ahead.source, steps(2)])
    panel = Panel(book)
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    panel.press("Use sim-m4 for this notebook")
    panel.run_cell(0)
    panel.written(0, "begun")
    panel.run_cell(1)
    waiting = panel.under_way().filter(has_text=re.compile("in the queue|waiting"))
    expect(waiting).to_be_visible(timeout=LONG)
    waiting.locator(".macgpu-Run-name").click()
    waiting.get_by_label("Priority").fill("3")
    waiting.get_by_role("button", name="Change").click()
    expect(waiting).to_contain_text("priority 3", timeout=LONG)
    book.screenshot("panel-queue")
    waiting.get_by_label("Move to").select_option("sim-m1-max")
    panel.finished(1)
    assert panel.host_of(1) == "sim-m1-max"
    assert lines(book.outputs(1)) == ["step 0", "step 1"]
    first = panel.under_way().filter(has_text="running")
    first.get_by_role("button", name="Cancel").click()
    book.page.get_by_role("button", name="Cancel the run").click()
    panel.written(0, ": cancelled")


def test_what_a_run_shows_while_the_tab_is_closed_stands_in_its_cell(
    fleet: Front, tmp_path: Path
) -> None:
    held = Held(tmp_path, then=steps(4))
    book = fleet.open([held.source])
    panel = Panel(book)
    panel.run_cell(0)
    panel.written(0, "begun")
    book.save()
    book.page.close()
    held.let_go()
    again = fleet.again(book)
    expect(again.output(0)).to_contain_text("'end'", timeout=LONG)
    expect(again.output(0)).to_contain_text(": done>", timeout=LONG)
    outputs = again.outputs(0)
    assert lines(outputs) == ["begun", *(f"step {number}" for number in range(4))]
    assert [is_name(output) for output in outputs] == [True, False, False]
    assert again.source(0) == held.source


def test_a_cell_runs_after_another_one_and_is_cancelled_with_it(
    fleet_lab: Front, tmp_path: Path
) -> None:
    ahead = Held(tmp_path)
    book = fleet_lab.open([ahead.source, "print('second')", "print('third')"])
    panel = Panel(book)
    expect(panel.mac("sim-m1-max", "ready")).to_be_visible(timeout=LONG)
    panel.press("Use sim-m1-max for this notebook")
    panel.run_cell(0)
    panel.written(0, "begun")
    first = panel.under_way().filter(has_text="running")
    first.locator(".macgpu-Run-name").click()
    panel.select(1)
    first.get_by_role("button", name="Run the selected cell after this").click()
    second = panel.under_way().filter(has_text="print('second')")
    expect(second).to_be_visible(timeout=LONG)
    panel.select(2)
    panel.press("Run the selected cell…")
    form = panel.whole.get_by_role("form", name="Run the selected cell")
    form.get_by_label("When").select_option("after")
    form.get_by_role("combobox", name="After", exact=True).select_option(index=1)
    form.get_by_label("also if that does not end well").check()
    book.screenshot("panel-cell-after")
    form.get_by_role("button", name="Run", exact=True).click()
    expect(panel.under_way()).to_have_count(3, timeout=LONG)
    first.get_by_role("button", name="Cancel").click()
    book.page.get_by_role("button", name="Cancel the run").click()
    panel.written(1, ": cancelled")
    panel.written(2, "third")
    assert "second" not in lines(book.outputs(1))


def test_an_error_is_shown_at_the_line_that_stands_in_the_cell(fleet_lab: Front) -> None:
    book = fleet_lab.open(["one = 1\none / 0"])
    panel = Panel(book)
    panel.run_cell(0)
    panel.written(0, "----> 2 one / 0")
    expect(book.output(0)).not_to_contain_text("%%macgpu")


def test_a_cell_starts_at_a_time_and_says_so_until_it_is_cancelled(fleet_lab: Front) -> None:
    book = fleet_lab.open(["print('never')"])
    panel = Panel(book)
    expect(panel.mac("sim-m1-max", "ready")).to_be_visible(timeout=LONG)
    panel.select(0)
    panel.press("Run the selected cell…")
    form = panel.whole.get_by_role("form", name="Run the selected cell")
    form.get_by_label("When").select_option("at")
    # Tomorrow by the browser's clock, which the kernel's need not be.
    local = book.page.evaluate(
        "() => { const then = new Date(Date.now() + 86400e3), two = n => `${n}`.padStart(2, '0');"
        " const day = [then.getFullYear(), two(then.getMonth() + 1), two(then.getDate())];"
        " return `${day.join('-')}T18:30`; }"
    )
    form.get_by_label("At", exact=True).fill(local)
    assert wrong(book) == []
    book.screenshot("panel-cell-at")
    form.get_by_role("button", name="Run", exact=True).click()
    run = panel.under_way()
    expect(run).to_contain_text("starts at", timeout=LONG)
    expect(run).to_contain_text("or at the next contact if its host is asleep or off then")
    panel.written(0, "starts at")
    assert book.source(0) == "print('never')"
    run.locator(".macgpu-Run-name").click()
    assert wrong(book) == []
    run.get_by_role("button", name="Cancel").click()  # nothing is lost, so that nobody is asked
    panel.written(0, ": cancelled")
    assert "never" not in lines(book.outputs(0))


def test_what_lives_on_a_mac_is_listed_with_its_memory(fleet_lab: Front, tmp_path: Path) -> None:
    busy = Held(tmp_path, magic="%%macgpu --on sim-m4")
    leaves = "import numpy\nleft = (n for n in range(9))\nlarge = numpy.ones(2**18)"
    book = fleet_lab.open([LOAD, "%macgpu config return=1KiB", f"%%macgpu --on sim-m4\n{leaves}"])
    panel = Panel(book)
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    book.run_all(120)
    values = panel.whole.get_by_role("list", name="Values that live on Macs alone")
    expect(values).to_contain_text("numpy.ndarray · 2 MiB · sim-m4", timeout=LONG)
    expect(values).to_contain_text("generator · sim-m4")
    assert wrong(book) == []
    book.screenshot("panel-values")
    book.add(busy.source)
    book.add("%macgpu free left large")
    book.start(3)
    expect(panel.whole).to_contain_text("not known (a cell runs there)", timeout=LONG)
    busy.let_go()
    expect(values).to_be_visible(timeout=LONG)
    book.run(4)
    expect(panel.whole).to_contain_text("No value lives on a Mac alone", timeout=LONG)


def test_a_mac_is_drained_and_taken_back_with_the_keyboard_alone(fleet_lab: Front) -> None:
    book = fleet_lab.open(["1"])
    panel = Panel(book)
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    buttons = panel.mac("sim-m4").get_by_role("button")
    buttons.nth(0).focus()
    book.page.keyboard.press("Tab")
    expect(panel.mac("sim-m4").get_by_role("button", name="nothing new")).to_be_focused()
    book.page.keyboard.press("Enter")
    expect(panel.mac("sim-m4", "draining")).to_be_visible(timeout=LONG)
    take = panel.mac("sim-m4").get_by_role("button", name="Let sim-m4 take runs again")
    take.focus()
    book.page.keyboard.press("Enter")
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)


def test_the_whole_notebook_runs_by_itself(fleet_lab: Front) -> None:
    book = fleet_lab.open(["print('by itself')"])
    panel = Panel(book)
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    panel.press("Run the whole notebook…")
    form = panel.whole.get_by_role("form", name="Run the whole notebook")
    form.get_by_label("When").select_option("cron")
    form.get_by_label("Cron").fill("0 3 1 1 *")
    book.screenshot("panel-form")
    assert wrong(book) == []
    form.get_by_role("button", name="Schedule").click()
    row = panel.whole.get_by_role("list", name="Schedules").locator(".macgpu-Run")
    expect(row).to_contain_text("0 3 1 1 *", timeout=LONG)
    row.get_by_role("button", name="Run now").or_(row.get_by_text("Run now")).first.click()
    expect(row).to_contain_text("done", timeout=LONG)
    row.get_by_text("Remove").click()
    expect(row).to_have_count(0, timeout=LONG)
