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
from ..job import Run
from ..ledger import Ledger
from ..recorder import Recorder
from ..wire.errors import InputError, RunRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..options import CellOptions
    from ..pool import Pool
    from ..runs import KnownRun

#: What IPython compiles cells with: `await` may stand at their top.
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def hand_in(
    pool: Pool, code: str, *, cell: str, options: CellOptions, before: Sequence[KnownRun]
) -> Run:
    """Hand a cell in, and return when a host has it on its disk.

    Parameters
    ----------
    pool
        Of the notebook that the cell stands in.
    cell
        Its id there.
    options
        How it is to run.
    before
        The runs that `options` says it follows. Their host minds the order, so it is one host.

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
    _mind_the_host(options, before)
    ledger = Ledger()
    home = Home(pool=pool, namespace={}, dialect=PLAIN, notice=lambda _text: None)
    desk = Desk(
        home=home,
        show=Recorder("", "full"),
        interrupts=Interrupts(),
        record=ledger.record,
        placed=lambda _session: None,
        known=[Run(home, each.run, each.session.host, row=each.row) for each in before],
    )
    body = Cell(source=code, code=transformed, count=1, cell=cell, headed=False, dialect=PLAIN)
    try:
        return detach(body, options, desk)
    finally:
        ledger.close()


def _mind_the_host(options: CellOptions, before: Sequence[KnownRun]) -> None:
    """Refuse what nobody would wait for: there is no kernel here, and the server keeps nothing."""
    hosts = {known.session.host.name for known in before}
    if len(hosts) > 1:
        raise RunRefused(
            f"The runs that it is to follow are on several hosts: {', '.join(sorted(hosts))}.",
            known="Nothing was sent.",
            next="Without a kernel a cell follows runs of one host; a notebook may follow any.",
        )
    if hosts and options.on is not None and options.on not in hosts:
        raise RunRefused(
            f"The run that it is to follow is on {hosts.pop()}, and it was to run elsewhere.",
            known="Nothing was sent.",
            next="Leave the choice of the host open: then it runs there.",
        )
