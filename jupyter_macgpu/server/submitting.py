"""Cells that are handed in without a kernel: they read no variable, and nobody's changes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from IPython.core.inputtransformer2 import TransformerManager

from ..bookrun import PLAIN
from ..cell import Cell
from ..detaching import Desk, detach
from ..home import Home
from ..interrupts import Interrupts
from ..ledger import Ledger
from ..options import CellOptions
from ..recorder import Recorder
from ..wire.errors import InputError

if TYPE_CHECKING:
    from ..job import Run
    from ..pool import Pool

#: What IPython compiles cells with: `await` may stand at their top.
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def hand_in(pool: Pool, code: str, *, cell: str, on: str | None) -> Run:
    """Hand a cell in, and return when a host has it on its disk.

    Parameters
    ----------
    pool
        Of the notebook that the cell stands in.
    cell
        Its id there.
    on
        Where it is to run, as ``--on`` has it; None leaves that to the placement.

    Raises
    ------
    InputError, PlacementError, RunRefused, RunLost, RunUnknown
        As `detaching.detach` says.
    """
    try:
        transformed = TransformerManager().transform_cell(code)
        compile(transformed, "<cell>", "exec", flags=_AWAIT)
    except (SyntaxError, ValueError) as error:
        raise InputError(f"The cell is no Python: {error}.", next="Mend it first.") from None
    ledger = Ledger()
    desk = Desk(
        home=Home(pool=pool, namespace={}, dialect=PLAIN, notice=lambda _text: None),
        show=Recorder("", "full"),
        interrupts=Interrupts(),
        record=ledger.record,
        placed=lambda _session: None,
    )
    body = Cell(source=code, code=transformed, count=1, cell=cell, headed=False, dialect=PLAIN)
    try:
        return detach(body, CellOptions(on=on), desk)
    except OSError as error:
        raise InputError(f"The run could not be written down here: {error}.") from None
    finally:
        ledger.close()
