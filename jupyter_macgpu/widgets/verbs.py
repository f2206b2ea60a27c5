"""``%macgpu device`` and ``%macgpu`` alone: a widget where somebody could look at it, else text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..notebook import kernel_id, somebody_looks
from . import pages
from .asking import device_now

if TYPE_CHECKING:
    from ..extension import Extension
    from ..verbs import Command
    from .device import DeviceWidget
    from .fleet import FleetWidget


def device(extension: Extension, command: Command) -> DeviceWidget | None:
    """Show a host; return the widget that does, or None where it was shown as text.

    Raises
    ------
    PlacementError
        If the fleet has no such host.
    """
    name = command.arguments[0] if command.arguments else ""
    if _is_live(extension) and not command.json:
        from .device import DeviceWidget

        return DeviceWidget(name)
    data = device_now(extension.pool, name)
    if command.json:
        print(json.dumps(data, indent=2))
    else:
        bundle = {"text/plain": pages.device_text(data), "text/html": pages.device_page(data)}
        extension.shell.display_pub.publish(bundle)
    return None


def fleet(extension: Extension) -> FleetWidget | None:
    """Return a widget of all hosts; None where there is nobody to look at one."""
    if not _is_live(extension):
        return None
    from .fleet import FleetWidget

    return FleetWidget()


def _is_live(extension: Extension) -> bool:
    """Say whether there is a front end that shows widgets, and somebody who looks at it."""
    return bool(kernel_id(extension.shell)) and somebody_looks(extension.shell)
