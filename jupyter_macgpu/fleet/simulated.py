"""Hosts that are simulated: what their labels say of them, and what follows for their processes."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The label that marks a host that is no Mac, with the value ``true``.
LABEL = "simulated"
MAC, SEED, SINCE = "simulated-mac", "simulated-seed", "simulated-since"
_NUMBER = re.compile(r"[0-9]{1,15}")
_NAME = re.compile(r"[a-z0-9-]{1,30}")


def is_simulated(labels: Mapping[str, str]) -> bool:
    """Return whether these are the labels of a simulated host."""
    return labels.get(LABEL) == "true"


def probe_command(labels: Mapping[str, str]) -> str:
    """Return the command that stands in for the probe there, as ``MACGPU_PROBE`` has it.

    Empty, if the labels do not say which Mac, with which seed and since when.
    """
    mac, seed, since = (labels.get(key, "") for key in (MAC, SEED, SINCE))
    told = _NAME.fullmatch(mac) and _NUMBER.fullmatch(seed) and _NUMBER.fullmatch(since)
    if not is_simulated(labels) or not told:
        return ""
    words = [sys.executable, "-m", "jupyter_macgpu.simulation.probe"]
    return shlex.join([*words, "--mac", mac, "--seed", seed, "--since", since])


def instance(name: str, labels: Mapping[str, str]) -> str:
    """Return the instance of the supervisor that a simulated host on this machine has."""
    kept = re.sub(r"[^A-Za-z0-9-]", "-", name)[:40]
    return f"simulated-{labels.get(SINCE, '0')}-{kept}"


def settings(name: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the door to a host over the ``local`` transport; none if it is real.

    Each simulated host has a supervisor of its own.
    """
    command = probe_command(labels)
    if not command:
        return {}
    return {"MACGPU_INSTANCE": instance(name, labels), "MACGPU_PROBE": command}
