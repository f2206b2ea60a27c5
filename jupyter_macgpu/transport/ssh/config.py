"""OpenSSH's client configuration, as far as it says how a host is reached.

paramiko reads the files, but neither follows ``Include`` nor expands a ``~`` everywhere; this does.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko

from ...fleet.opening import others_write
from ...wire.errors import ConfigError
from ..known_hosts import DEFAULT_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: How deep files may include files; OpenSSH's own limit.
_DEPTH = 16
#: Characters of a file that are read: far more than anybody writes, or a device has no end.
_LONGEST = 4 * 1024 * 1024
#: OpenSSH's own defaults.
_IDENTITIES = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:\[\]]+)(?::(?P<port>\d+))?/?"
)
_BLOCK = re.compile(r"(host|match)[\s=]", re.IGNORECASE)
_INCLUDE = re.compile(r"include[\s=]+(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the configuration says of one host; None and empty where it says nothing.

    Attributes
    ----------
    identities
        Paths of key files, whether they exist or not.
    identities_only
        Whether keys of the agent that are not among `identities` are left alone.
    agent
        Path of the agent's socket; ``none`` for no agent, empty for ``SSH_AUTH_SOCK``.
    jumps
        Hosts to go through, the first one first, as ``[user@]host[:port]``.
    timeout
        Seconds that connecting may take.
    """

    hostname: str
    port: int | None = None
    user: str | None = None
    identities: tuple[str, ...] = ()
    identities_only: bool = False
    agent: str = ""
    known_hosts: tuple[str, ...] = ()
    alias: str | None = None
    jumps: tuple[str, ...] = ()
    timeout: float | None = None


class ClientConfig:
    """The user's and the system's ``ssh_config``, read once.

    Parameters
    ----------
    files
        The files, the one that wins first; missing ones are passed over.

    Raises
    ------
    ConfigError
        If a file cannot be read.
    """

    def __init__(self, files: Sequence[str] = ("~/.ssh/config", "/etc/ssh/ssh_config")) -> None:
        text = "\n".join(line for file in files for line in _file(expand(file), 0))
        try:
            self._parsed = paramiko.SSHConfig.from_text(text)
        except (paramiko.ConfigParseError, ValueError) as error:
            raise _broken(str(error)) from error

    def lookup(self, name: str) -> Settings:
        """Return what the files say of a host.

        Raises
        ------
        ConfigError
            If they say something that cannot be followed: a ``ProxyCommand`` above all.
        """
        try:
            found = self._parsed.lookup(name)
            if found.get("proxycommand") is not None and "proxyjump" not in found:
                raise _broken(
                    f"ProxyCommand of {name} is not run",
                    "Write ProxyJump instead; it does the same for hosts that one goes through.",
                )
            jump = str(found.get("proxyjump", "none"))
            known = [*_words(found, "userknownhostsfile"), *_words(found, "globalknownhostsfile")]
            timeout = found.get("connecttimeout")
            return Settings(
                hostname=str(found["hostname"]),
                port=int(found["port"]) if "port" in found else None,
                user=found.get("user"),
                identities=tuple(expand(path) for path in found.get("identityfile", _IDENTITIES)),
                identities_only=found.get("identitiesonly", "no").lower() == "yes",
                agent=expand(_unquoted(found.get("identityagent", ""))),
                known_hosts=tuple(expand(path) for path in _known(known, found)),
                alias=found.get("hostkeyalias"),
                jumps=() if jump.lower() == "none" else tuple(jump.split(",")),
                timeout=None if timeout in (None, "none") else float(str(timeout)),
            )
        except (ValueError, KeyError, paramiko.SSHException, ImportError) as error:
            raise _broken(f"{name}: {error}") from error


