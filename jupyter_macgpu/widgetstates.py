"""What is known of a remote widget's state, from what its comm has said. Pure.

A widget's model is a flat set of keys; bytes in it travel as buffers beside it, and
``buffer_paths`` say where they belong. See the messaging protocol of Jupyter's widgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Target of the comms of widgets, and of the one over which a front end asks for all of them.
WIDGET = "jupyter.widget"
CONTROL = "jupyter.widget.control"

Path = tuple[str | int, ...]


class WidgetState:
    """The last known state of one widget's model."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self._buffers: dict[Path, Any] = {}

    def take(self, data: object, buffers: Sequence[Any]) -> None:
        """Learn from the message that opens the comm, or from an update either way."""
        if not isinstance(data, dict) or not isinstance(data.get("state"), dict):
            return
        if data.get("method", "update") not in ("update", "echo_update"):
            return
        fresh = data["state"]
        paths = [tuple(path) for path in data.get("buffer_paths") or ()]
        touched = {*fresh, *(path[0] for path in paths if path)}
        self.state |= fresh
        kept = {path: raw for path, raw in self._buffers.items() if path[0] not in touched}
        self._buffers = kept | dict(zip(paths, buffers, strict=False))

    def update(self) -> tuple[dict[str, Any], list[Any]]:
        """Return a message that says all of it, and its buffers."""
        paths = [list(path) for path in self._buffers]
        data = {"method": "update", "state": self.state, "buffer_paths": paths}
        return data, list(self._buffers.values())

    def described(self) -> dict[str, Any]:
        """Return what the answer to ``request_states`` says of it, without its buffers."""
        names = {f"model_{name}": f"_model_{name}" for name in ("name", "module")}
        names["model_module_version"] = "_model_module_version"
        return {
            **{ours: self.state.get(theirs, "") for ours, theirs in names.items()},
            "state": self.state,
        }


def add_states(
    data: dict[str, Any], buffers: list[Any], widgets: Iterable[tuple[str, WidgetState]]
) -> tuple[dict[str, Any], list[Any]]:
    """Return an answer to ``request_states`` with further widgets, by comm id, in it."""
    states, paths = dict(data.get("states") or {}), list(data.get("buffer_paths") or ())
    more = list(buffers)
    for comm, widget in widgets:
        states[comm] = widget.described()
        said, raw = widget.update()
        paths += [[comm, "state", *path] for path in said["buffer_paths"]]
        more += raw
    return {"method": "update_states", "states": states, "buffer_paths": paths}, more


def merged(first: object, second: object) -> dict[str, Any] | None:
    """Return one update that says what two say one after the other, or None if there is none."""
    for data in (first, second):
        if not isinstance(data, dict) or data.get("method") != "update" or data.get("buffer_paths"):
            return None
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    return {**first, "state": {**(first.get("state") or {}), **(second.get("state") or {})}}
