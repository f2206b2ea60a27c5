"""Whatever hosts, runs, schedules and the server say in the panel: it is text, and nothing acts."""

from __future__ import annotations

import itertools
import json
from typing import Any

import nbformat
import pytest
from book import Front
from hostile import SCRIPT_LINKS, WORDS, Trap
from panel import LONG, Panel
from played import Stream, host, play, run, schedule
from playwright.sync_api import Locator, Page, Route, expect

#: Elements that the panel is made of, and of its icons.
EXPECTED = set(
    "button code dd div dl dt form g h3 input label li option p path polyline select span strong"
    " svg ul".split()
)
#: Of long lists only what one may see is drawn; here one sees all, that every word is drawn.
SEES_ALL = """window.IntersectionObserver = class {
    constructor(told) { this._told = told; }
    observe(target) {
        const boundingClientRect = target.getBoundingClientRect();
        this._told([{ target, boundingClientRect, isIntersecting: true }], this);
    }
    unobserve() {}
    disconnect() {}
    takeRecords() { return []; }
};"""
#: Of all that words might be, the events by which they would act when somebody passes by.
PASSES = """area => {
    for (const element of [area, ...area.querySelectorAll('*')]) {
        for (const name of ['mouseover', 'focus', 'toggle', 'animationstart', 'load', 'error']) {
            element.dispatchEvent(new Event(name));
        }
    }
}"""
ELEMENTS = "area => [...new Set([...area.querySelectorAll('*')].map(each => each.localName))]"
HANDLERS = """area => [...area.querySelectorAll('*')].flatMap(each => [...each.attributes])
    .filter(each => each.name.startsWith('on') || each.name === 'autofocus').length"""
#: One after the other, so that each says its word.
PRESS = "(area, name) => area.querySelectorAll(name).forEach(each => each.click())"
#: Cancel one run after the other, and think better of it: what each question says, and is made of.
DIALOGS = """async () => {
    const found = [];
    const until = async isSo => {
        while (!isSo()) { await new Promise(requestAnimationFrame); }
    };
    const question = () => document.querySelector('.jp-Dialog');
    for (const button of document.querySelectorAll("button[aria-label='Cancel r']")) {
        button.click();
        await until(question);
        const body = question().querySelector('.jp-Dialog-body');
        found.push([body.textContent, [...body.querySelectorAll('*')].map(each => each.localName)]);
        question().querySelector('.jp-mod-reject').click();
        await until(() => !question());
    }
    return found;
}"""
NUMBERS = range(len(WORDS))


class Answers:
    """What the server half answers: each time another word."""

    def __init__(self) -> None:
        self._words = itertools.cycle(WORDS)

    def prepare(self, page: Page) -> None:
        """Answer all that is asked of the server half beside its version."""
        Trap(page)
        page.add_init_script(SEES_ALL)
        page.route("**/macgpu/api/v1/**", self._answer)

    def _answer(self, route: Route) -> None:
        path = route.request.url.partition("/api/v1/")[2]
        if path.startswith(("version", "stream")):
            route.continue_()
        elif path.startswith("values"):
            values = [{"name": w, "type": w, "size": 1, "host": w} for w in WORDS]
            unknown = [{"host": w, "reason": w} for w in WORDS]
            said = {"values": values, "left_out": 0, "unknown": unknown}
            route.fulfill(content_type="application/json", body=json.dumps(said))
        else:
            said = {"message": next(self._words), "reason": "", "hint": ""}
            route.fulfill(status=409, content_type="application/json", body=json.dumps(said))


def hosts() -> list[dict[str, Any]]:
    rows = []
    for word in WORDS:
        holder = {"login": word, "since": 1, "mem": 1, "kind": word, "place": 1}
        more = {"reason": word, "chip": word, "system": word, "trust": word, "python": word}
        more |= {"labels": {word: word}, "taints": [word], "transport": word}
        rows.append(host(word, "ready", holders=[holder], **more))
        rows.append(host(f"{word} too", word, **more))
    return rows


def live(path: str, cells: list[str]) -> list[dict[str, Any]]:
    return [
        run(number, name=word, host=word, reason=word, notebook=path, cell=cell, state=word)
        for number, (word, cell) in enumerate(zip(WORDS, cells, strict=True))
    ]


def ended() -> list[dict[str, Any]]:
    rows = []
    for number, word in enumerate(WORDS, len(WORDS)):
        more = {"notebook": word, "moved": {"host": word}, "final": True, "state": "cancelled"}
        rows.append(run(number, name="", host=word, reason=word, **more))
    return rows


