"""Connecting a socket to an SSH server: quickly, within bounds, and not too many at a time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
import select
import selectors
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from ..wire.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    _Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]

#: Seconds after which the next address of a name is tried beside the first (RFC 8305).
_STAGGER = 0.25
#: Seconds that a server may take to say what it is.
BANNER = 15.0
#: Bytes that may stand before a server's version (RFC 4253 4.2 allows lines before it).
_BANNER_ROOM = 8192
#: What OpenSSH 9.8 and later says to an address that it has penalised (sshd.c).
_SHUT = b"Not allowed at this time"
#: What OpenSSH says before it turns a connection away by MaxStartups (sshd.c).
_FULL = b"Exceeded MaxStartups"
#: Handshakes with one host at a time, over all processes of this account: sshd turns new
#: logins away by chance from 10 unfinished ones on.
_AT_ONCE = 4
#: Seconds for which a process waits for others' handshakes.
_TURN = 20.0
#: Seconds after which a connection counts as dead whose bytes nobody acknowledges.
_UNACKNOWLEDGED = 15
#: TCP_RXT_CONNDROPTIME of netinet/tcp.h: seconds of retransmission, on macOS.
_DARWIN_DROP_TIME = 0x80


def dial(name: str, address: str, port: int, timeout: float) -> socket.socket:
    """Return a socket that is connected to an SSH server.

    All addresses of the name are tried, each a quarter of a second after the one before.

    Parameters
    ----------
    name
        What the user calls the host, for error texts.
    timeout
        Seconds.

    Raises
    ------
    TransportError
        If there is no such name, or nobody answers in time.
    """
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TransportError(
            f"{name}: there is no host {address} ({getattr(error, 'strerror', error)}).",
            next="Check hostname in the fleet file, or that the Mac is on this network.",
        ) from error
    link = _first(name, address, port, found, timeout)
    link.setblocking(True)
    # Before the handshake: each of its small messages would wait 40 ms for an acknowledgement.
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "darwin":
        link.setsockopt(socket.IPPROTO_TCP, _DARWIN_DROP_TIME, _UNACKNOWLEDGED)
    else:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED * 1000)
    return link


def expect_ssh(link: socket.socket, name: str, place: str, patience: float = BANNER) -> None:
    """Return when the peer has said that it is an SSH server; nothing is taken from the socket.

    Raises
    ------
    TransportError
        If it says something else or nothing. It is a `HungUp` one if it hangs up without a word.
    """
    deadline = time.monotonic() + patience
    poll = select.poll()
    poll.register(link, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if not poll.poll(left * 1000):
            break
        try:
            said = link.recv(_BANNER_ROOM, socket.MSG_PEEK)
        except OSError:
            said = b""
        if b"\nSSH-" in b"\n" + said:
            return
        if said.startswith(_SHUT):
            raise ShutOut(f"{name}: {place} shuts this address out after refused logins.")
        if said.startswith(_FULL):
            raise Crowded(f"{name}: {place} takes no more logins at this moment.")
        if not said:
            raise HungUp(f"{name}: {place} takes connections and hangs up without a word.")
        if len(said) >= _BANNER_ROOM or (b"\n" in said and b"HTTP/" in said[:64]):
            raise _no_ssh(name, place, said)
        time.sleep(0.002)  # a part has come; poll would return at once until the rest has
    with contextlib.suppress(OSError):
        said = link.recv(_BANNER_ROOM, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        raise _no_ssh(name, place, said)
    raise Hanging(f"{name}: {place} takes connections but has said nothing for {patience:.0f} s.")


class Unanswered(TransportError):
    """Nobody answers at that address: no acceptance, no refusal."""

    sign = "silent"
    next = "The Mac may be asleep, off, or on another network."


class Hanging(TransportError):
    """The host takes connections, and its SSH server says nothing."""

    sign = "slow"
    next = "It may be overloaded or just waking up, or this is not an SSH server."


class Crowded(TransportError):
    """The host turned us away before any login: too many log in at this moment."""

    sign = "slow"
    next = "Run the cell again in a minute. An admin may raise MaxStartups in sshd_config."


class HungUp(Crowded):
    """The host hung up before any greeting: an SSH server that is crowded says so."""

    sign = ""
    next = (
        "Its SSH server may not start, or a firewall or a port forwarder answers in its place: "
        "try `ssh -v` with the same host. An old SSH server hangs up so when too many log in."
    )


class ShutOut(TransportError):
    """The host takes no connection from this address for a while."""

    lasting = True
    next = "Wait some minutes: sshd forgets it (PerSourcePenalties). Then mend the login first."


@contextlib.contextmanager
def turn(folder: Path, address: str, port: int) -> Iterator[None]:
    """Wait until fewer than `_AT_ONCE` processes of this account shake hands with a host.

    Parameters
    ----------
    folder
        Where the locks are kept; of this account alone.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    key = hashlib.sha256(f"{address}:{port}".encode()).hexdigest()[:16]
    deadline = time.monotonic() + _TURN
    fd = -1
    while fd < 0 and time.monotonic() < deadline:
        fd = _free_place(folder, key)
        if fd < 0:
            time.sleep(random.uniform(0.01, 0.06))
    try:
        yield
    finally:
        if fd >= 0:
            os.close(fd)


