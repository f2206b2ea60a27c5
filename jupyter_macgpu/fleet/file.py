"""The fleet file: where it is looked for, and what may stand in it.

Every mistake is reported at once, with its line, its key and the valid keys.
Nothing that the file says is ignored: a key of a later version is an error too,
because a limit or a check that somebody wrote down must not be skipped silently.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
from ruamel.yaml.nodes import Node

from ..wire.errors import ConfigError
from .document import SIZE_LIMIT, Checker, Problem, line_of
from .hosts import THIS_MACHINE, Fleet, Host

#: The environment variable that names the fleet file.
VARIABLE = "MACGPU_FLEET"
FILE_NAME = "macgpu.yaml"

_HOST_KEYS = ("labels", "python", "slots", "transport")
_HOST_LATER = ("hostkey", "hostname", "identity_file", "port", "taints", "trust", "user")
_DEFAULT_KEYS = ("labels", "python", "slots")
_DEFAULT_LATER = ("identity_file", "port", "taints", "trust", "user")
_TOP_KEYS = ("defaults", "hosts", "version")
_TOP_LATER = ("engines", "environments", "profiles")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
# Kubernetes' own grammar of labels, so that labels can be copied from there.
_LABEL_PART = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_PART}")
_LABEL_VALUE = re.compile(rf"({_LABEL_PART})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What one host, or the defaults, say of themselves; None where they say nothing."""

    slots: int | None = None
    python: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class FleetFileError(ConfigError):
    """The fleet file cannot be used. Nothing was sent.

    Attributes
    ----------
    file
        Path of the file.
    problems
        Everything that is wrong with it, in the order of its lines.
    """

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        count = "one error" if len(self.problems) == 1 else f"{len(self.problems)} errors"
        lines = [f"  {problem}" for problem in self.problems]
        super().__init__(
            "\n".join([f"The fleet file {file} has {count}:", *lines]),
            next=f"Mend the file, or set {VARIABLE} to another one, and run the cell again.",
        )


