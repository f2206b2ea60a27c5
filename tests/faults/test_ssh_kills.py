"""The line is killed again and again while cells write: nothing is lost and nothing runs twice.

``MACGPU_KILLS=200`` sets how many kills there are, over at least 50 kB of output each; a seed that
failed is tried again with ``MACGPU_SEED``.
"""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from pathlib import Path

import pytest

from . import invariants
from .assassin import Assassin
from .away import Away
from .cells import Flood
from .desk import Record, token

LEVEL = int(os.environ.get("MACGPU_KILLS", "30"))
SEED = int(os.environ.get("MACGPU_SEED", "0")) or secrets.randbelow(10**6)
#: Bytes of output for each kill.
BYTES = 50_000
#: Seconds that recovering may take, beside those after which a silent line counts as dead.
RECOVERY = 3.0

pytestmark = pytest.mark.timeout(300 + 4 * LEVEL)


def test_f05_f06_kills_of_the_line_while_cells_write(
    away: Away, tmp_path: Path, state: Path, impatient: None
) -> None:
    desk, relay, chance = away.desk, away.relay, random.Random(SEED)
    assert desk.run("pass").state == "ok"
    assassin = Assassin(
        {
            "reset": relay.reset,
            "silence": relay.blackhole,
            "cut at a byte": lambda: relay.cut_after(chance.randrange(20_000)),
        },
        SEED,
    )
    written, endings = 0, Counter[str]()
    assassin.start()
    try:
        while sum(assassin.done.values()) < LEVEL or written < LEVEL * BYTES:
            cell = Flood(
                token=token(), side=tmp_path / "executions", lines=chance.randrange(300, 20_000)
            )
            told = desk.run(cell.source)
            endings[told.state] += 1
            assert told.state == "ok", told.error
            invariants.never_twice(cell, told)
            invariants.nothing_lost(cell, told.record, whole=True)
            assert desk.namespace["notes"].count(cell.token) == 1
            written += len(cell.stdout())
    finally:
        assassin.stop()
        print(f"seed {SEED}: {dict(assassin.done)}, runs {dict(endings)}, {written} bytes")
    _as_others_see_it(away, told.run, cell)
    rows = desk.rows()
    assert all(row["state"] == "ok" for row in rows.values())
    assert len(rows) == endings["ok"] + 1
    desk.close()
    relay.hang_up()  # the dead lines, of which the server has not been told
    invariants.nothing_left(state, desk)


def _as_others_see_it(away: Away, run: str, cell: Flood) -> None:
    """Another notebook is shown the same."""
    other, again = away.another("other.ipynb"), Record()
    try:
        assert other.attach(run, again).state == "ok"
    finally:
        other.close()
    invariants.nothing_lost(cell, again, whole=True)


def test_recovery_is_quick_when_the_line_is_well_again(away: Away, tmp_path: Path) -> None:
    """How long a notebook was away is what it says of itself: from the loss to the new line."""
    desk, relay = away.desk, away.relay
    desk.run("pass")
    for _ in range(5):
        cell = Flood(token=token(), side=tmp_path / "executions", lines=1500)
        assassin = Assassin({"reset": relay.reset}, SEED)
        assassin.start()
        told = desk.run(cell.source)
        assassin.stop()
        invariants.nothing_lost(cell, told.record, whole=True)
        waits = [_seconds(notice) for notice in told.record.notices if "reconnected" in notice]
        assert all(wait < RECOVERY for wait in waits), told.record.notices


def _seconds(notice: str) -> float:
    return float(notice.rsplit(" after ", 1)[1].split()[0])