def _free_place(folder: Path, key: str) -> int:
    for place in random.sample(range(_AT_ONCE), _AT_ONCE):
        fd = os.open(folder / f"{key}.{place}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
        else:
            return fd
    return -1


def _no_ssh(name: str, place: str, said: bytes) -> TransportError:
    first = said[:60].decode("utf-8", "replace").splitlines()[:1]
    shown = "".join(c if c.isprintable() else "?" for c in "".join(first))
    return TransportError(
        f"{name}: {place} does not speak SSH; it says {shown!r}.",
        next="Check hostname and port in the fleet file; port 22 is Remote Login's.",
    )


def _first(
    name: str, address: str, port: int, found: Sequence[_Address], timeout: float
) -> socket.socket:
    """Return the first socket that connects (happy eyeballs), and close the others."""
    waiting = list(found)
    errors: list[str] = []
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                if waiting:
                    _start(selector, waiting.pop(0), errors)
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                if not selector.get_map():
                    continue
                for key, _ in selector.select(min(left, _STAGGER) if waiting else left):
                    winner = key.fileobj
                    assert isinstance(winner, socket.socket)
                    selector.unregister(winner)
                    problem = winner.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not problem:
                        return winner
                    errors.append(os.strerror(problem))
                    winner.close()
        finally:
            for key in list(selector.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()
    raise _unanswered(name, address, port, errors, timeout)


def _start(selector: selectors.BaseSelector, found: _Address, errors: list[str]) -> None:
    family, kind, protocol, _, where = found
    try:
        link = socket.socket(family, kind, protocol)
    except OSError as error:
        errors.append(error.strerror or str(error))
        return
    try:
        link.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            link.connect(where)
    except OSError as error:
        link.close()
        errors.append(error.strerror or str(error))
        return
    selector.register(link, selectors.EVENT_WRITE)


def _unanswered(
    name: str, address: str, port: int, errors: list[str], timeout: float
) -> TransportError:
    place = f"{address} port {port}"
    if not errors:
        return Unanswered(f"{name}: {place} has not answered within {timeout:g} s.")
    reasons = ", ".join(dict.fromkeys(errors))
    hint = (
        "On the Mac: System Settings, General, Sharing, Remote Login (or `sudo systemsetup "
        "-setremotelogin on`); then check the port."
    )
    if "No route to host" in reasons and sys.platform == "darwin":
        hint = (
            "macOS may be keeping this program from the local network: allow it in System "
            "Settings, Privacy & Security, Local Network (`open 'x-apple.systempreferences:"
            "com.apple.preference.security?Privacy_LocalNetwork'`), and start it again."
        )
    return TransportError(f"{name}: {place} cannot be reached ({reasons}).", next=hint)
