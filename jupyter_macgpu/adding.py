"""``macgpu add``: the way in, from a name to a first tensor, and safe to repeat.

What is there already is taken as it is. Each step that is done stays done when a later one fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from . import doctor
from .fleet.editing import add_host, with_defaults
from .fleet.fields import is_address, is_host_name
from .fleet.file import load_fleet
from .fleet.hosts import Host
from .fleet.trusting import trust
from .keyline import key_line, restrict
from .pool import Pool
from .transport.script import Program
from .wire.errors import ConfigError, InputError, MacGPUError, TransportError

if TYPE_CHECKING:
    from .fleet.hosts import Fleet
    from .reach import Reach

_TARGET = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<six>[^\]\s]+)\]|(?P<host>[^:@\s]+))(?::(?P<port>\d{1,5}))?"
)


class Desk(Protocol):
    """Where a person sits, or nobody."""

    def say(self, text: str) -> None:
        """Show a line."""

    def agree(self, question: str) -> bool:
        """Return whether the person says yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a machine is, as it was typed."""

    address: str
    user: str | None = None
    port: int | None = None


def read_target(text: str) -> Target:
    """Read ``[USER@]HOST[:PORT]``; an IPv6 address stands in brackets.

    Raises
    ------
    InputError
        If it is not of that form. Nothing was done.
    """
    match = _TARGET.fullmatch(text)
    address = (match["six"] or match["host"]) if match else ""
    port = int(match["port"]) if match and match["port"] else None
    if match is None or not is_address(address) or (port is not None and not 0 < port < 65536):
        raise InputError(
            f"{text[:80]!a} is no machine.",
            next="Write macgpu add [USER@]HOST[:PORT], such as macgpu add me@studio.local.",
        )
    return Target(address=address, user=match["user"], port=port)


def host_for(target: Target, fleet: Fleet) -> tuple[Host, bool]:
    """Return the host that a target means, and whether the fleet has it already.

    A new one is called like its address, without ``.local``; where another host is called so, by
    the whole address, and then with the port.
    """
    for host in fleet.hosts:
        same = target.address in (host.name, host.address) and host.transport == "ssh"
        by_name = same and target.address == host.name and not (target.user or target.port)
        if by_name or (same and (target.user or host.user, target.port or 22) == _place(host)):
            return host, True
    taken = {host.name for host in fleet.hosts if fleet.files}
    plain = re.sub(r"[:%]", "-", target.address)
    wanted = (plain.removesuffix(".local"), plain, f"{plain}-{target.port or 22}")
    name = next((each for each in wanted if is_host_name(each) and each not in taken), wanted[-1])
    hostname = None if name == target.address else target.address
    return Host(name=name, hostname=hostname, user=target.user, port=target.port), False


def add(text: str, reach: Reach, desk: Desk, *, is_restricted: bool = False) -> bool:
    """Bring a machine into the fleet; return whether all of it works.

    Parameters
    ----------
    text
        ``[USER@]HOST[:PORT]``.
    is_restricted
        Whether our key is to open nothing but the door there from now on.

    Raises
    ------
    MacGPUError
        If it cannot be reached, its key is refused, or it refuses the login: nothing was written
        then, here or there.
    """
    target, fleet = read_target(text), load_fleet()
    host, is_known = host_for(target, fleet)
    if fleet.own is None:
        files = " and ".join(map(str, fleet.files))
        raise ConfigError(
            f"{files} counts only as it was allowed, so no command changes it.",
            known="Nothing was run.",
            kept="No file was changed.",
            next="Write the host there, then run macgpu allow.",
        )
    met = _meet(host if is_known else with_defaults(fleet.own, host), reach, desk)
    if met is None:
        return False
    _log_in(met, reach, text)
    if is_known and met.hostkey != host.hostkey and met.hostkey:
        trust(fleet, met.name, met.hostkey)
    elif not is_known:
        add_host(fleet.own, met)
    desk.say(f"{met.name} is in {fleet.own}" if not is_known else f"{met.name} was known already")
    is_well = _examine(met.name, reach, desk)
    if is_well and is_restricted:
        desk.say(restrict(met, reach))
    return is_well


def printed_line(text: str, reach: Reach) -> str:
    """Return the line for ``authorized_keys`` that lets a target's key open the door, and no more.

    Nobody is connected to: it is for tools that set machines up.

    Raises
    ------
    ConfigError
        If there is no public key.
    """
    host, _ = host_for(read_target(text), load_fleet())
    return key_line(host, reach)


def _meet(host: Host, reach: Reach, desk: Desk) -> Host | None:
    """Return the host with the key that it is to have; None if the person does not agree."""
    user, address, port = reach.way(host)
    shown = reach.key_of(host)
    if shown.refusal is None:
        desk.say(f"{host.name}: {address} port {port} shows the key that is known")
        return host
    if shown.word != "unknown":
        raise shown.refusal
    desk.say(f"{host.name}: {address} port {port} shows the key {shown.fingerprint}")
    desk.say("  compare it there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    if not desk.agree(f"Is that its key, and may {user} log in there? [y/N] "):
        desk.say("Nothing was written.")
        return None
    return replace(host, hostkey=shown.fingerprint)


def _log_in(host: Host, reach: Reach, text: str) -> None:
    """See whether our keys open it: its shell, or our door alone.

    Raises
    ------
    TransportError
        If they do not, with the line that brings a key there.
    """
    from .transport.ssh.login import LoginRefused

    try:
        reach.run(host, Program(text="say here"))
    except LoginRefused as error:
        user, address, port = reach.way(host)
        at = f"{user}@{address}" if port == 22 else f"-p {port} {user}@{address}"
        raise TransportError(
            error.what,
            known="No run was started.",
            kept="Nothing was written, here or there.",
            next=f"Bring a key there, by a password: `ssh-copy-id {at}` (without a key of your "
            f"own, `ssh-keygen -t ed25519` before). Or have this line put into its "
            f"~/.ssh/authorized_keys: `macgpu add --print-key-line {text}`. Then add it again.",
        ) from error


def _examine(name: str, reach: Reach, desk: Desk) -> bool:
    fleet = load_fleet()
    host = next(host for host in fleet.hosts if host.name == name)
    pool = Pool(fleet, reach, "")
    is_well = True
    try:
        for check in doctor.examine(pool, host):
            desk.say(doctor.line(check))
            is_well = is_well and check.state != "failed"
    except MacGPUError as error:
        desk.say(f"{error.what}\n{error.next}")
        return False
    finally:
        pool.close()
    return is_well


def _place(host: Host) -> tuple[str | None, int]:
    return host.user, host.port or 22