def aliases(files: Sequence[str] = ("~/.ssh/config", "/etc/ssh/ssh_config")) -> tuple[str, ...]:
    """Return the names that ``Host`` lines give to single machines, in their order.

    Patterns are left out, and names that only a ``Match`` gives.

    Raises
    ------
    ConfigError
        If a file cannot be read.
    """
    found: dict[str, None] = {}
    for line in (line for file in files for line in _file(expand(file), 0)):
        match = re.fullmatch(r"host(?:\s*=\s*|\s+)(.+)", line, re.IGNORECASE)
        try:
            names = shlex.split(match[1], comments=True) if match else []
        except ValueError as error:
            raise _broken(f"{line[:80]!a}: {error}") from error
        found |= {name: None for name in names if not re.search(r"[*?!]", name)}
    return tuple(found)


def split_hop(hop: str) -> tuple[str | None, str, int | None]:
    """Return user, host and port of ``[user@]host[:port]``.

    Raises
    ------
    ConfigError
        If it is not of that form.
    """
    match = _HOP.fullmatch(hop.strip())
    if match is None:
        raise _broken(f"ProxyJump names {hop!a}, which is no host")
    port = match["port"]
    return match["user"], match["host"].strip("[]"), int(port) if port else None


def expand(path: str) -> str:
    """Return a path with ``~`` and ``%d`` as the home folder."""
    home = os.path.expanduser("~")  # noqa: PTH111 -- Path.expanduser raises for an unknown ~name
    return os.path.expanduser(path.replace("%d", home))  # noqa: PTH111


def _known(named: list[str], found: paramiko.SSHConfigDict) -> list[str]:
    users = [] if "userknownhostsfile" in found else list(DEFAULT_FILES[:2])
    systems = [] if "globalknownhostsfile" in found else list(DEFAULT_FILES[2:])
    return [path for path in users + named + systems if path.lower() != "none"]


def _words(found: paramiko.SSHConfigDict, key: str) -> list[str]:
    return shlex.split(str(found.get(key, "")))


def _unquoted(text: str) -> str:
    return text.strip('"')


def _file(path: str, depth: int) -> Iterator[str]:
    """Yield a file's lines, those of the files that it includes in their place."""
    if depth > _DEPTH:
        raise _broken(f"{path}: files include each other more than {_DEPTH} deep")
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as stream:
            _trust(path, os.fstat(stream.fileno()))
            text = stream.read(_LONGEST)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _broken(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _broken(f"{path!a} cannot be read ({error})") from error
    block = "Host *"
    yield block
    for raw in text.splitlines():
        line = raw.strip()
        include = _INCLUDE.fullmatch(line)
        if include is None:
            block = line if _BLOCK.match(line) else block
            yield line
            continue
        for found in _included(include[1], path):
            # What is included counts only where the line that includes it does.
            yield from (_within(line, block) for line in _file(found, depth + 1))
        yield block


def _trust(path: str, status: os.stat_result) -> None:
    """Refuse what others could have written, as ``ssh`` does: the file can name programs."""
    if status.st_uid not in (0, os.getuid()) or others_write(status):
        raise _broken(
            f"{path} can be written by others than you",
            f"chown and chmod go-w {path}, as ssh wants it too.",
        )


def _included(text: str, path: str) -> list[str]:
    """Return the files that an Include names, pattern by pattern."""
    try:
        patterns = [_beside(expand(pattern)) for pattern in shlex.split(text)]
        return [file for pattern in patterns for file in sorted(glob.glob(pattern))]  # noqa: PTH207
    except ValueError as error:
        raise _broken(f"{path}: Include {text[:80]!a}: {error}") from error


def _within(line: str, block: str) -> str:
    """Return a line of an included file, its "for every host" as its includer's block."""
    return block if line == "Host *" else line


def _beside(pattern: str) -> str:
    return pattern if os.path.isabs(pattern) else expand(f"~/.ssh/{pattern}")  # noqa: PTH117


def _broken(
    what: str,
    todo: str = "Mend the SSH configuration, or name the host's details in the fleet file.",
) -> ConfigError:
    return ConfigError(f"The SSH configuration cannot be used: {what}.", next=todo)
