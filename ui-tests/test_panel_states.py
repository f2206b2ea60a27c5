"""What the panel shows of every state. The stream is played; all else is real."""

from __future__ import annotations

import pytest
from book import Front
from panel import LONG
from played import host, play, run, schedule
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


@pytest.mark.parametrize("theme", ["light", "dark", "contrast", "forced colours"])
def test_a_state_is_a_word_and_not_only_a_colour(fleet_lab: Front, theme: str) -> None:
    hosts = [host(f"mac-{state}", state, reason=f"why {state}") for state in STATES]
    runs = [run(0), run(1, state="started", started=5), run(2, state="error", final=True)]
    panel, _ = play(fleet_lab, hosts, runs, schedules=[schedule("1")])
    if theme == "forced colours":
        panel.book.page.emulate_media(forced_colors="active", color_scheme="dark")
    else:
        panel.book.theme(theme)
    for state, word in STATES.items():
        expect(panel.mac(f"mac-{state}")).to_contain_text(word, timeout=LONG)
        expect(panel.mac(f"mac-{state}")).to_contain_text(f"why {state}")
    assert panel.book.violations("#macgpu-panel") == []
    panel.book.screenshot(f"panel-states-{theme.partition(' ')[0]}")
