"""Whether the key that a host shows is to be trusted: judged as OpenSSH does with strict checking.

Differences, all of them refusals where ``ssh`` connects: a certificate of a host is not looked at,
so a host that only a ``@cert-authority`` line vouches for is refused; a file that is there and
cannot be read is an error. And one more way to trust: a fingerprint in the fleet file.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..wire.errors import ALL_KEPT, TransportError
from .known_hosts import KnownHosts, KnownLine, PublicKey, key_type, public_key

Word = Literal["trusted", "unknown", "changed", "revoked", "authority"]

_DEFAULT_PORT = 22
_NUMBERS = re.compile(r"[0-9a-fx.]+", re.ASCII | re.IGNORECASE)
#: The names of host keys in /etc/ssh.
_KEY_FILES = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as ``ssh-keygen -l`` prints it, ``SHA256:...``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A host as it was asked for.

    Attributes
    ----------
    host
        Name or address that is connected to.
    port
        Its port.
    alias
        What ``HostKeyAlias`` says, or None.
    """

    host: str
    port: int = _DEFAULT_PORT
    alias: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the host is looked up as: the next name only if the first one is not known.

        An alias stands alone. With a port of its own a host is ``[host]:port``; if that is not
        known, a key that is known for the bare host will do.
        """
        if self.alias:
            return (_lower(self.alias),)
        host = _canonical(self.host)
        return (host,) if self.port == _DEFAULT_PORT else (f"[{host}]:{self.port}", host)


def _canonical(host: str) -> str:
    """Return a name in lower case; an address as the system writes it, ``::1`` for ``0::1``."""
    address, mark, zone = host.partition("%")
    for family, packed in ((socket.AF_INET6, _packed6), (socket.AF_INET, _packed4)):
        try:
            return socket.inet_ntop(family, packed(address)) + mark + zone
        except (OSError, ValueError):
            continue
    return _lower(host)


def _lower(name: str) -> str:
    """Return a name in lower case; other alphabets than English have none in known hosts."""
    return os.fsdecode(os.fsencode(name).lower())


def _packed6(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, address)


def _packed4(address: str) -> bytes:
    # 127.1 and 0x7f000001 are addresses too; but inet_aton looks no further than a blank.
    if not _NUMBERS.fullmatch(address):
        raise ValueError(address)
    return socket.inet_aton(address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be thought of a key.

    Attributes
    ----------
    word
        ``trusted``; or it is refused: ``unknown``, ``changed`` (another key is known),
        ``revoked``, ``authority`` (only a certificate would be trusted).
    line
        The line that decided, if one did.
    pinned
        The fingerprint in the fleet file, if it decided.
    """

    word: Word
    line: KnownLine | None = None
    pinned: str | None = None


def judge(known: KnownHosts, asked: Asked, blob: bytes, pinned: str | None = None) -> Verdict:
    """Return the verdict about a key that a host shows.

    Parameters
    ----------
    known
        What the files of known hosts say.
    asked
        The host.
    blob
        The key, in SSH's wire encoding.
    pinned
        The fingerprint that its key must have. It wins over all lines except those that revoke.
    """
    verdicts = [_judge_lines(known.lines(name), blob) for name in asked.names]
    revoked = [verdict for verdict in verdicts if verdict.word == "revoked"]
    if pinned is not None:
        matches = fingerprint(blob) == pinned.rstrip("=")
        decided = Verdict(word="trusted" if matches else "changed", pinned=pinned)
        return next(iter(revoked), decided)
    first, others = verdicts[0], verdicts[1:]
    if first.word not in ("unknown", "authority"):
        return first
    # What is known under the bare name may vouch for a key or revoke it. That it differs
    # says nothing: another port may be another machine.
    telling = [verdict for verdict in others if verdict.word in ("trusted", "revoked")]
    vouching = [verdict for verdict in verdicts if verdict.word == "authority"]
    return next(iter(telling + vouching), first)


def _judge_lines(lines: Sequence[KnownLine], blob: bytes) -> Verdict:
    """Return the verdict of the lines about one name."""
    key = public_key(blob)
    plain = [line for line in lines if not line.marker]
    if (line := _revoking(lines, key)) is not None:
        return Verdict(word="revoked", line=line)
    for line in plain:
        if line.key == key and not line.key.certified:
            return Verdict(word="trusted", line=line)
    if plain:
        # The line of the same type is the one to look at, if there is one.
        alike = [line for line in plain if key is not None and line.key.kind == key.kind]
        return Verdict(word="changed", line=(alike or plain)[-1])
    for line in lines:
        if line.marker == "authority":
            return Verdict(word="authority", line=line)
    return Verdict(word="unknown")


