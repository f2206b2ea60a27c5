"""The one line of a run, as a reader sees it change: always one line, at last what it cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from book import LOAD, Book, Front
from held import Held
from jupyter_server_process import JupyterServer
from playwright.sync_api import TimeoutError

from jupyter_macgpu.simulation.fleet import SimulatedFleet
from tests.faults.relay import Toxics
from tests.faults.tcp_relay import TcpRelay

HOST = "sim-m4"
#: Bytes a second over the line to the host, once it is slow; and what is sent and brought.
RATE, SIZE = 500_000.0, 1_000_000
#: Notes each reading of the lines in a cell's output, and how high the line then is.
WATCH = """cell => {
    const seen = window.seenLines = [];
    const look = () => {
        for (const node of cell.querySelectorAll('.jp-RenderedHTMLCommon > div')) {
            const text = node.textContent;
            if (text.startsWith('macgpu:') && text !== seen.at(-1)?.text) {
                const height = node.getBoundingClientRect().height;
                seen.push({ text, rows: height / parseFloat(getComputedStyle(node).lineHeight) });
            }
        }
    };
    new MutationObserver(look).observe(cell, {
        childList: true, subtree: true, characterData: true
    });
}"""


@pytest.fixture(scope="module")
def line(macs: SimulatedFleet) -> Iterator[TcpRelay]:
    """Return the line to one simulated Mac."""
    if macs.why_local:
        pytest.skip(macs.why_local)
    relay = TcpRelay(("127.0.0.1", macs[HOST].entry["port"]))
    yield relay
    relay.close()


@pytest.fixture(scope="module")
def kernel(server: JupyterServer, macs: SimulatedFleet, line: TcpRelay) -> str:
    """Return a kernel whose only host is that Mac."""
    file = macs.folder / "slow.yaml"
    file.touch(mode=0o600)
    entry = {**macs[HOST].entry, "port": line.port}
    file.write_text(json.dumps({"version": 1, "hosts": {HOST: entry}}))
    return server.kernel("slow-line", MACGPU_FLEET=str(file))


@pytest.fixture(autouse=True)
def quick_again(line: TcpRelay) -> Iterator[None]:
    """Leave the line as quick as it was."""
    yield
    line.toxics = Toxics()


def watched(book: Book, number: int) -> None:
    """Note the readings of a cell's line from now on; see `readings`."""
    book.cell(number).evaluate(WATCH)


def readings(book: Book) -> list[str]:
    """Return what the line has read, in order, having seen that it was always one line."""
    seen = book.page.evaluate("window.seenLines")
    assert [each for each in seen if each["rows"] > 1.5] == []
    return [each["text"].removeprefix("macgpu: ") for each in seen]


def wait_for_reading(book: Book, pattern: str) -> None:
    """Wait until the line has read something."""
    try:
        book.page.wait_for_function(
            "pattern => window.seenLines.some(each => RegExp(pattern).test(each.text))",
            arg=pattern.replace("^", "^macgpu: "),
            timeout=60_000,
        )
    except TimeoutError:
        pytest.fail(f"no reading was {pattern}: {readings(book)}")


def test_the_line_goes_through_all_states(
    front: Front, kernel: str, line: TcpRelay, tmp_path: Path
) -> None:
    first = Held(tmp_path, magic="%%macgpu --detach", name="first")
    second = Held(tmp_path, magic="%%macgpu --detach --again", name="second")
    itself = Held(tmp_path, magic="%%macgpu -i data", then="back = data[::-1]", name="itself")
    cells = [
        LOAD,
        "%macgpu config progress=on\ndata = __import__('os').urandom(1_000_000)",
        *(held.source for held in (first, second, itself)),
    ]
    after = {"waiting": first, "waiting-next": second, "running": itself}
    book = front.open(cells, kernel=kernel)
    for number in range(4):
        book.run(number)
    line.toxics = Toxics(bandwidth=RATE)
    watched(book, 4)
    book.start(4)
    stages = {
        "sending": rf"^sending to {HOST}: [\d.]+ [KM]iB of 977 KiB, [\d.]+ KiB/s$",
        "waiting": r"^waiting for a free slot, 1 before this one",
        "waiting-next": r"^waiting for a free slot, next in line",
        "running": rf"^running on {HOST}: \d+ s",
        "returning": rf"^bringing back from {HOST}: [\d.]+ KiB of 977 KiB, [\d.]+ KiB/s$",
    }
    for name, pattern in stages.items():
        wait_for_reading(book, pattern)
        book.screenshot(f"progress-{name}-{front.app}", of=book.cell(4))
        if name in after:
            after[name].let_go()
    book.wait_idle()
    book.screenshot(f"progress-done-{front.app}")
    said = readings(book)
    places = [
        next(at for at, text in enumerate(said) if re.search(p, text)) for p in stages.values()
    ]
    assert places == sorted(places)
    assert re.match(rf"{HOST} \(simulated\): \d+\.\d s, .*peak", said[-1])
    assert [output["output_type"] for output in book.outputs(4)] == ["display_data", "stream"]


def test_a_cell_that_fails_and_one_that_is_stopped_say_so(front: Front, kernel: str) -> None:
    cells = [
        LOAD,
        "%macgpu config progress=on",
        "%%macgpu\nimport time\ntime.sleep(1)\n1 / 0",
        "%%macgpu\nimport time\ntime.sleep(600)",
    ]
    book = front.open(cells, kernel=kernel)
    book.run(0)
    book.run(1)
    watched(book, 2)
    book.run(2)
    assert re.match(rf"{HOST} \(simulated\): \d+\.\d s, error, .*peak$", readings(book)[-1])
    assert [each["output_type"] for each in book.outputs(2)] == ["display_data", "error"]
    watched(book, 3)
    book.start(3)
    wait_for_reading(book, rf"^running on {HOST}: \d+ s$")
    book.command("notebook:interrupt-kernel")
    book.wait_idle()
    assert re.match(rf"{HOST} \(simulated\): \d+\.\d s, cancelled, .*peak$", readings(book)[-1])
    assert book.outputs(3)[-1]["ename"] == "KeyboardInterrupt"
    book.screenshot(f"progress-failed-{front.app}")


def test_a_line_that_is_too_long_is_cut_off(lab: Front, kernel: str) -> None:
    book = lab.open([LOAD, "%macgpu config progress=on", "%%macgpu\n1"], kernel=kernel)
    book.page.set_viewport_size({"width": 520, "height": 600})
    watched(book, 2)
    book.run_all()
    assert readings(book)
    line = book.output(2).locator(".jp-RenderedHTMLCommon > div")
    assert line.evaluate("node => node.scrollWidth > node.clientWidth")
    book.screenshot("progress-narrow")
