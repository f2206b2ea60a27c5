"""In which worker a value lives that stayed on its host: a notebook's, or a run's own one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .wire.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .session import Session


class Owners:
    """The sessions of runs with workers of their own whose variables were bound here."""

    def __init__(self) -> None:
        self._of_run: dict[str, Session] = {}

    def remember(self, run: str, at_home: Session, session: str) -> None:
        """Note the session in whose worker what a run left behind may still live.

        Parameters
        ----------
        at_home
            The notebook's own session on that host.
        """
        self._of_run[run] = replace(at_home, session=session, announced=True)

    def owner(self, handles: Iterable[str], session: Session) -> Session:
        """Return the session in whose worker the values of some handles live, else `session`.

        Raises
        ------
        InputError
            If they live in several workers. Nothing was sent.
        """
        owners = {key: self._of_run.get(key.partition(":")[0], session) for key in handles}
        if len({owner.session for owner in owners.values()}) > 1:
            names = ", ".join(key.rpartition(":")[2] for key in owners)
            raise InputError(
                f"The cell reads values that live in different workers: {names}.",
                next="Bring all but one worker's with .fetch(), then run the cell again.",
            )
        return next(iter(owners.values()), session)
