"""OpenSSH's files of known hosts, read as OpenSSH reads them.

The format is that of ``sshd(8)``, "SSH_KNOWN_HOSTS FILE FORMAT"; what it leaves open is as
OpenSSH's own reader does it. A line that this reader passes over is one that ``ssh`` passes over:
to be stricter here would be to refuse hosts that ``ssh`` connects to, and to be laxer would be a
hole. Lines are bytes throughout, since names need not be text in any encoding.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hmac
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ..wire.errors import ConfigError

Marker = Literal["", "authority", "revoked"]

#: Where the keys of hosts are, unless ssh_config says otherwise; the first file wins.
DEFAULT_FILES = (
    "~/.ssh/known_hosts",
    "~/.ssh/known_hosts2",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
)
_MARKERS: dict[bytes, Marker] = {b"@cert-authority": "authority", b"@revoked": "revoked"}
_BLANKS = re.compile(rb"[ \t]+")
#: OpenSSH's buffer for a pattern: of these bytes and more none fits.
_PATTERN_TOO_LONG = 1023
_SHA1_BYTES = 20
#: What isspace() is for C in every locale; base64 may have it anywhere, a CR at the end above all.
_C_SPACE = b" \t\n\v\f\r"
_RSA_BITS = range(1024, 16384 + 1)
_POINT_BYTES = {b"nistp256": 65, b"nistp384": 97, b"nistp521": 133}
_CERTIFICATE = "-cert-v01@openssh.com"
#: How many fields a key has after its type.
_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key, however its bytes were written.

    Attributes
    ----------
    kind
        Its type, such as ``ssh-ed25519``; of a certificate the type of the key in it.
    numbers
        What the key consists of. Leading zeros of RSA's are gone: with them a revoked key could
        be written in another way.
    certified
        Whether it comes as a certificate. One is read as far as its key; who signed it is not
        looked at.
    """

    kind: str
    numbers: tuple[bytes, ...]
    certified: bool = False

    def same_numbers(self, other: PublicKey) -> bool:
        """Return whether both are the same key, be it in a certificate."""
        return (self.kind, self.numbers) == (other.kind, other.numbers)


def public_key(blob: bytes) -> PublicKey | None:
    """Return the key in an SSH wire encoding (RFC 4253, 5656, 8709), or None if it is none.

    Whether a point lies on its curve is not checked: as no server can prove to have the key of a
    false one, it is never equal to a key that is offered.
    """
    try:
        name, rest = _string(blob)
        kind, certified = _plain(name.decode("latin-1"))
        if certified:
            _, rest = _string(rest)  # the nonce
        numbers: list[bytes] = []
        for _ in range(_FIELDS[kind]):
            number, rest = _string(rest)
            numbers.append(number)
    except (ValueError, KeyError):
        return None
    if (rest and not certified) or not _is_sound(kind, numbers):
        return None
    if kind == "ssh-rsa":
        numbers = [number.lstrip(b"\0") for number in numbers]
    return PublicKey(kind=kind, numbers=tuple(numbers), certified=certified)


def key_type(algorithm: str) -> str:
    """Return the type of key that an algorithm signs with: ``ssh-rsa`` for ``rsa-sha2-512``."""
    return _plain(algorithm)[0]


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Return the string at the front, and what follows; ValueError if it is cut short."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < max(end, 4):
        raise ValueError("cut short")
    return data[4:end], data[end:]


def _plain(name: str) -> tuple[str, bool]:
    """Return the type of key that a type or an algorithm is about, and if it is a certificate."""
    certified = name.endswith(_CERTIFICATE)
    kind = name.removesuffix(_CERTIFICATE)
    if certified and kind.startswith("sk-"):
        kind += "@openssh.com"
    # The names of signatures stand for the type of key too.
    return ("ssh-rsa" if kind in ("rsa-sha2-256", "rsa-sha2-512") else kind), certified


