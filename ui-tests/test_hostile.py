"""Whatever hosts and cells say of themselves: in a browser it is text, and nothing of it acts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from book import LOAD, Book, Front
from hostile import SCRIPT_LINKS, WORDS, Trap
from jupyter_server_process import JupyterServer

from jupyter_macgpu.wire.plain import plain_line

HERE = Path(__file__).parent
#: Elements that the product and the front end make of text.
EXPECTED = set("a code div pre span table tbody td th thead tr wbr".split())
ELEMENTS = """area => [...area.querySelectorAll('.jp-OutputArea-output *')]
    .map(each => each.localName)"""
SAYS = """%%macgpu --as said
import sys
for word in WORDS:
    print(word)
    print(word, file=sys.stderr)
    if '/' not in word:
        open(word, 'w').close()
WORDS"""
RAISES = """%%macgpu
class Hostile(Exception):
    pass
raise Hostile('\\n'.join(WORDS))"""
SWEEPS = """%%macgpu --sweep at=0..1 -o said -i WORDS
said = WORDS[at::2]
print(*said, sep='\\n')"""


@pytest.fixture(scope="module")
def kernel(server: JupyterServer) -> str:
    """Return a kernel that finds `hostile_fields`."""
    return server.kernel("hostile", PYTHONPATH=str(HERE), MACGPU_INSTANCE="hostile")


@pytest.fixture
def trapped(front: Front, kernel: str) -> Iterator[Book]:
    """Return a notebook with a trap for what a hostile word does; nothing may be in it."""
    book = front.open([LOAD, "from hostile_fields import *"], kernel=kernel)
    trap = Trap(book.page)
    book.run_all()
    yield book
    assert trap.sprung() == []


def shown_as_text(book: Book, number: int, times: int = 1, words: Sequence[str] = WORDS) -> None:
    """See that a cell shows every word, so often at least, and has no element of theirs."""
    area = book.output(number)
    text = " ".join(area.inner_text().split())
    missing = [word for word in words if text.count(plain_line(word)) < times]
    assert missing == [], f"cell {number}"
    assert set(area.evaluate(ELEMENTS)) <= EXPECTED
    assert area.evaluate(SCRIPT_LINKS) == 0


def test_what_hosts_say_of_themselves_is_text(trapped: Book) -> None:
    cells = [
        "lines()",
        "reports()",
        "%%macgpu --detach\n1",
        "runs(_)",
        "lists()",
        "texts('this-machine')",
    ]
    for source in cells:
        trapped.add(source)
    for number in range(2, 2 + len(cells)):
        trapped.run(number)
    for number, times in ((2, 5), (3, 5), (5, 5), (6, 6), (7, 6)):
        shown_as_text(trapped, number, times)


def test_what_a_cell_says_is_text(trapped: Book) -> None:
    for source in (SAYS, "%macgpu files", "%macgpu logs said", RAISES, SWEEPS, "sweep(_)"):
        trapped.add(source)
    for number in range(2, 8):
        trapped.run(number)
    for number in (2, 4, 5, 7):
        shown_as_text(trapped, number)
    # A long name of a file is cut off there.
    files = [word for word in WORDS if "/" not in word and len(word) < 50]
    shown_as_text(trapped, 3, words=files)
