"""A run that nobody waits for, over a real SSH server whose connection is cut."""

from __future__ import annotations

import time
from pathlib import Path

from jupyter_macgpu import detaching
from jupyter_macgpu.cell import Cell
from jupyter_macgpu.home import Home as RunsHome
from jupyter_macgpu.interrupts import Interrupts
from jupyter_macgpu.options import CellOptions

from .away import Away
from .desk import PLAIN, Record


def test_a_detached_run_goes_on_without_its_connection(away: Away, tmp_path: Path) -> None:
    desk = away.desk
    gate, side = tmp_path / "gate", tmp_path / "side"
    source = (
        f"import os, time\nopen({str(side)!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(gate)!r}): time.sleep(0.02)\n"
        "notes.append('done')\nprint('said')\nlen(notes)"
    )
    notices: list[str] = []
    runs_home = RunsHome(
        pool=desk.pool, namespace=desk.namespace, dialect=PLAIN, notice=notices.append
    )
    at = detaching.Desk(
        home=runs_home,
        show=Record(),
        interrupts=Interrupts(),
        record=lambda _message, _host: None,
        placed=lambda _session: None,
    )
    cell = Cell(source=source, code=source, count=1, dialect=PLAIN)
    try:
        run = detaching.detach(cell, CellOptions(), at)
        while run.state != "started" or not side.exists():
            time.sleep(0.05)
        for session in desk.pool.sessions():
            session.link.drop()
        away.relay.reset()
        gate.touch()
        assert run.result(60) == 1
        assert desk.namespace["notes"] == []
        run.bind()
        assert desk.namespace["notes"] == ["done"]
        assert run.outputs[0]["text"] == "said\n"
        assert side.read_text() == "x"
    finally:
        desk.close()
