"""Inputs that name a device: refused where the host lacks it, remarked on where it is wasted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .wire.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DEVICE = re.compile(r"(cpu|cuda|mps)(:[0-9]+)?")


def check_devices(
    names: Iterable[str], namespace: Mapping[str, Any], host: str, devices: Sequence[str]
) -> list[str]:
    """Look at the inputs that name a device.

    Parameters
    ----------
    names
        The inputs.
    devices
        What the host has, the best first.

    Returns
    -------
    list of str
        Lines for the user: an input says ``cpu`` on a host with a GPU.

    Raises
    ------
    InputError
        If inputs name devices that the host lacks. All of them are named; nothing was sent.
    """
    named = {name: device for name in names if (device := named_device(namespace[name]))}
    lacking = {name: device for name, device in named.items() if device not in devices}
    if lacking:
        lines = "".join(f"\n  {name} is {device!r}" for name, device in lacking.items())
        raise InputError(
            f"These inputs name devices that {host} does not have:{lines}\n"
            f"It has {', '.join(devices)}.",
            next=f"Delete the name (del {next(iter(lacking))}): without it, `device` is the "
            "best one of the host. Or choose another host with --on.",
        )
    return [
        f"{name} is 'cpu', and {host} has {devices[0]}"
        for name, device in named.items()
        if device == "cpu" and devices[0] != "cpu"
    ]


def named_device(value: object) -> str:
    """Return the kind of device that a text or a `torch.device` names, else the empty text."""
    if type(value).__module__ == "torch" and type(value).__name__ == "device":
        return str(value.type)  # type: ignore[attr-defined]
    match = _DEVICE.fullmatch(value) if type(value) is str else None
    return match[1] if match else ""
