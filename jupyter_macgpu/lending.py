"""Names that are lent to a namespace for a while: a cell of ours reads them there."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_turns = threading.RLock()
_MISSING = object()


@contextmanager
def lent(namespace: dict[str, Any], names: Mapping[str, Any]) -> Iterator[None]:
    """Bind names in a namespace in this block, and then what they were bound to before.

    One thread at a time.
    """
    with _turns:
        before = {name: namespace.get(name, _MISSING) for name in names}
        namespace.update(names)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is _MISSING:
                    namespace.pop(name, None)
                else:
                    namespace[name] = value
