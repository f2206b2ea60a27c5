"""What a cell shows, told as events: displays, the last expression, errors."""

from __future__ import annotations

import json
import math
import numbers
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher

from ...wire import content as wire_content

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from ...wire.messages import Buffers
    from .outlet import Outlet

#: Where IPython keeps the last results.
_RESULTS = ("_", "__", "___")


class Announcer:
    """Tells events whose content may be of any size, and anything that Jupyter calls JSON."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    @property
    def forked(self) -> bool:
        """Whether this is a forked child, which can only print."""
        return self._outlet.forked

    @property
    def lock(self) -> threading.RLock:
        """The lock under which things are told in order."""
        return self._outlet.lock

    def tell(self, what: str, content: dict[str, Any], buffers: Buffers = ()) -> None:
        """Tell an event of kind `what`.

        Raises
        ------
        TypeError
            If the content holds what is no JSON even for Jupyter.
        """
        text = as_json(content)
        pieces, short, last = wire_content.cut(text, buffers)
        if short is None:
            self._outlet.event(what, json.loads(text), buffers=last)
            return
        # In one go: the pieces of two threads' displays must not mix.
        with self._outlet.lock:
            for piece in pieces:
                self._outlet.event(wire_content.PIECE, {}, buffers=(piece,))
            self._outlet.event(what, short, buffers=last)


class Publisher(DisplayPublisher):
    """`display(...)` in a cell."""

    announcer: Announcer

    def publish(  # type: ignore[override]
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        """Show a MIME bundle; called by IPython for each display."""
        self._validate_data(data, metadata)  # type: ignore[no-untyped-call]
        if self.announcer.forked:
            print(data.get("text/plain", ""))
            return
        content = {"data": data, "metadata": metadata or {}, "transient": transient or {}}
        self.announcer.tell("update_display_data" if update else "display_data", content)

    def clear_output(self, wait: bool = False) -> None:
        """Clear what the cell showed so far; called by IPython's function of that name."""
        if not self.announcer.forked:
            self.announcer.tell("clear_output", {"wait": wait})


class ResultHook(DisplayHook):
    """Shows the value of the last expression, and keeps it for the notebook."""

    announcer: Announcer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        # `Out` is the notebook's: a value kept here as well would fill the GPU's memory.
        self.do_full_cache = False
        self.is_showing = False
        self.source = ""
        self._content: dict[str, Any] = {}

    @property
    def prompt_count(self) -> int:
        """The number of this cell in the notebook."""
        return int(self._shell().execution_count)

    def quiet(self) -> bool:
        """Return whether the cell ends in a semicolon; called before a value is shown."""
        ends: Callable[[str], bool] = self.semicolon_at_end_of_expression
        return ends(self.source)

    def start_displayhook(self) -> None:
        """Begin to show one value."""
        super().start_displayhook()  # type: ignore[no-untyped-call]
        self.is_showing = True
        self._content = {}

    def write_output_prompt(self) -> None:
        """Do nothing: the notebook writes the prompt."""

    def write_format_data(
        self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None
    ) -> None:
        """Take the value's representations."""
        self._content = {"data": format_dict, "metadata": md_dict or {}}

    def log_output(self, format_dict: dict[str, Any]) -> None:
        """Do nothing: the notebook keeps the history."""

    def finish_displayhook(self) -> None:
        """Tell what was taken."""
        self._is_active = self.is_showing = False
        if not self._content.get("data"):
            return
        if self.announcer.forked:
            print(self._content["data"].get("text/plain", ""))
            return
        self.announcer.tell(
            "execute_result", {**self._content, "execution_count": self.prompt_count}
        )

    def begin(self, source: str) -> None:
        """Begin a cell: what `_` is, the notebook has said."""
        self.source = source
        self.is_showing = False
        shell = self._shell()
        for name in _RESULTS:
            value = shell.user_ns.get(name, "")
            setattr(self, name, value)
            # Not hidden, it would be a name that the user chose, and kept as it is.
            shell.user_ns_hidden[name] = value

    def end(self) -> None:
        """End a cell: let go of its values, which the notebook has."""
        shell = self._shell()
        for name in _RESULTS:
            setattr(self, name, "")
            shell.user_ns.pop(name, None)
            shell.user_ns_hidden[name] = ""

    def keep(self, value: object) -> None:
        """End a cell whose variables stay here: its value becomes the last one, as at home."""
        names = self._shell().user_ns
        if value is None:
            return
        for older, newer in (("___", "__"), ("__", "_")):
            if newer in names:
                names[older] = names[newer]
        names["_"] = names[f"_{self.prompt_count}"] = value
        names["Out"][self.prompt_count] = value

    def _shell(self) -> InteractiveShell:
        shell: InteractiveShell | None = self.shell
        assert shell is not None
        return shell


def as_json(content: object) -> str:
    """Return content as JSON; bytes are base64, and what is not a number is its name.

    Raises
    ------
    TypeError
        If something in it is no JSON even for Jupyter.
    """
    try:
        return json.dumps(content, default=_default, allow_nan=False)
    except (ValueError, TypeError):
        return json.dumps(_cleaned(content), allow_nan=False)


def _default(value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(value).decode()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Iterable):
        return list(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _cleaned(value: object) -> object:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {str(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    return _cleaned(_default(value))
