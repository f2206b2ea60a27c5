"""One fleet file as it stands: what it says, and where, before files are laid over each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ruamel.yaml.nodes import Node

from .document import Checker, line_of, short
from .fields import DEFAULT_KEYS, HOST_KEYS, is_host_name, read_settings
from .problems import Problem
from .profiles import PROFILE

#: Whose word a file is: the user's own; the administrator's; or that of whoever made the folder,
#: which the user has read and allowed.
Origin = Literal["own", "site", "folder"]

TOP_KEYS = ("defaults", "hosts", "profiles", "version")
_TOP_LATER = ("engines", "environments")
PROFILE_NAME_PATTERN = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"

#: Values by key, each with its line.
Settings = Mapping[str, tuple[Any, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What one file says.

    Attributes
    ----------
    file
        Path of the file.
    origin
        Whose word it is.
    defaults
        What its hosts share.
    hosts
        What it says of each host itself, by name.
    profiles
        What it says of each profile, by name.
    hosts_line
        Line of the key ``hosts``; 0 if the file has none.
    problems
        What is wrong with it.
    readable
        Whether there is anything to be understood at all.
    """

    file: str
    origin: Origin
    defaults: Settings = field(default_factory=dict)
    hosts: Mapping[str, Settings] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hosts_line: int = 0
    problems: tuple[Problem, ...] = ()
    readable: bool = True

    def values(self) -> dict[str, Any]:
        """Return what it says without its lines: two files that mean the same are equal."""
        return {
            "defaults": _values(self.defaults),
            "hosts": {name: _values(said) for name, said in self.hosts.items()},
            "profiles": {name: dict(said) for name, said in self.profiles.items()},
        }


def unreadable(file: str, origin: Origin, why: str) -> Draft:
    """Return the draft of a file that cannot be read."""
    problem = Problem(line=0, key="", text=why, file=file)
    return Draft(file=file, origin=origin, problems=(problem,), readable=False)


def read_draft(content: bytes | str, file: str, origin: Origin = "own") -> Draft:
    """Read one file. Nothing is raised: what is wrong stands in the draft.

    Parameters
    ----------
    content
        The file's bytes, in UTF-8 with or without a byte order mark, or its text.
    file
        What problems call the file.
    origin
        Whose word it is.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return unreadable(file, origin, f"byte {error.start} is not UTF-8")
    checker = Checker()
    root = checker.root(text)
    top = checker.mapping(root, "", TOP_KEYS, _TOP_LATER) if root is not None else None
    if top is None:
        if not checker.problems:
            checker.note(0, "", "the file is empty; it needs version and hosts")
        draft = Draft(file=file, origin=origin, readable=False)
    else:
        draft = _draft(checker, top, Draft(file=file, origin=origin))
    problems = sorted(checker.problems, key=lambda problem: problem.line)
    return replace(draft, problems=tuple(replace(problem, file=file) for problem in problems))


def _draft(checker: Checker, top: Mapping[str, Node], draft: Draft) -> Draft:
    if "version" not in top:
        checker.note(0, "version", "this key is missing; write version: 1")
    else:
        checker.whole_number(top["version"], "version", 1, 1)
    defaults: Settings = {}
    if "defaults" in top:
        defaults = read_settings(checker, top["defaults"], "defaults", DEFAULT_KEYS) or {}
        _check_trust(checker, defaults, "defaults", draft.origin)
    draft = replace(draft, defaults=defaults, profiles=_profiles(checker, top))
    if "hosts" not in top:
        return draft
    entries = checker.mapping(top["hosts"], "hosts") or {}
    hosts = {name: _host(checker, name, node, draft.origin) for name, node in entries.items()}
    return replace(
        draft,
        hosts={name: said for name, said in hosts.items() if said is not None},
        hosts_line=line_of(top["hosts"]),
    )


def _host(checker: Checker, name: str, node: Node, origin: Origin) -> Settings | None:
    if not is_host_name(name):
        problem = "a host's name has letters, digits, '.', '-' and '_', and is not auto"
        checker.note(line_of(node), "hosts", f"{short(name)!a} cannot be a host: {problem}")
        return None
    said = read_settings(checker, node, f"hosts.{name}", HOST_KEYS)
    if said is not None:
        _check_trust(checker, said, f"hosts.{name}", origin)
    return said


def _profiles(checker: Checker, top: Mapping[str, Node]) -> dict[str, dict[str, Any]]:
    entries = checker.mapping(top["profiles"], "profiles") if "profiles" in top else None
    found: dict[str, dict[str, Any]] = {}
    for name, node in (entries or {}).items():
        if not re.fullmatch(PROFILE_NAME_PATTERN, name, re.ASCII):
            problem = "a profile's name has letters, digits, '.', '-' and '_'"
            checker.note(line_of(node), "profiles", f"{short(name)!a} cannot be one: {problem}")
            continue
        said = PROFILE.read(checker, node, f"profiles.{name}")
        if said is not None:
            found[name] = said
    return found


def _check_trust(checker: Checker, said: Settings, key: str, origin: Origin) -> None:
    """Note where an administrator decides what may run code on the users' side.

    It is an error and not ignored, so that nobody believes in a line that does nothing.
    """
    value, line = said.get("trust", ("", 0))
    if origin == "site" and value == "full":
        text = "a site's file cannot say full: each user says it, in the file of their own"
        checker.note(line, f"{key}.trust", text)


def _values(said: Settings) -> dict[str, Any]:
    return {name: value for name, (value, _) in said.items()}
