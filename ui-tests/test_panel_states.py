"""What the panel shows of fleets that cannot be had here: every state, and very many Macs and runs.

The stream is played; all else is real. Times of frames are measured where they are asked for.
"""

from __future__ import annotations

import os

import pytest
from book import Front
from panel import LONG
from played import host, play, run
from playwright.sync_api import expect

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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_state_is_a_word_and_not_only_a_colour(fleet_lab: Front, theme: str) -> None:
    hosts = [host(f"mac-{state}", state, reason=f"why {state}") for state in STATES]
    panel, _ = play(fleet_lab, hosts, [])
    panel.book.theme(theme)
    for state, word in STATES.items():
        expect(panel.mac(f"mac-{state}")).to_contain_text(word, timeout=LONG)
        expect(panel.mac(f"mac-{state}")).to_contain_text(f"why {state}")
    assert panel.book.violations("#macgpu-panel") == []
    panel.book.screenshot(f"panel-states-{theme}")


def test_very_many_macs_and_runs_are_listed(fleet_lab: Front) -> None:
    hosts = [host(f"mac-{number}", "ready") for number in range(200)]
    runs = [run(number) for number in range(1000)]
    panel, _ = play(fleet_lab, hosts, runs)
    expect(panel.under_way()).to_have_count(1000, timeout=LONG)
    expect(panel.whole.locator(".macgpu-Card")).to_have_count(200)
    if os.environ.get("MACGPU_FRAMES"):
        middle, late, worst = panel.book.page.evaluate(FRAMES)
        print(f"frames in ms: median {middle:.1f}, 95 % {late:.1f}, worst {worst:.1f}")
