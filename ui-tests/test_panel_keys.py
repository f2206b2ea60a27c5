"""The panel with the keyboard alone: everything is reached, seen, and kept while rows change."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from book import Front
from panel import LONG, Panel
from played import Stream, host, play, run
from playwright.sync_api import Locator, expect

#: Milliseconds until a schedule has come to its minute and its notebook has run.
_MINUTES = 200_000
#: What can be done in a part of the page, each with whether one sees that it has the focus.
ACTIONS = """root => [...root.querySelectorAll('button, select, input, a[href]')]
    .filter(node => !node.disabled && node.offsetParent !== null)
    .map(node => node.getAttribute('aria-label') ?? node.textContent)"""
FOCUSED = """root => {
    const node = document.activeElement;
    if (!root.contains(node)) {
        return null;
    }
    const style = getComputedStyle(node);
    const name = node.getAttribute('aria-label') ?? node.textContent;
    return [name, style.outlineStyle !== 'none' || style.boxShadow !== 'none'];
}"""
IN_FOCUS = "node => node === document.activeElement"


def reach(panel: Panel, target: Locator) -> None:
    """Go to a part of the panel by the tab key."""
    for _ in range(80):
        if target.evaluate(IN_FOCUS):
            return
        panel.book.page.keyboard.press("Tab")
    raise AssertionError(f"the tab key does not come to {target}")


def choose(panel: Panel, field: Locator, letters: str) -> None:
    """Choose what begins so, in a list."""
    reach(panel, field)
    panel.book.page.keyboard.type(letters)


def begin(panel: Panel) -> Locator:
    """Open the form for the whole notebook by keys; return it."""
    opens = panel.whole.get_by_role("button", name="Run the whole notebook…")
    panel.whole.get_by_role("button").first.focus()
    reach(panel, opens)
    panel.book.page.keyboard.press("Enter")
    form = panel.whole.get_by_role("form", name="Run the whole notebook")
    expect(form).to_be_visible()
    return form


def send(panel: Panel, form: Locator) -> None:
    reach(panel, form.get_by_role("button", name="Schedule"))
    panel.book.page.keyboard.press("Enter")
    expect(form).to_have_count(0, timeout=LONG)


def test_a_notebook_is_scheduled_by_keys_and_its_output_is_there(fleet_lab: Front) -> None:
    book = fleet_lab.open(["print('by', 'keys')"])
    panel = Panel(book)
    page = book.page
    expect(panel.mac("sim-m4", "ready")).to_be_visible(timeout=LONG)
    form = begin(panel)
    choose(panel, form.get_by_label("When"), "again")
    reach(panel, form.get_by_label("Cron"))
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("* * * * *")
    reach(panel, form.get_by_label("Write to"))
    page.keyboard.type(f"{book.file.stem}-cron.ipynb")
    book.screenshot("panel-keys-cron")
    send(panel, form)
    form = begin(panel)
    choose(panel, form.get_by_label("When"), "at")
    reach(panel, form.get_by_role("textbox", name="Time"))
    due = datetime.now() + timedelta(seconds=100)
    page.keyboard.type(f"{due:%m%d%Y}")
    page.keyboard.press("Tab")
    page.keyboard.type(f"{due:%I%M%p}")
    reach(panel, form.get_by_label("Write to"))
    page.keyboard.type(f"{book.file.stem}-once.ipynb")
    book.screenshot("panel-keys-at")
    send(panel, form)
    rows = panel.whole.get_by_role("list", name="Schedules").locator(".macgpu-Run")
    again, once = rows.filter(has_text="* * * * *"), rows.filter(has_not_text="* * * * *")
    expect(again).to_contain_text("last", timeout=_MINUTES)
    expect(again).to_contain_text("done", timeout=LONG)
    expect(once).to_contain_text("last", timeout=_MINUTES)
    book.screenshot("panel-keys-done")
    for name in ("cron", "once"):
        written = nbformat.read(Path(f"{str(book.file)[:-6]}-{name}.ipynb"), as_version=4)
        (output,) = written.cells[-1].outputs
        assert output["text"] == "by keys\n", name
    for row in (again, once):
        remove = row.get_by_role("button", name="Remove")
        remove.focus()
        page.keyboard.press("Enter")
        expect(row).to_have_count(0, timeout=LONG)


@pytest.fixture
def played(fleet_lab: Front) -> tuple[Panel, Stream]:
    """Return the panel with a stream that is played: two Macs, and three runs that wait."""
    hosts = [host("mac-0", "ready"), host("mac-1", "ready")]
    panel, stream = play(fleet_lab, hosts, [run(number) for number in (1, 2, 3)])
    expect(panel.under_way()).to_have_count(3, timeout=LONG)
    return panel, stream


def test_every_action_is_reached_by_the_tab_key_and_seen(played: tuple[Panel, Stream]) -> None:
    panel, _ = played
    panel.under_way().first.locator(".macgpu-Run-name").click()
    wanted = panel.whole.evaluate(ACTIONS)
    assert len(wanted) > 15
    panel.whole.locator("button, select").first.focus()
    for key in ("Tab", "Shift+Tab"):
        panel.book.page.keyboard.press(key)
    reached: list[str] = []
    unseen: list[str] = []
    for _ in range(2 * len(wanted)):
        found = panel.whole.evaluate(FOCUSED)
        if found is not None:
            reached.append(found[0])
            if not found[1]:
                unseen.append(found[0])
        panel.book.page.keyboard.press("Tab")
    assert unseen == []
    assert sorted(set(wanted) - set(reached)) == []
    panel.book.screenshot("panel-focus")


def test_the_focus_stays_where_it_is_while_rows_change(played: tuple[Panel, Stream]) -> None:
    panel, stream = played
    listed = panel.whole.locator(".macgpu-Run")
    rows = {number: listed.filter(has_text=f"run {number}") for number in (1, 2, 3)}
    cancels = {number: row.get_by_role("button", name="Cancel") for number, row in rows.items()}

    def change(kind: str, **row: Any) -> None:
        stream.say(type=kind, revision=2, gone=[], **{kind: [row]})

    for number in (1, 2, 3):
        cancels[number].focus()
        change("runs", **run(number, priority=3))
        expect(rows[number]).to_contain_text("priority 3")
        expect(cancels[number]).to_be_focused()
    # The last one comes to be the first, so that the others move.
    cancels[1].focus()
    change("runs", **run(3, state="started", place=None, started=5.0))
    expect(panel.under_way().first).to_contain_text("run 3")
    expect(cancels[1]).to_be_focused()
    # A run that ends stands in another list, and has nothing to cancel any more.
    change("runs", **run(1, state="ok", final=True, place=None, seconds=2.0))
    expect(panel.whole.get_by_role("list", name="Ended")).to_contain_text("run 1")
    expect(rows[1].locator(".macgpu-Run-name")).to_be_focused()
    drain = panel.mac("mac-1").get_by_role("button", name="take nothing new")
    drain.focus()
    change("hosts", **host("mac-1", "slow", reason="no answer"))
    expect(panel.mac("mac-1")).to_contain_text("slow")
    expect(drain).to_be_focused()
