"""The keys that a host and the defaults may have, and what each of them takes."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from ruamel.yaml.nodes import Node

from ..scheduling.labels import key_problem, value_problem
from .document import Checker, line_of, short

#: What only a host that is reached over SSH can have.
SSH_ONLY = ("hostname", "port", "user", "identity_file", "hostkey")
#: What `shared` settings may be: the rest belongs to one host.
DEFAULT_KEYS = ("identity_file", "labels", "port", "python", "slots", "trust", "user")
LATER_KEYS = ("taints",)

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,252}")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,32}")
# A whitelist: the name stands on no command line of ours, but on those of ProxyCommand.
_USER = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._@+-]{0,254}")
_PATH = re.compile(r"(/|~/)(.{0,1022}[^/ ])?")


def is_host_name(text: str) -> bool:
    """Return whether a host may be called so in a fleet file."""
    return _HOST_NAME.fullmatch(text) is not None and text != "auto"


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
        name: _READERS[name](checker, value, f"{key}.{name}") for name, value in entries.items()
    }
    return {
        name: (value, line_of(entries[name])) for name, value in read.items() if value is not None
    }


def _labels(checker: Checker, node: Node, key: str) -> dict[str, str] | None:
    entries = checker.mapping(node, key)
    if entries is None:
        return None
    labels: dict[str, str] = {}
    for name, value_node in entries.items():
        path = f"{key}.{short(name)}"
        value = checker.text(value_node, path, may_be_empty=True)
        if wrong := key_problem(name):
            text = f"this is not the key of a Kubernetes label: {wrong}"
            checker.note(line_of(value_node), path, text)
        elif value is not None and (wrong := value_problem(value)):
            text = f"this is not the value of a Kubernetes label: {wrong}"
            checker.note(line_of(value_node), path, text)
        elif value is not None:
            labels[name] = value
    return labels


def _number(low: int, high: int) -> Callable[[Checker, Node, str], object]:
    return lambda checker, node, key: checker.whole_number(node, key, low, high)


def _text(
    accept: Callable[[str], str | bool | None], wanted: str
) -> Callable[[Checker, Node, str], object]:
    """Return a reader of texts that `accept` takes; a text that it returns stands instead."""

    def read(checker: Checker, node: Node, key: str) -> str | None:
        text = checker.text(node, key)
        if text is None:
            return None
        accepted = accept(text)
        if not accepted:
            checker.note(line_of(node), key, f"{short(text)} cannot stand here; write {wanted}")
            return None
        return accepted if isinstance(accepted, str) else text

    return read


_path = _text(
    lambda text: _PATH.fullmatch(text) is not None,
    "an absolute path, or one that begins with ~/",
)
_READERS: Mapping[str, Callable[[Checker, Node, str], Any]] = {
    "hostkey": _text(
        fingerprint, "SHA256: and 43 characters, as ssh-keygen -l prints the key's fingerprint"
    ),
    "hostname": _text(
        is_address,
        "a host name (letters, digits, '.', '-', '_') or an IP address without brackets and port",
    ),
    "identity_file": _path,
    "labels": _labels,
    "port": _number(1, 65535),
    "python": _path,
    "slots": _number(1, 64),
    "transport": _text(lambda text: text in ("local", "ssh"), "ssh or local"),
    "trust": _text(lambda text: text in ("data", "full"), "full or data"),
    "user": _text(
        lambda text: _USER.fullmatch(text) is not None,
        "a user's name (letters, digits, '.', '-', '_', '+', '@', not '-' first)",
    ),
}
HOST_KEYS = tuple(sorted(_READERS))
