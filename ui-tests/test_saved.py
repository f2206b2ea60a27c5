"""What a notebook shows: alive, and saved and opened again where it has no kernel."""

from __future__ import annotations

import re

from book import LOAD, Book, Front
from playwright.sync_api import expect

CELLS = [
    LOAD,
    "%%macgpu --on sim-m4\nimport time\ntime.sleep(2.2)\nprint('counted to', 3)",
    "%%macgpu --on sim-m4 --detach --as night\nresult = 41\nprint('at night')",
    "night = _\nnight.result()\nnight",
    "%%macgpu --on sim-m4 --sweep lr=0.1,0.01 seed=0..1\nloss = lr * (seed + 1)\nloss",
    "sweep = _\nsweep.wait()\nsweep",
    "%macgpu status",
    "%macgpu runs",
    "%macgpu report night",
    "%macgpu where",
    "%%macgpu --on sim-m4\nraise ValueError('no such <b>layer</b>')",
    "%macgpu why night",
    "%macgpu describe sim-m4",
    "%macgpu doctor sim-m4",
]
LINE, NIGHT, SWEEP, STATUS, RUNS, REPORT, WHERE, FAILED, WHY, HOST, DOCTOR = 1, 3, *range(5, 14)
#: Width of a page in which little of a notebook has room.
NARROW = 760
#: Tables that are wider than the place for them.
WIDER = """area => [...area.querySelectorAll('table')]
    .filter(each => each.offsetWidth > each.closest('.jp-OutputArea-output').clientWidth).length"""


def texts(book: Book) -> list[str]:
    """Return what a reader sees below each cell."""
    return [book.output(number).inner_text().strip() for number in range(len(CELLS))]


def rows(book: Book, number: int) -> list[list[str]]:
    """Return the cells of the last table below a cell, row by row."""
    found = book.output(number).locator("table").last.locator("tr").all()
    return [row.locator("th, td").all_inner_texts() for row in found]


def test_what_is_shown_reads_well_alive_and_saved(front: Front, on_macs: str) -> None:
    book = front.open(CELLS, kernel=on_macs)
    for number in range(len(CELLS)):
        book.run(number)
    expect(book.output(LINE)).to_contain_text(re.compile(r"sim-m4 \(simulated\): \d+\.\d s"))
    expect(book.output(NIGHT)).to_contain_text(re.compile(r"night on sim-m4: done \d+ s ago"))
    head, *runs = rows(book, SWEEP)
    assert head == ["lr", "seed", "state", "host", "seconds"]
    assert [run[:4] for run in runs] == [
        [lr, seed, "ok", "sim-m4"] for lr in ("0.1", "0.01") for seed in ("0", "1")
    ]
    assert [row[1] for row in rows(book, STATUS)] == ["state", "ready", "ready", "ready"]
    assert "night" in [row[1] for row in rows(book, RUNS)]
    assert ["ended", "ok"] in rows(book, REPORT)
    assert rows(book, WHERE)[0] == rows(book, WHY)[0] == ["place", "host", "points", "why"]
    assert len(rows(book, WHERE)) == 4
    expect(book.output(HOST)).to_contain_text("telemetry: memory")
    assert ["ok", "interpreter"] in [row[:2] for row in rows(book, DOCTOR)]
    expect(book.output(FAILED)).to_contain_text("ValueError: no such <b>layer</b>")
    for theme in ("dark", "light"):
        book.theme(theme)
        assert book.violations() == []
        book.cell(RUNS).scroll_into_view_if_needed()
        book.screenshot(f"shown-{theme}-{front.app}")
        for name, number in (("where", WHERE), ("describe", HOST), ("doctor", DOCTOR)):
            book.screenshot(f"{name}-{theme}-{front.app}", of=book.output(number))
    wide = book.page.viewport_size
    assert wide is not None
    book.page.set_viewport_size({"width": NARROW, "height": wide["height"]})
    for name, number in (("where", WHERE), ("describe", HOST), ("doctor", DOCTOR)):
        book.screenshot(f"{name}-narrow-{front.app}", of=book.output(number))
        assert book.output(number).evaluate(WIDER) == 0
    book.page.set_viewport_size(wide)
    book.save()
    before = texts(book)
    for trusted in (True, False):
        again = front.reopen(book, trusted=trusted)
        assert set(again.trusted()) == {trusted}
        assert texts(again) == before
        again.screenshot(f"saved-{'trusted' if trusted else 'untrusted'}-{front.app}")


def test_axe_is_there_and_finds_what_is_wrong(lab: Front) -> None:
    pale = "<p style='color: #ccc; background: #fff'>pale</p>"
    book = lab.open([f"from IPython.display import HTML\nHTML({pale!r})"])
    book.run_all()
    (found,) = book.violations()
    assert found.startswith("color-contrast")
