"""Hosts of others' files, for the fleet file: what was understood, and what was not taken over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ..scheduling.labels import key_problem, value_problem
from .document import Checker, line_of, short
from .fields import HOST_KINDS, is_host_name
from .hosts import Host
from .problems import FleetFileError, Problem

#: Keys of a dstack fleet that mean something here.
_TOP = ("blocks", "name", "ssh_config", "tags", "type")
_SHARED = ("hosts", "identity_file", "port", "proxy_jump", "user")
_OF_JUMP = ("hostname", "identity_file", "port", "user")
_OF_HOST = ("blocks", "hostname", "identity_file", "port", "proxy_jump", "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a file gives.

    Attributes
    ----------
    hosts
        For the fleet file.
    notes
        What was left out, a line each, with what to do about it.
    """

    hosts: tuple[Host, ...]
    notes: tuple[str, ...] = ()


def read_dstack(content: bytes | str, file: str) -> Imported:
    """Read the hosts of a dstack fleet, a ``.dstack.yml`` with ``type: fleet`` and ``ssh_config``.

    ``tags`` become labels, ``blocks`` slots. Machines that differ in the port alone, as behind a
    router, get it into their names. A ``proxy_jump`` has no place in a fleet file here:
    a note says what to write into the SSH configuration.

    Raises
    ------
    FleetFileError
        With all that is wrong, by line.
    """
    checker = Checker()
    text = content if isinstance(content, str) else content.decode("utf-8-sig", "replace")
    root = checker.root(text)
    top = checker.mapping(root, "") if root is not None else None
    reader = _Dstack(checker)
    hosts = reader.hosts(top) if top is not None else []
    if top is None and not checker.problems:
        checker.note(0, "", "the file is empty")
    if checker.problems:
        problems = sorted(checker.problems, key=lambda problem: problem.line)
        raise FleetFileError(file, [_of(problem, file) for problem in problems])
    return Imported(hosts=tuple(hosts), notes=tuple(reader.notes))


