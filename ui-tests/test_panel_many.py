"""Very many Macs and runs in the panel: only what one may see is drawn.

With ``MACGPU_FRAMES=1`` and ``-s`` how long frames take is printed too.
"""

from __future__ import annotations

import json
import os
from typing import Any

from book import Front
from panel import LONG, Panel
from played import host, play, run
from playwright.sync_api import Locator, Page, expect

#: Elements of the panel whatever its fleet: beside the 1,200 rows themselves, those of a few.
MOST = 4000
#: Keeps the page's end of the stream.
KEEP = """
    const Real = window.WebSocket;
    window.WebSocket = class extends Real {
        constructor(url, ...more) {
            super(url, ...more);
            if (String(url).includes('macgpu/api/v1/stream')) {
                window.uiTestsStream = this;
            }
        }
    };
"""
#: Has the page hear ten times a second of twenty runs that have changed and of all Macs' load.
FLOW = """([runs, hosts]) => {
    let revision = 2;
    const hear = told => window.uiTestsStream.dispatchEvent(
        new MessageEvent('message', { data: JSON.stringify({ revision, ...told }) }));
    const load = () => ({ gpu: Math.random(), memory_used: 1e9, watts: 9, running: 1, queued: 2 });
    setInterval(() => {
        revision += 1;
        const first = revision % 50 * 20;
        const changed = runs.slice(first, first + 20);
        hear({ type: 'runs', gone: [],
               runs: changed.map(run => ({ ...run, priority: revision % 5 })) });
        hear({ type: 'metrics', at: Date.now() / 1000,
               hosts: Object.fromEntries(hosts.map(host => [host.name, load()])) });
    }, 100);
}"""
#: Scrolls a section frame by frame, and returns how long each took, in milliseconds.
FRAMES = """async section => {
    const frames = [];
    let last = performance.now();
    for (let frame = 0; frame < 240; frame += 1) {
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        frames.push(now - last);
        last = now;
        section.scrollTop += 40;
    }
    return frames.sort((a, b) => a - b);
}"""


def elements(panel: Panel) -> int:
    return panel.whole.locator("*").count()


def come_to(row: Locator) -> None:
    """Scroll to a row until it is drawn: those before it are higher when they are."""
    while not row.get_by_role("button").count():
        row.scroll_into_view_if_needed()
        row.page.wait_for_timeout(50)


def measure(panel: Panel, hosts: list[dict[str, Any]], runs: list[dict[str, Any]]) -> None:
    """Print how long frames take while changes flow and a section is scrolled."""
    panel.book.page.evaluate(FLOW, [runs, hosts])
    for kind in ("Macs", "Runs"):
        inside = panel.book.page.locator(f".macgpu-{kind}")
        section = panel.whole.locator(".macgpu-Section").filter(has=inside)
        frames = section.evaluate(FRAMES)
        said = {"section": kind, "frames": len(frames), "elements": elements(panel)}
        said |= {"median_ms": frames[len(frames) // 2], "p95_ms": frames[len(frames) * 95 // 100]}
        print(json.dumps(said | {"worst_ms": frames[-1]}))


def test_of_many_macs_and_runs_only_those_in_sight_are_drawn(fleet_lab: Front) -> None:
    hosts = [host(f"mac-{number}", "ready") for number in range(200)]
    runs = [run(number) for number in range(1000)]

    def prepare(page: Page) -> None:
        page.add_init_script(KEEP)

    panel, stream = play(fleet_lab, hosts, runs, before=prepare)
    expect(panel.under_way()).to_have_count(1000, timeout=LONG)
    cards = panel.whole.locator(".macgpu-Card")
    expect(cards).to_have_count(200)
    last = panel.under_way().last
    for row in (panel.under_way().first, last, cards.last, panel.under_way().first):
        come_to(row)
    assert elements(panel) < MOST
    # What has the focus stays, however far away.
    name = panel.under_way().first.locator(".macgpu-Run-name")
    name.focus()
    come_to(last)
    expect(name).to_be_focused()
    stream.say(type="runs", revision=2, runs=[run(999, priority=4)], gone=[])
    expect(last).to_contain_text("priority 4")
    assert elements(panel) < MOST
    panel.book.screenshot("panel-many")
    if os.environ.get("MACGPU_FRAMES"):
        measure(panel, hosts, runs)