def load_fleet(environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Fleet:
    """Read the user's fleet, or take this machine alone where there is no file.

    A file that ``MACGPU_FLEET`` names must be there: to run somewhere else than the
    user said, because of a typing error in a path, would be the worse surprise.

    Parameters
    ----------
    environment
        Where ``MACGPU_FLEET`` is looked up; the process's own if not given.
    folder
        The folder of the user's configuration; the platform's own if not given.

    Raises
    ------
    FleetFileError
        If the file cannot be read, or anything in it is wrong.
    """
    named = (os.environ if environment is None else environment).get(VARIABLE, "")
    folder = folder or platformdirs.user_config_path("macgpu", appauthor=False)
    # os.path leaves a ~name that nobody has as it is; Path.expanduser raises.
    file = Path(os.path.expanduser(named)) if named else folder / FILE_NAME  # noqa: PTH111
    try:
        with file.open("rb") as stream:
            content = stream.read(SIZE_LIMIT + 1)
        if len(content) > SIZE_LIMIT:
            raise _unreadable(file, f"the file is larger than {SIZE_LIMIT >> 20} MiB")
        hosts = parse_fleet(content.decode("utf-8-sig"), str(file))
    except (FileNotFoundError, NotADirectoryError) as error:
        if named:
            raise _unreadable(file, f"there is no such file ({VARIABLE} names it)") from error
        notice = f"No fleet file found (looked at {file}): running on this machine."
        return Fleet(hosts=(THIS_MACHINE,), notice=notice)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _unreadable(file, f"it cannot be read ({reason})") from error
    except UnicodeDecodeError as error:
        raise _unreadable(file, f"byte {error.start} is not UTF-8") from error
    return Fleet(hosts=hosts, file=file)


def parse_fleet(text: str, file: str) -> tuple[Host, ...]:
    """Read the hosts from the text of a fleet file.

    Parameters
    ----------
    text
        The file's content.
    file
        What errors call the file.

    Raises
    ------
    FleetFileError
        With every problem that was found.
    """
    checker = Checker()
    root = checker.root(text)
    hosts: tuple[Host, ...] = ()
    top = checker.mapping(root, "", _TOP_KEYS, _TOP_LATER) if root is not None else None
    if top is not None:
        hosts = _hosts(checker, top)
    elif not checker.problems:
        checker.note(0, "", "the file is empty; it needs version and hosts")
    if checker.problems:
        raise FleetFileError(file, sorted(checker.problems, key=lambda problem: problem.line))
    return hosts


def _unreadable(file: Path, why: str) -> FleetFileError:
    return FleetFileError(str(file), [Problem(line=0, key="", text=why)])


def _hosts(checker: Checker, top: Mapping[str, Node]) -> tuple[Host, ...]:
    if "version" not in top:
        checker.note(0, "version", "this key is missing; write version: 1")
    else:
        checker.whole_number(top["version"], "version", 1, 1)
    shared = _Settings()
    if "defaults" in top:
        defaults = checker.mapping(top["defaults"], "defaults", _DEFAULT_KEYS, _DEFAULT_LATER)
        shared = _settings(checker, defaults or {}, "defaults")
    if "hosts" not in top:
        checker.note(0, "hosts", "this key is missing; write the hosts under it, by name")
        return ()
    entries = checker.mapping(top["hosts"], "hosts")
    if entries == {} and not checker.problems:
        checker.note(line_of(top["hosts"]), "hosts", "there is no host under this key")
    found = [_host(checker, name, node, shared) for name, node in (entries or {}).items()]
    return tuple(host for host in found if host is not None)


def _host(checker: Checker, name: str, node: Node, shared: _Settings) -> Host | None:
    key = f"hosts.{name}"
    if not _HOST_NAME.fullmatch(name) or name == "auto":
        problem = "a host's name has letters, digits, '.', '-' and '_', and is not auto"
        checker.note(line_of(node), "hosts", f"{name[:40]!a} cannot be a host: {problem}")
        return None
    entries = checker.mapping(node, key, _HOST_KEYS, _HOST_LATER)
    if entries is None:
        return None
    _check_transport(checker, entries, node, f"{key}.transport")
    own = _settings(checker, entries, key)
    return Host(
        name=name,
        transport="local",
        slots=own.slots or shared.slots or 1,
        labels={**shared.labels, **own.labels},
        python=own.python or shared.python,
    )


def _check_transport(checker: Checker, entries: Mapping[str, Node], host: Node, key: str) -> None:
    if "transport" not in entries:
        text = "this key is missing; ssh is not available in this version, write transport: local"
        checker.note(line_of(host), key, text)
        return
    transport = checker.text(entries["transport"], key)
    if transport is not None and transport != "local":
        line = line_of(entries["transport"])
        checker.note(line, key, f"{transport[:40]} is not available in this version; write local")


def _settings(checker: Checker, entries: Mapping[str, Node], key: str) -> _Settings:
    slots, python, labels = (entries.get(name) for name in ("slots", "python", "labels"))
    return _Settings(
        slots=checker.whole_number(slots, f"{key}.slots", 1, 64) if slots else None,
        python=checker.text(python, f"{key}.python") if python else None,
        labels=_labels(checker, labels, f"{key}.labels") if labels else {},
    )


def _labels(checker: Checker, node: Node, key: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    for name, value_node in (checker.mapping(node, key) or {}).items():
        path = f"{key}.{name[:60]}"
        value = checker.text(value_node, path, may_be_empty=True)
        if not _LABEL_KEY.fullmatch(name):
            checker.note(line_of(value_node), path, "this is not the key of a Kubernetes label")
        elif value is not None and not _LABEL_VALUE.fullmatch(value):
            checker.note(line_of(value_node), path, "this is not the value of a Kubernetes label")
        elif value is not None:
            labels[name] = value
    return labels