def _revoking(lines: Sequence[KnownLine], key: PublicKey | None) -> KnownLine | None:
    revoked = [line for line in lines if line.marker == "revoked"]
    return next((line for line in revoked if key and line.key.same_numbers(key)), None)


def known_kinds(known: KnownHosts, asked: Asked) -> tuple[str, ...]:
    """Return the types of the keys that are known for a host, as ``ssh-ed25519``.

    OpenSSH looks under the first name alone here, and so does this: a host on a port of its own
    is not asked for the type that is known for the bare name.
    """
    lines = known.lines(asked.names[0])
    first: dict[str, KnownLine] = {}
    for line in lines:
        if not line.marker:
            first.setdefault(line.key.kind, line)
    return tuple(kind for kind, line in first.items() if not _revoking(lines, line.key))


def preferred(algorithms: Sequence[str], kinds: Sequence[str]) -> tuple[str, ...]:
    """Return a client's host key algorithms, in the order in which it is to offer them.

    Those of known types come first, so that a host with several keys shows the one that is known.
    If the favourite is among them, the order stays: it then tells nobody what is known.
    """
    known = [name for name in algorithms if key_type(name) in kinds]
    if not known or known[0] == algorithms[0]:
        return tuple(algorithms)
    return (*known, *(name for name in algorithms if name not in known))


class HostKeyRefused(TransportError):
    """A host showed a key that is not trusted. The connection ended before any login.

    Attributes
    ----------
    verdict
        Why, and which line decided.
    """

    known = "The connection was refused before any login; nothing was sent."
    kept = ALL_KEPT
    lasting = True

    def __init__(self, what: str, *, verdict: Verdict, next: str) -> None:
        super().__init__(what, next=next)
        self.verdict = verdict


def refusal(
    verdict: Verdict, asked: Asked, blob: bytes, *, name: str, fleet_file: str = "the fleet file"
) -> HostKeyRefused:
    """Return the error for a key that is not trusted.

    Parameters
    ----------
    verdict, asked, blob
        As in `judge`.
    name
        What the fleet file calls the host.
    fleet_file
        Where its fingerprint is pinned.
    """
    kind = _shown(_kind(blob))
    place = verdict.line.place if verdict.line else ""
    address = _shown(asked.names[0])
    host = name if name == address else f"{name} ({address})"
    shown = f"{kind} {fingerprint(blob)}"
    same = (
        f"`ssh-keygen -lf /etc/ssh/ssh_host_{_KEY_FILES.get(kind, 'ecdsa')}_key.pub` on the Mac "
        "prints the same fingerprint"
    )
    match verdict.word:
        case "changed":
            expected, forget = _expected(verdict, name, fleet_file)
            what = (
                f"The key of {host} has changed.\n  shown: {shown}\n  known: {expected}\n"
                "Either the machine was set up anew, or another one answers in its place."
            )
            todo = (
                "There is no option to go on. Ask who runs the Mac. If it was set up anew, and "
                f"{same}: {forget}, then `macgpu trust {name}`."
            )
        case "revoked":
            what = f"The key of {host} is revoked by {place}: {shown}."
            todo = "Ask who runs the Mac for a new host key: this one may have been stolen."
        case _:
            what = f"The key of {host} is not known: {shown}."
            if verdict.word == "authority":
                what += f"\n{place} trusts certificates, which are not supported for hosts."
            todo = f"If {same}: `macgpu trust {name}`."
    return HostKeyRefused(what, verdict=verdict, next=todo)


def _expected(verdict: Verdict, name: str, fleet_file: str) -> tuple[str, str]:
    """Return which key should have been shown and who says so, and how to take that back."""
    line = verdict.line
    if line is None:
        place = f"hostkey of {name} in {fleet_file}"
        return f"{verdict.pinned} ({place})", f"delete the {place}"
    command = shlex.join(["ssh-keygen", "-R", line.name, "-f", line.path])
    expected = f"{line.key.kind} {fingerprint(line.blob)} ({line.place})"
    return expected, f"delete that line, as with `{command}`"


def _kind(blob: bytes) -> str:
    """Return the type that a key says it has."""
    return blob[4 : 4 + int.from_bytes(blob[:4], "big")][:64].decode("latin-1")


def _shown(text: str) -> str:
    """Return a text of the host's or the user's as it may be shown on a terminal."""
    return text if text.isascii() and text.isprintable() else ascii(text)
