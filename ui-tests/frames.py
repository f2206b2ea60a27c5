"""How long frames take while a panel with very many Macs and runs is scrolled and much changes.

``python ui-tests/frames.py FOLDER --hosts 200 --runs 1000 --rounds 3``: prints one JSON object. It
is a process of its own, as the browser tests are; ``make bench ONLY=frames`` runs it. JupyterLab,
the panel and the browser are real; only what the server half would tell is played.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import chromium
from book import LAB, Front
from jupyter_server_process import JupyterServer
from panel import LONG, Panel
from played import host, play, run
from playwright.sync_api import Page, expect, sync_playwright

#: Macs and runs of a panel that is measured in turn with the large one, for comparison.
FEW = (3, 30)
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
    window.uiTestsFlow = setInterval(() => {
        revision += 1;
        const first = revision * 20 % runs.length;
        const changed = runs.slice(first, first + 20);
        hear({ type: 'runs', gone: [],
               runs: changed.map(run => ({ ...run, priority: revision % 5 })) });
        hear({ type: 'metrics', at: Date.now() / 1000,
               hosts: Object.fromEntries(hosts.map(host => [host.name, load()])) });
    }, 100);
}"""
REST = "() => clearInterval(window.uiTestsFlow)"
#: Scrolls a section from its top, and returns how many milliseconds each frame took.
FRAMES = """async section => {
    const frames = [];
    section.scrollTop = 0;
    await new Promise(requestAnimationFrame);
    let last = performance.now();
    for (let frame = 0; frame < 240; frame += 1) {
        section.scrollTop += 40;
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        frames.push(now - last);
        last = now;
    }
    return frames;
}"""


class Crowd:
    """A panel with so many Macs and runs, of which much changes while it is measured."""

    def __init__(self, front: Front, hosts: int, runs: int) -> None:
        def prepare(page: Page) -> None:
            page.add_init_script(KEEP)

        self._rows = [run(number) for number in range(runs)]
        self._macs = [host(f"mac-{number}", "ready") for number in range(hosts)]
        self._panel, _ = play(front, self._macs, self._rows, before=prepare)
        expect(self._panel.under_way()).to_have_count(runs, timeout=LONG)
        self._page = self._panel.book.page
        self._frames: dict[str, list[float]] = {"Macs": [], "Runs": []}

    def scroll(self) -> None:
        """Scroll through both sections once; the page is in front meanwhile."""
        self._page.bring_to_front()
        self._page.evaluate(FLOW, [self._rows, self._macs])
        for kind, frames in self._frames.items():
            frames += section(self._panel, kind).evaluate(FRAMES)
        self._page.evaluate(REST)

    def found(self) -> dict[str, Any]:
        """Return the frames of each section, and how many elements the panel has."""
        return {"frames": self._frames, "elements": self._panel.whole.locator("*").count()}


def section(panel: Panel, kind: str) -> Any:
    """Return the section of the panel that scrolls Macs or runs."""
    inside = panel.book.page.locator(f".macgpu-{kind}")
    return panel.whole.locator(".macgpu-Section").filter(has=inside)


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="an empty folder, for the server")
    for name, number in (("--hosts", 200), ("--runs", 1000), ("--rounds", 3)):
        parser.add_argument(name, type=int, default=number)
    asked = parser.parse_args()
    if why := chromium.why_none():
        print(json.dumps({"left out": why}))
        return
    expect.set_options(timeout=LONG)
    own = {
        "MACGPU_STATE": str(asked.folder / "state"),
        "XDG_CONFIG_HOME": str(asked.folder / "xdg"),
    }
    server = JupyterServer(asked.folder / "jupyter", own)
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=chromium.find(), args=chromium.ARGUMENTS
            )
            context = browser.new_context(viewport={"width": 1200, "height": 1400})
            front = Front(LAB, server, context)
            crowds = {"many": Crowd(front, asked.hosts, asked.runs), "few": Crowd(front, *FEW)}
            for _ in range(asked.rounds):
                for crowd in crowds.values():
                    crowd.scroll()
            found = {name: crowd.found() for name, crowd in crowds.items()}
            front.close()
            print(json.dumps({**found, "browser": browser.version}))
            browser.close()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