def schedules() -> list[dict[str, Any]]:
    rows = []
    for number, word in enumerate(WORDS):
        last = {"state": "error", "at": 1.7e9, "seconds": 1, "output": word, "message": word}
        now = {"started": 1.7e9, "cell": 1, "cells": 2, "host": word, "run": None, "output": word}
        more = {"cron": word, "on": word, "awaits": [{"run": word[:8], "host": word}]}
        state = {"now": now, "state": "running"} if number % 2 else {}
        rows.append(schedule(f"{number}", path=word, last=last, **more, **state))
    return rows


def shown(area: Locator, times: int = 1) -> None:
    """See that every word stands somewhere as text, so often at least."""
    text = " ".join((area.text_content() or "").split())
    missing = [word for word in WORDS if text.count(" ".join(word.split())) < times]
    assert missing == []


def harmless(area: Locator) -> None:
    """See that nothing in a part of the page is made of a word."""
    assert set(area.evaluate(ELEMENTS)) <= EXPECTED
    assert area.evaluate(HANDLERS) == 0
    assert area.evaluate(SCRIPT_LINKS) == 0
    area.evaluate(PASSES)


@pytest.fixture
def opened(fleet_lab: Front) -> tuple[Panel, Stream, Trap]:
    """Return the panel with each word in each of its fields."""
    answers = Answers()
    panel, stream = play(
        fleet_lab,
        hosts(),
        ended(),
        cells=WORDS,
        before=answers.prepare,
        schedules=schedules(),
        problems=WORDS,
    )
    trap = Trap(panel.book.page)
    file = panel.book.file
    cells = [str(cell.id) for cell in nbformat.read(file, as_version=4).cells]
    expect(panel.whole.locator(".macgpu-Card")).to_have_count(2 * len(WORDS), timeout=LONG)
    stream.say(type="runs", revision=2, runs=live(file.name, cells), gone=[])
    expect(panel.under_way()).to_have_count(len(WORDS), timeout=LONG)
    return panel, stream, trap


def test_what_stands_in_the_panel_is_text(opened: tuple[Panel, Stream, Trap]) -> None:
    panel, _, trap = opened
    panel.whole.get_by_role("button", name="Show all").first.click()
    panel.whole.get_by_role("button", name="Show all").first.click()
    panel.whole.evaluate(PRESS, ".macgpu-Run-name")
    for name in ("Run the selected cell…", "Run the whole notebook…"):
        panel.press(name)
        panel.whole.get_by_label("When").select_option("after")
        harmless(panel.whole)
        shown(panel.whole, 20)
        panel.whole.get_by_role("button", name="Close", exact=True).click()
    panel.book.screenshot("panel-hostile")
    assert trap.sprung() == []


def test_what_is_announced_is_text(opened: tuple[Panel, Stream, Trap]) -> None:
    panel, stream, trap = opened
    page = panel.book.page
    panel.whole.evaluate(PRESS, ".macgpu-Card button[aria-label$='take nothing new']")
    for word in WORDS:
        stream.say(type="problem", message=word, reason="", hint="")
    rows = [run(number, name=WORDS[number], host="a", state="lost") for number in NUMBERS]
    for row in rows:
        stream.say(type="runs", revision=3, runs=[{**row, "final": True}], gone=[])
    panel.book.command("apputils:display-notifications")
    center = page.locator(".jp-Notification-Center")
    expect(center.get_by_role("listitem")).to_have_count(3 * len(WORDS), timeout=LONG)
    shown(center, 3)
    assert center.evaluate(HANDLERS) == 0
    assert center.evaluate(SCRIPT_LINKS) == 0
    center.evaluate(PASSES)
    assert trap.sprung() == []


def test_what_is_asked_and_listed_elsewhere_is_text(opened: tuple[Panel, Stream, Trap]) -> None:
    panel, stream, trap = opened
    page = panel.book.page
    rows = [run(number, name="r", host=WORDS[number], state="started") for number in NUMBERS]
    stream.say(type="runs", revision=3, runs=rows, gone=[])
    cancel = panel.under_way().filter(has_text="running").get_by_role("button", name="Cancel r")
    expect(cancel).to_have_count(len(WORDS), timeout=LONG)
    dialogs = page.evaluate(DIALOGS)
    asked = {
        text.removeprefix("It is running on ").partition(". What it has")[0] for text, _ in dialogs
    }
    assert asked == set(WORDS)
    assert all(elements == [] for _, elements in dialogs)
    panel.book.command("running:show-panel")
    running = page.locator("#jp-running-sessions")
    expect(running).to_contain_text(f"{WORDS[-1]}: running", timeout=LONG)
    shown(running)
    assert running.evaluate(HANDLERS) == 0
    assert running.evaluate(SCRIPT_LINKS) == 0
    assert trap.sprung() == []
