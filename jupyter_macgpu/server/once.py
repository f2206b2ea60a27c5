"""Requests that come twice, since the first one's answer was lost: they are done once."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from ..wire.errors import RunRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")
#: Requests that are remembered.
REMEMBERED = 1000


def mark_of(wanted: Mapping[str, Any]) -> str:
    """Return what a request is known by: its key, and all that it asks for; empty without a key."""
    key = wanted.get("idempotency_key")
    if not key:
        return ""
    rest = {name: value for name, value in wanted.items() if name != "idempotency_key"}
    return f"{_digest(key)}:{_digest(json.dumps(rest, sort_keys=True))}"


def found(mark: str, known: Iterable[tuple[str, T]]) -> T | None:
    """Return what the request with this mark came to, if it was made before.

    Parameters
    ----------
    known
        The marks of earlier requests, each with what it came to.

    Raises
    ------
    RunRefused
        If its key was used for something else.
    """
    key = mark.partition(":")[0]
    for other, result in known:
        if key and other.partition(":")[0] == key:
            if other != mark:
                raise RunRefused(
                    "This request was made before, for something else.", known="Nothing was done."
                )
            return result
    return None


class Once:
    """Does what is asked once, and answers the same request again with the same."""

    def __init__(self) -> None:
        self._done: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def do(self, wanted: Mapping[str, Any], act: Callable[[], Any]) -> Any:
        """Return what `act` returns, or returned when this was asked for before.

        Raises
        ------
        RunRefused
            If the request's key was used for something else.
        """
        mark = mark_of(wanted)
        # One at a time: the second of two alike must find what the first one did.
        with self._lock:
            answer = found(mark, self._done.items())
            if answer is None:
                answer = self._done[mark] = act()
                while len(self._done) > REMEMBERED:
                    self._done.popitem(last=False)
            return answer


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
