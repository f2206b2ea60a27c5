"""2 place: what a cell asks of its host, which host takes it, and its slot until it is sent."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from .placement import wish_of
from .staying import Staying, reason_to_stay
from .submission import origin_of, run_options
from .waiting import Request, Waiting
from .wire.blobs import found_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cell import Cell
    from .execution import Show
    from .inputs import Inputs
    from .interrupts import Interrupts
    from .lengths import Past
    from .options import CellOptions
    from .placement import Placement, Wish
    from .pool import Pool
    from .session import Session
    from .steps import Steps
    from .wire.blobs import Blob

#: Seconds that a run may still wait on the host whose slot it was granted.
_LEAST_WAIT = 1.0
#: Seconds of waiting after which inputs are hashed anew: other threads may have changed them.
_JUST = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a cell is to run, and why there.

    Attributes
    ----------
    options
        What is left of the cell's options after waiting.
    blobs
        Its large inputs as they are now, where they are known.
    show
        Where it is shown.
    """

    session: Session
    placement: Placement
    options: CellOptions
    blobs: tuple[Blob, ...] | None
    show: Show


@dataclass(frozen=True, slots=True)
class Placing:
    """A cell that a host is looked for, with its inputs, its options and the id of its run."""

    cell: Cell
    inputs: Inputs
    options: CellOptions
    run: str

    @contextlib.contextmanager
    def on(self, pool: Pool, show: Show, interrupts: Interrupts, steps: Steps) -> Iterator[Place]:
        """Find a host, waiting on several if they are busy; keep its slot in this block.

        Raises
        ------
        ConfigError, PlacementError
            If no host will do. Nothing was sent.
        """
        options = self.options
        wish = wish_for(self.cell, self.inputs, options, pool)
        request = Request(
            run=self.run,
            origin=origin_of(self.cell, pool.notebook),
            options=run_options(options),
            limit=options.wait,
        )
        waiting = Waiting(request, lambda *how: pool.further(wish, *how), show, interrupts)
        session, placement = pool.lease(wish, show.notice, waiting.first)
        session = pool.owners.owner(self.inputs.capture.handles, session)
        if options.wait is not None:
            options = replace(options, wait=max(_LEAST_WAIT, options.wait - waiting.waited))
        try:
            staying = self._staying(wish, session.host.name, pool, show)
            if staying is not None:
                steps.show_to(staying)
            yield Place(
                session=session,
                placement=placement,
                options=options,
                blobs=just_found(wish, options) if waiting.waited < _JUST else None,
                show=show if staying is None else staying,
            )
        except BaseException:
            waiting.give_back(session)
            raise

    def _staying(self, wish: Wish, host: str, pool: Pool, show: Show) -> Staying | None:
        """Return where a run is shown that stays on its notebook's host: that is said."""
        reads = self.inputs.capture.handles
        stays = wish.stays and wish.needs.host is None and wish.needs.home == host
        if len(pool.fleet.hosts) == 1 or not (reads or stays):
            return None
        return Staying(show, partial(reason_to_stay, pool, wish, reads, host))


def wish_for(cell: Cell, inputs: Inputs, options: CellOptions, pool: Pool) -> Wish:
    """Return what a cell asks of its host.

    Raises
    ------
    ConfigError, PlacementError
        If there is no such profile or host. Nothing was sent.
    """
    return wish_with(inputs, options, pool, pool.lengths.of(origin_of(cell, pool.notebook)))


def wish_with(
    inputs: Inputs | None, options: CellOptions, pool: Pool, past: Past | None = None
) -> Wish:
    """Return what any cell with these inputs and options asks of its host.

    Parameters
    ----------
    inputs
        None are none that matter.
    past
        How long the cell took before.

    Raises
    ------
    ConfigError, PlacementError
        If there is no such profile or host. Nothing was sent.
    """
    capture = None if inputs is None else inputs.capture
    return wish_of(
        options,
        pool.fleet,
        home=pool.current.host.name if pool.current else None,
        uses=pool.uses,
        holders=frozenset() if capture is None else capture.holders,
        input_bytes=0 if capture is None else sum(capture.nbytes.values()) + len(capture.stream),
        keys=pool.label_keys() if options.on or pool.uses else (),
        past=past,
        blobs=() if inputs is None else _blobs_of(inputs, pool),
    )


def _blobs_of(inputs: Inputs, pool: Pool) -> tuple[Blob, ...]:
    """Return the large inputs of a cell, if any host may hold some of them."""
    is_held = any(session.link.held for session in pool.sessions())
    return found_in(inputs.raw()) if is_held else ()


def just_found(wish: Wish, options: CellOptions) -> tuple[Blob, ...] | None:
    """Return the large inputs that were found for a wish, where its cell has not waited since.

    None where they have to be looked for: other threads of the notebook may have changed them
    while files were put.
    """
    return None if options.files else wish.blobs or None