class _Dstack:
    """Reads one fleet."""

    def __init__(self, checker: Checker) -> None:
        self.notes: list[str] = []
        self._checker = checker
        self._shared: dict[str, Any] = {}

    def hosts(self, top: Mapping[str, Node]) -> list[Host]:
        kind = top.get("type")
        if not isinstance(kind, ScalarNode) or kind.value != "fleet":
            self._checker.note(line_of(kind) if kind else 0, "type", "this is no fleet")
            return []
        ssh = top.get("ssh_config")
        if ssh is None:
            text = "this key is missing: a fleet in a cloud has no hosts that could be taken over"
            self._checker.note(0, "ssh_config", text)
            return []
        shared = self._checker.mapping(ssh, "ssh_config") or {}
        self._left_out(top, _TOP, "")
        self._left_out(shared, _SHARED, "ssh_config.")
        self._shared = self._settings(shared, "ssh_config")
        labels = self._labels(top["tags"]) if "tags" in top else {}
        slots = self._slots(top["blocks"], "blocks") if "blocks" in top else 1
        listed = shared.get("hosts")
        if not isinstance(listed, SequenceNode) or not listed.value:
            self._checker.note(line_of(ssh), "ssh_config.hosts", "this must be a list of hosts")
            return []
        found = [self._host(node, i, labels, slots) for i, node in enumerate(listed.value)]
        return self._distinct([host for host in found if host is not None])

    def _distinct(self, hosts: list[Host]) -> list[Host]:
        """Name machines behind one address by their ports too; take each machine once."""
        ways: set[tuple[str, int]] = set()
        distinct: dict[str, Host] = {}
        for host in hosts:
            way = (host.address, host.port or 22)
            name = f"{host.name}-{way[1]}" if host.name in distinct else host.name
            if way in ways or name in distinct:
                self.notes.append(
                    f"{host.address}, port {way[1]}, is listed twice: the first counts"
                )
                continue
            ways.add(way)
            distinct[name] = replace(host, name=name, hostname=None if name == way[0] else way[0])
        return list(distinct.values())

    def _host(self, node: Node, i: int, labels: Mapping[str, str], slots: int) -> Host | None:
        key = f"ssh_config.hosts[{i}]"
        entry = {"hostname": node}
        if isinstance(node, MappingNode):
            entry = self._checker.mapping(node, key) or {}
            self._left_out(entry, _OF_HOST, f"{key}.")
        if "hostname" not in entry:
            self._checker.note(line_of(node), f"{key}.hostname", "this key is missing")
            return None
        name_key = f"{key}.hostname" if isinstance(node, MappingNode) else key
        address = HOST_KINDS["hostname"].read(self._checker, entry["hostname"], name_key)
        said = self._shared | self._settings(entry, key)
        if "blocks" in entry:
            slots = self._slots(entry["blocks"], f"{key}.blocks")
        if address is None:
            return None
        if jump := said.pop("proxy_jump", ""):
            self.notes.append(
                f"{address} is reached through another machine: write into ~/.ssh/config "
                f"`Host {address}` and under it `ProxyJump {jump}`"
            )
        name = re.sub(r"[:%]", "-", str(address))
        if not is_host_name(name):
            self._checker.note(line_of(node), name_key, f"{short(name)} cannot be a host's name")
            return None
        hostname = None if name == address else address
        return Host(name=name, hostname=hostname, labels=labels, slots=slots, **said)

    def _settings(self, entry: Mapping[str, Node], key: str) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for name in ("user", "port", "identity_file"):
            if name in entry:
                value = HOST_KINDS[name].read(self._checker, entry[name], f"{key}.{name}")
                said |= {name: value} if value is not None else {}
        if "proxy_jump" in entry:
            said["proxy_jump"] = self._jump(entry["proxy_jump"], f"{key}.proxy_jump")
        return said

    def _jump(self, node: Node, key: str) -> str:
        entry = self._checker.mapping(node, key) or {}
        self._left_out(entry, _OF_JUMP, f"{key}.")
        if "hostname" not in entry:
            self._checker.note(line_of(node), f"{key}.hostname", "this key is missing")
            return ""
        address = HOST_KINDS["hostname"].read(self._checker, entry["hostname"], f"{key}.hostname")
        said = self._settings({k: v for k, v in entry.items() if k != "proxy_jump"}, key)
        if "identity_file" in said:
            self.notes.append(
                f"the way through {address} has a key of its own: write into ~/.ssh/config "
                f"`Host {address}` and under it `IdentityFile {said['identity_file']}`"
            )
        user = f"{said['user']}@" if "user" in said else ""
        return f"{user}{address}:{said['port']}" if "port" in said else f"{user}{address}"

    def _slots(self, node: Node, key: str) -> int:
        if isinstance(node, ScalarNode) and node.value == "auto":
            self.notes.append(f"{key}: auto is not known here; the hosts have one slot")
            return 1
        return HOST_KINDS["slots"].read(self._checker, node, key) or 1

    def _labels(self, node: Node) -> dict[str, str]:
        labels: dict[str, str] = {}
        for name, part in (self._checker.mapping(node, "tags") or {}).items():
            value = str(part.value) if isinstance(part, ScalarNode) else ""
            wrong = key_problem(name) or value_problem(value)
            if wrong or not isinstance(part, ScalarNode):
                self.notes.append(f"the tag {short(name)} cannot be a label: {wrong or 'no text'}")
            else:
                labels[name] = value
        return labels

    def _left_out(self, entry: Mapping[str, Node], known: tuple[str, ...], prefix: str) -> None:
        others = [f"{prefix}{short(name)}" for name in entry if name not in known]
        if others:
            self.notes.append(f"not taken over: {', '.join(others)}")


def _of(problem: Problem, file: str) -> Problem:
    return Problem(line=problem.line, key=problem.key, text=problem.text, file=file)
