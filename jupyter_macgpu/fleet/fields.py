"""The keys that a host and the defaults may have, and what each of them takes."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml.nodes import Node

from ..amounts import DURATION_PATTERN, SIZE_PATTERN, read_duration, read_size
from ..scheduling.labels import key_problem, value_problem
from ..scheduling.taints import Effect, Taint, taint_problems
from ..wire.policy import HOURS_PATTERN, is_owner_hours
from . import kinds
from .document import Checker, line_of
from .kinds import Kind, Problems

#: What only a host that is reached over SSH can have.
SSH_ONLY = ("hostname", "port", "user", "identity_file", "hostkey")

HOST_NAME_PATTERN = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$"
_ADDRESS = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,252}")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,32}")
# A whitelist: the name stands on no command line of ours, but on those of ProxyCommand.
_USER = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._@+-]{0,254}")
_PATH = re.compile(r"(/|~/)(.{0,1022}[^/ ])?")


def is_host_name(text: str) -> bool:
    """Return whether a host may be called so in a fleet file."""
    return re.fullmatch(HOST_NAME_PATTERN, text) is not None and text != "auto"


def is_address(text: str) -> bool:
    """Return whether a text is a host name or an IP address, and nothing that ssh would misread."""
    if _ADDRESS.fullmatch(text):
        return True
    address, percent, zone = text.partition("%")
    if percent and not _ZONE.fullmatch(zone):
        return False
    try:
        return ipaddress.ip_address(address).version == 6
    except ValueError:
        return False


def fingerprint(text: str) -> str | None:
    """Return the fingerprint of a host's key as ``ssh-keygen -l`` prints it.

    None if it is none: ``SHA256:`` and 43 characters that stand for 32 bytes, a padding ``=``
    allowed. Two texts of one key thus become one.
    """
    name, _, code = text.partition(":")
    code = code.removesuffix("=")
    try:
        digest = base64.b64decode(code + "=", validate=True)
    except (binascii.Error, ValueError):
        return None
    # The last character has two bits to spare; a text that sets them is no key's.
    canonical = base64.b64encode(digest).decode().rstrip("=")
    return (
        text.removesuffix("=") if (name, code, len(digest)) == ("SHA256", canonical, 32) else None
    )


def _label_value(checker: Checker, node: Node, key: str) -> str | None:
    value = checker.text(node, key, may_be_empty=True)
    if value is None or not (wrong := value_problem(value)):
        return value
    checker.note(line_of(node), key, f"this is not the value of a Kubernetes label: {wrong}")
    return None


_NAME_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
LABEL_KEY_PATTERN = f"^({_DNS}/)?{_NAME_PART}$"
LABEL_VALUE_PATTERN = f"^({_NAME_PART})?$"
LABELS = kinds.named(
    key_problem,
    Kind(read=_label_value, schema={"type": "string", "pattern": LABEL_VALUE_PATTERN}),
    "a Kubernetes label",
    pattern=LABEL_KEY_PATTERN,
)
#: Texts that a later check judges as a whole.
ANY_TEXT = kinds.text(lambda _: True, "a text", may_be_empty=True)
LABEL_KEY = kinds.text(lambda _: True, "a key", may_be_empty=True, pattern=LABEL_KEY_PATTERN)


def _taints(raw: tuple[dict[str, str], ...]) -> tuple[tuple[Taint, ...], Problems]:
    taints = tuple(Taint(**each) for each in raw)
    problems = [
        (f"[{i}].{place}", text)
        for i, taint in enumerate(taints)
        for place, _, text in [each.partition(": ") for each in taint_problems(taint)]
    ]
    # Kubernetes' own rule: the value would not say which of the two holds.
    seen = [(taint.key, taint.effect) for taint in taints]
    problems += [
        (f"[{i}]", f"a taint {key}:{effect} stands there already")
        for i, (key, effect) in enumerate(seen)
        if (key, effect) in seen[:i]
    ]
    return taints, problems


_path = kinds.text(
    lambda text: _PATH.fullmatch(text) is not None,
    "an absolute path, or one that begins with ~/",
    pattern=r"^(/|~/)",
)
_POLICY = kinds.mapping(
    {
        "max_runs": kinds.whole_number(1, 1000).described(
            "Cells of one account that may run at the same time"
        ),
        "max_time": kinds.amount(read_duration, DURATION_PATTERN).described(
            "Longest running time of one cell, such as 2h"
        ),
        "max_memory": kinds.amount(read_size, SIZE_PATTERN).described(
            "Memory that the running cells of one account may ask for together, such as 48GB"
        ),
        "owner_hours": kinds.sequence(
            kinds.text(is_owner_hours, "Mon-Fri 09:00-17:00 or 09:00-17:00", pattern=HOURS_PATTERN)
        ).described("When nothing new starts, by the host's clock: Mon-Fri 09:00-17:00"),
        "drain": kinds.flag().described("Whether nothing new is taken"),
        "managed_by": kinds.text(
            lambda text: not value_problem(text),
            "one word, such as slurm",
            pattern=f"^{_NAME_PART}$",
        ).described("Who else gives this machine's work out"),
    }
)
#: What may be said of a host.
HOST_KINDS: Mapping[str, Kind] = {
    "hostkey": kinds.text(
        fingerprint,
        "SHA256: and 43 characters, as ssh-keygen -l prints the key's fingerprint",
        pattern="^SHA256:[A-Za-z0-9+/]{43}=?$",
    ).described("Fingerprint of its key; without it, known_hosts decides"),
    "hostname": kinds.text(
        is_address,
        "a host name (letters, digits, '.', '-', '_') or an IP address without brackets and port",
    ).described("A name or an IP address; without it, the host's name here is looked up"),
    "identity_file": _path.described("The key to log in with"),
    "labels": LABELS.described("Kubernetes labels, for --on room=lab"),
    "policy": _POLICY.described("What macgpu apply lays down for all accounts of the host"),
    "port": kinds.whole_number(1, 65535).described("Where its SSH server listens"),
    "python": _path.described("The interpreter that cells run in"),
    "slots": kinds.whole_number(1, 64).described("Cells that may use the GPU at the same time"),
    "taints": kinds.checked(
        kinds.sequence(
            kinds.mapping(
                {"key": LABEL_KEY, "value": ANY_TEXT, "effect": kinds.choice(*map(str, Effect))},
                required=("key", "effect"),
            )
        ),
        _taints,
    ).described("Kubernetes taints: what keeps cells away that do not tolerate them"),
    "transport": kinds.choice("ssh", "local").described("local is the notebook's own machine"),
    "trust": kinds.choice("full", "data").described(
        "full: what comes back is unpickled; data: only known types are loaded"
    ),
    "user": kinds.text(
        lambda text: _USER.fullmatch(text) is not None,
        "a user's name (letters, digits, '.', '-', '_', '+', '@', not '-' first)",
        pattern="^[A-Za-z0-9._][A-Za-z0-9._@+-]{0,254}$",
    ).described("Who logs in there"),
}
HOST_KEYS = tuple(sorted(HOST_KINDS))
#: Keys that engines and environments bring with them.
LATER_KEYS = ("engine", "env", "environment")
#: What the defaults may be: the rest belongs to one host.
DEFAULT_KEYS = tuple(key for key in HOST_KEYS if key not in ("hostkey", "hostname", "transport"))


def read_settings(
    checker: Checker, node: Node, key: str, valid: tuple[str, ...]
) -> dict[str, tuple[Any, int]] | None:
    """Return the settings of one host, or of the defaults, with their lines.

    None if the node is no mapping. What is wrong is noted and left out.
    """
    entries = checker.mapping(node, key, valid, LATER_KEYS)
    if entries is None:
        return None
    read = {
        name: HOST_KINDS[name].read(checker, value, f"{key}.{name}")
        for name, value in entries.items()
    }
    return {
        name: (value, line_of(entries[name])) for name, value in read.items() if value is not None
    }
