"""What the panel shows of fleets that cannot be had here: every state, and very many Macs and runs.

The stream is played; all else is real. Times of frames are measured where they are asked for.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from book import Front
from panel import LONG, Panel
from playwright.sync_api import WebSocketRoute, expect

STATES = {
    "ready": "ready",
    "busy": "busy",
    "draining": "draining",
    "slow": "slow to answer",
    "asleep": "asleep",
    "unreachable": "unreachable",
    "refused": "refused us",
    "unusable": "unusable",
    "unknown": "not asked yet",
}
LANE = {"slots": 1, "running": 1, "queued": 2, "wait": 60}
MEMORY = {"total": 64e9, "free": 20e9, "ours": 24e9, "others": 20e9, "limit": None}
FRAMES = """async () => {
    const list = document.querySelector('#macgpu-panel .macgpu-Runs').closest('.macgpu-Section');
    const frames = [];
    let last = performance.now();
    for (let frame = 0; frame < 120; frame += 1) {
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        frames.push(now - last);
        last = now;
        list.scrollTop += 40;
    }
    frames.sort((a, b) => a - b);
    return [frames[60], frames[114], frames[119]];
}"""


def host(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "transport": "ssh", "state": state, "reason": "", "age": 100.0,
        "chip": "M2 Ultra", "simulated": False, "system": "macOS 15.1", "python": "3.12",
        "gpu": 0.5, "gpu_taken": None, "memory": MEMORY, "heat": 0, "watts": 20.0,
        "owner_present": None, "idle": None, "battery": {"on": None, "charge": None},
        "lanes": {"gpu": LANE, "cpu": LANE}, "holders": [], "labels": {}, "taints": [],
        "gpu_test": True, "trust": "full", **more,
    }  # fmt: skip


def run(number: int, **more: Any) -> dict[str, Any]:
    return {
        "run": f"{number:032x}", "name": f"run {number}", "host": "mac-0", "state": "queued",
        "place": number, "wait": 60.0 * number, "age": 5.0, "started": None, "seconds": None,
        "notebook": "a.ipynb", "cell": "", "detached": True, "priority": 0, "after": [],
        "reason": "", "final": False, "moved": {}, "kept": None, "collected": False,
        "cancelling": False, "mine": True, **more,
    }  # fmt: skip


def play(front: Front, hosts: list[dict[str, Any]], runs: list[dict[str, Any]]) -> Panel:
    """Open a notebook and the panel, with a stream that tells of this fleet."""
    routes: list[WebSocketRoute] = []
    told = {"type": "snapshot", "revision": 1, "version": "0.1.0", "hosts": hosts, "runs": runs}
    told |= {"schedules": [], "problems": [], "user": "me"}

    def begin(route: WebSocketRoute) -> None:
        routes.append(route)
        route.send(json.dumps(told))

    book = front.open(["1"], before=lambda page: page.route_web_socket("**/stream*", begin))
    return Panel(book)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_state_is_a_word_and_not_only_a_colour(fleet_lab: Front, theme: str) -> None:
    hosts = [host(f"mac-{state}", state, reason=f"why {state}") for state in STATES]
    panel = play(fleet_lab, hosts, [])
    panel.book.theme(theme)
    for state, word in STATES.items():
        expect(panel.mac(f"mac-{state}")).to_contain_text(word, timeout=LONG)
        expect(panel.mac(f"mac-{state}")).to_contain_text(f"why {state}")
    assert panel.book.violations("#macgpu-panel") == []
    panel.book.screenshot(f"panel-states-{theme}")


def test_very_many_macs_and_runs_are_listed(fleet_lab: Front) -> None:
    hosts = [host(f"mac-{number}", "ready") for number in range(200)]
    runs = [run(number) for number in range(1000)]
    panel = play(fleet_lab, hosts, runs)
    expect(panel.under_way()).to_have_count(1000, timeout=LONG)
    expect(panel.whole.locator(".macgpu-Card")).to_have_count(200)
    if os.environ.get("MACGPU_FRAMES"):
        middle, late, worst = panel.book.page.evaluate(FRAMES)
        print(f"frames in ms: median {middle:.1f}, 95 % {late:.1f}, worst {worst:.1f}")
