"""What a run's line reads, when; and what its report says."""

from __future__ import annotations

import pytest

from jupyter_macgpu.progress import Progress
from jupyter_macgpu.report import lasting, report_of
from jupyter_macgpu.wire.usage import Usage, to_json

BUSY = Usage(gpu_mean=0.853, gpu_peak=0.98, memory_peak_bytes=3 * 2**30)


def report(state="ok", seconds=12.4, usage=BUSY, **more):
    summary = {"timings": {"load": 0.1, "run": seconds, "dump": 0.2}, "usage": to_json(usage)}
    return report_of("ab" * 16, "studio-1", state, summary, **more)


def test_a_short_run_says_nothing() -> None:
    line = Progress(0.0)
    line.placed("studio-1")
    assert line.started(0.1, Usage()) is None
    assert line.tick(1.9) is None
    assert line.ended(report(seconds=1.5), 1.9) is None


def test_a_long_run_says_where_and_how_long_and_changes_no_more_than_twice_a_second() -> None:
    line = Progress(0.0)
    line.placed("studio-1")
    line.started(0.5, Usage())
    assert line.tick(2.1) == "running on studio-1: 1 s"
    assert line.tick(2.2) is None
    assert line.started(3.6, BUSY) == "running on studio-1: 3 s, GPU 85% (peak 98%), 3 GiB peak"
    assert line.tick(3.9) is None
    assert line.ended(report(), 12.9) == "studio-1: 12.4 s, GPU 85% (peak 98%), 3 GiB peak"


def test_waiting_is_said_at_once_and_how_long_it_was_at_the_end() -> None:
    line = Progress(0.0)
    assert line.waiting("waiting, next in line", 0.0) == "waiting, next in line"
    assert line.waiting("waiting, next in line", 1.0) is None
    assert line.tick(2.5) is None
    line.placed("studio-1")
    assert line.started(5.0, Usage()) == "running on studio-1: 0 s"
    assert line.ended(report(seconds=0.2, steps={"wait": 5.0}), 5.3) == (
        "studio-1: 0.2 s, GPU 85% (peak 98%), 3 GiB peak, waited 5 s"
    )


def test_bytes_on_their_way_have_a_rate() -> None:
    line = Progress(0.0)
    line.placed("studio-1")
    assert line.moved("ship", 0, 2**30, 1.0) is None
    assert line.moved("ship", 2**29, 2**30, 5.0) == (
        "sending to studio-1: 512 MiB of 1 GiB, 128 MiB/s"
    )
    assert line.moved("bring", 2**20, 2**21, 6.0) == "bringing back from studio-1: 1 MiB of 2 MiB"


@pytest.mark.parametrize("mode", ["on", "off"])
def test_it_can_be_silenced_and_made_to_speak(mode: str) -> None:
    line = Progress(0.0, mode)
    line.placed("studio-1")
    first = line.started(0.1, Usage())
    assert (first is None) == (mode == "off")
    assert (line.ended(report(), 0.2) is None) == (mode == "off")


def test_a_silenced_line_says_what_a_cell_waits_for_and_that_it_waits_no_more() -> None:
    line = Progress(0.0, "off")
    assert line.waiting("waiting", 0.0) == "waiting"
    assert line.started(4.0, Usage()) is None
    assert line.ended(report(), 9.0) == "waited 9 s for a free slot"


def test_fallbacks_are_worth_a_line_of_a_short_run() -> None:
    usage = Usage(fallbacks=("aten::a", "aten::b"))
    said = Progress(0.0).ended(report(seconds=0.1, usage=usage), 0.2)
    assert said == "studio-1: 0.1 s, aten::a and 1 more ran on the CPU"


def test_what_was_not_sent_is_worth_a_word_if_it_is_much() -> None:
    assert report(reused=2_000_000).line().endswith(", 1.91 MiB there from before")
    assert "before" not in report(reused=900_000).line()
    assert "before" in str(report(reused=900_000))


def test_a_report_names_what_is_known_and_nothing_else() -> None:
    text = str(report(chip="m2-ultra", simulated=True, shipped=5, steps={"ship": 0.5}))
    assert "m2-ultra (simulated)" in text
    assert "sending" in text
    assert "CUDA" not in text
    assert "5 bytes" in text
    plain = report(state="error").to_json()
    assert plain["state"] == "error"
    assert "joules" not in str(plain)


def test_a_hosts_words_are_text() -> None:
    said = report_of(
        "r", "<img src=x onerror=alert(1)>", "ok\x1b[31m", {"usage": {"heat": "<b>hot</b>"}}
    )
    assert "<b>" not in said._repr_html_()
    assert "<img" not in said._repr_html_()
    assert "\x1b" not in said.line() + str(said)


def test_lengths_of_time_read_well() -> None:
    spans = [lasting(each) for each in (0.0124, 0.5, 119.96, 125, 7300)]
    assert spans == ["12.4 ms", "0.5 s", "120.0 s", "2 min 5 s", "2 h 1 min"]
