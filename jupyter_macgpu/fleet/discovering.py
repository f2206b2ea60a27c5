"""Macs with Remote Login on this network, found by Bonjour. Nobody is connected to.

Remote Login announces ``_ssh._tcp`` under the computer's name, with nothing in it. Under the same
name ``_device-info._tcp`` answers the model and the build train of the system; it cannot be browsed
for, only asked for. Anybody may say anything there, and file servers say that they are a
``MacSamba``: it is a hint, what the probe reads decides.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..wire.errors import ALL_KEPT, TransportError
from .hosts import Host

if TYPE_CHECKING:
    from zeroconf import ServiceInfo
    from zeroconf.asyncio import AsyncZeroconf

_SSH, _DEVICE = "_ssh._tcp.local.", "_device-info._tcp.local."
#: Seconds for the answers about one machine, once its name is known.
_PATIENCE = 1.5
#: macOS by its build train, the number of its Darwin.
_SYSTEMS = {20: "11", 21: "12", 22: "13", 23: "14", 24: "15", 25: "26", 26: "27"}
#: What servers say that are no Macs.
_NO_MACS = ("MacSamba", "RackMac", "Xserve", "TimeCapsule", "AirPort")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One machine that announces an SSH server.

    Attributes
    ----------
    name
        The computer's name, as it says.
    hostname
        Such as ``studio.local``.
    addresses
        IPv4 first.
    port
        Of its SSH server.
    model
        Such as ``Mac14,14``; empty where it does not say.
    system
        Such as ``macOS 15``; empty where it does not say.
    host
        What the fleet calls it; empty if it is not in the fleet.
    """

    name: str
    hostname: str
    addresses: tuple[str, ...] = ()
    port: int = 22
    model: str = ""
    system: str = ""
    host: str = ""

    @property
    def is_mac(self) -> bool | None:
        """Whether it is a Mac; None where it does not say."""
        return None if not self.model else not self.model.startswith(_NO_MACS)

    @property
    def target(self) -> str:
        """What ``macgpu add`` takes for it."""
        return self.hostname if self.port == 22 else f"{self.hostname}:{self.port}"

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**asdict(self), "addresses": list(self.addresses), "is_mac": self.is_mac}


def discover(
    seconds: float, fleet: Iterable[Host] = (), interfaces: Sequence[str] | None = None
) -> list[Found]:
    """Listen for a while; return the machines that answered, those that seem to be Macs first.

    Parameters
    ----------
    fleet
        The hosts that are known.
    interfaces
        Addresses of the interfaces to ask on; all if not given.

    Raises
    ------
    TransportError
        If this machine has no network that could be asked.
    """
    try:
        infos = asyncio.run(_browse(seconds, interfaces))
    except OSError as error:
        raise TransportError(
            f"Nobody could be asked on this network: {error.strerror or error}.",
            known="Nobody was connected to.",
            kept=ALL_KEPT,
            next="See whether this machine has a network; macgpu add takes a name at any time.",
        ) from error
    known = list(fleet)
    found = [_found(ssh, device, known) for ssh, device in infos]
    order = {True: 0, None: 1, False: 2}
    return sorted(found, key=lambda each: (order[each.is_mac], each.name))


async def _browse(
    seconds: float, interfaces: Sequence[str] | None
) -> list[tuple[ServiceInfo, ServiceInfo]]:
    # It takes a tenth of a second to import: only those pay who look for Macs.
    from zeroconf import InterfaceChoice, ServiceStateChange
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

    names: dict[str, None] = {}

    def heard(name: str, state_change: ServiceStateChange, **_: object) -> None:
        if state_change is ServiceStateChange.Removed:
            names.pop(name, None)
        else:
            names[name] = None

    chosen = list(interfaces) if interfaces is not None else InterfaceChoice.All
    async with AsyncZeroconf(interfaces=chosen) as zeroconf:
        browser = AsyncServiceBrowser(zeroconf.zeroconf, _SSH, handlers=[heard])
        await asyncio.sleep(seconds)
        infos = await asyncio.gather(*(_ask(zeroconf, name) for name in list(names)[:500]))
        await browser.async_cancel()
    return infos


async def _ask(zeroconf: AsyncZeroconf, name: str) -> tuple[ServiceInfo, ServiceInfo]:
    from zeroconf.asyncio import AsyncServiceInfo

    ssh = AsyncServiceInfo(_SSH, name)
    device = AsyncServiceInfo(_DEVICE, f"{name.removesuffix(_SSH)}{_DEVICE}")
    # Of a device the text alone comes: the request then ends unfinished, with the text in it.
    await asyncio.gather(
        *(each.async_request(zeroconf.zeroconf, 1000 * _PATIENCE) for each in (ssh, device))
    )
    return ssh, device


def _found(ssh: ServiceInfo, device: ServiceInfo, fleet: Sequence[Host]) -> Found:
    said = device.decoded_properties
    train = said.get("osxvers") or ""
    system = _SYSTEMS.get(int(train)) if train.isascii() and train.isdigit() else None
    addresses = sorted(ssh.parsed_scoped_addresses(), key=_order)
    found = Found(
        name=_shown(ssh.name.removesuffix(f".{_SSH}")),
        hostname=_shown((ssh.server or "").rstrip(".")),
        addresses=tuple(addresses),
        port=ssh.port or 22,
        model=_shown(said.get("model") or ""),
        system=f"macOS {system}" if system else "",
    )
    return Found(**{**asdict(found), "host": _name_in(fleet, found)})


def _name_in(fleet: Sequence[Host], found: Found) -> str:
    wanted = {found.hostname.lower(), *found.addresses}
    wanted.add(found.hostname.lower().removesuffix(".local"))
    for host in fleet:
        if host.address.lower() in wanted and (host.port or 22) == found.port:
            return host.name
    return ""


def _order(address: str) -> tuple[int, str]:
    return ipaddress.ip_address(address.partition("%")[0]).version, address


def _shown(text: str) -> str:
    """Return what somebody on the network said as it may be printed."""
    return "".join(c if c.isprintable() else "?" for c in text)[:100]