def _is_sound(kind: str, numbers: list[bytes]) -> bool:
    if "ed25519" in kind:
        return len(numbers[0]) == 32
    if kind == "ssh-rsa":
        positive = all(number[:1] < b"\x80" for number in numbers)
        return positive and int.from_bytes(numbers[1], "big").bit_length() in _RSA_BITS
    curve, point = numbers[:2]
    uncompressed = point[:1] == b"\x04" and len(point) == _POINT_BYTES.get(curve)
    return uncompressed and curve.decode("latin-1") in kind


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLine:
    """A line that is about a host.

    Attributes
    ----------
    path, number
        The file, and the line in it, counted from 1.
    name
        The name that it was found by.
    marker
        ``authority``: the key signs certificates of hosts. ``revoked``: it must never be taken.
    key, blob
        Its key, and that as it was written.
    """

    path: str
    number: int
    name: str
    marker: Marker
    key: PublicKey
    blob: bytes

    @property
    def place(self) -> str:
        """Where the line is, as ``file:line``."""
        return f"{self.path}:{self.number}"


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """All that is known of hosts.

    Parameters
    ----------
    files
        Path and content of each file, the first one first.
    """

    files: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def read(cls, paths: Iterable[str] = DEFAULT_FILES) -> KnownHosts:
        """Return what the files say; those that are not there say nothing.

        Raises
        ------
        ConfigError
            If a file is there and cannot be read. ``ssh`` goes on without it; but it may be the
            one that revokes a key.
        """
        files: list[tuple[str, bytes]] = []
        for path in (os.path.expanduser(path) for path in paths):  # noqa: PTH111
            try:
                with open(path, "rb") as file:  # noqa: PTH123
                    files.append((path, file.read()))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise ConfigError(
                    f"The file of known hosts {path} cannot be read: {error.strerror}.",
                    next="Make it readable for yourself: it may hold keys that are revoked.",
                ) from error
        return cls(tuple(files))

    def lines(self, name: str) -> list[KnownLine]:
        """Return the lines about a host, in order; those that ``ssh`` cannot use are left out."""
        return [line for path, data in self.files for line in _lines(path, data, name)]


def _lines(path: str, data: bytes, name: str) -> Iterator[KnownLine]:
    asked = os.fsencode(name)
    for number, raw in enumerate(data.split(b"\n"), start=1):
        # A line ends for C at its first NUL.
        text = raw.split(b"\0", 1)[0].lstrip(b" \t")
        if not text or text.startswith(b"#"):
            continue
        marked = _marked(text)
        if marked is None:
            continue
        marker, text = marked
        names, text = _word(text)
        if not matches(asked, names):
            continue
        if (found := _key(text)) is not None:
            key, blob = found
            yield KnownLine(path=path, number=number, name=name, marker=marker, key=key, blob=blob)


def _word(text: bytes) -> tuple[bytes, bytes]:
    """Return the first word, and what follows the blanks after it."""
    word, *rest = _BLANKS.split(text, maxsplit=1)
    return word, rest[0] if rest else b""


def _marked(text: bytes) -> tuple[Marker, bytes] | None:
    """Return a line's marker, and what follows it; None if ``ssh`` passes over the line.

    A marker ends at the first space of the line, and only in a line without any at a tab.
    """
    if not text.startswith(b"@"):
        return "", text
    end = text.find(b" ") if b" " in text else text.find(b"\t")
    marker = _MARKERS.get(text[: max(end, 0)])
    rest = text[end:].lstrip(b" \t")
    return None if marker is None or rest.startswith(b"@") else (marker, rest)


def _key(text: bytes) -> tuple[PublicKey, bytes] | None:
    """Return the key at the front of what follows the names, or None."""
    word, text = _word(text)
    encoded, _ = _word(text)
    blob = _decoded(encoded.translate(None, _C_SPACE))
    key = public_key(blob)
    kind, certified = _plain(word.decode("latin-1"))
    if key is None or (key.kind, key.certified) != (kind, certified):
        return None
    return key, blob


def _decoded(text: bytes) -> bytes:
    """Return what base64 says; nothing unless it is written in the one right way."""
    try:
        data = binascii.a2b_base64(text)
    except binascii.Error:
        return b""
    return data if base64.b64encode(data) == text else b""


def matches(name: bytes, names: bytes) -> bool:
    """Return whether the names of a line, hashed or patterns, are about a host.

    Parameters
    ----------
    name
        The host as OpenSSH looks it up: ``mac``, or ``[mac]:2222``.
    names
        The line's first word: ``|1|salt|hash``, or patterns and commas. A pattern with ``!``
        that fits takes the whole line back.
    """
    if names.startswith(b"|"):
        return names == _hashed(name, names)
    fits = False
    for pattern in names.lower().split(b","):
        wanted = pattern.removeprefix(b"!")
        if len(wanted) >= _PATTERN_TOO_LONG:
            return False
        if _fits(name.lower(), wanted):
            if pattern.startswith(b"!"):
                return False
            fits = True
    return fits


def _fits(name: bytes, pattern: bytes) -> bool:
    if b"*" not in pattern and b"?" not in pattern:
        return name == pattern
    # What brackets mean to fnmatch they do not mean here.
    return fnmatch.fnmatchcase(name, pattern.replace(b"[", b"[[]"))


def _hashed(name: bytes, names: bytes) -> bytes:
    """Return how a host is written with the salt of a hashed name; nothing if that is broken."""
    salt = _decoded(names.split(b"|")[2]) if names.count(b"|") > 2 else b""
    if len(salt) != _SHA1_BYTES:
        return b""
    code = hmac.digest(salt, name, "sha1")
    return b"|1|" + base64.b64encode(salt) + b"|" + base64.b64encode(code)
