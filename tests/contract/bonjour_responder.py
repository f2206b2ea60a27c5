"""Machines that announce themselves by Bonjour, for `test_discovering`: run as a process.

Argument: a JSON list of ``[name, hostname, address, port, text of the device or null]``. A Mac does
not announce its ``_device-info._tcp``; it answers the text when it is asked for by name. That
answer is made here by hand, python-zeroconf makes the rest.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

from zeroconf import DNSIncoming, DNSOutgoing, DNSText, ServiceInfo, const
from zeroconf.asyncio import AsyncZeroconf

SSH, DEVICE = "_ssh._tcp.local.", "_device-info._tcp.local."
GROUP = "224.0.0.251"


class Devices(asyncio.DatagramProtocol):
    """Answers questions about devices, and nothing else."""

    def __init__(self, texts: dict[str, bytes]) -> None:
        self._texts = texts

    def connection_made(self, transport: Any) -> None:
        """Remember the way out."""
        self._way = transport

    def datagram_received(self, data: bytes, _address: object) -> None:
        """Answer what is asked for by name."""
        message = DNSIncoming(data)
        for question in message.questions if message.is_query() else ():
            text = self._texts.get(question.name)
            if text is not None and question.type in (const._TYPE_TXT, const._TYPE_ANY):
                answer = DNSOutgoing(const._FLAGS_QR_RESPONSE | const._FLAGS_AA)
                record = DNSText(question.name, const._TYPE_TXT, const._CLASS_IN, 60, text)
                answer.add_answer_at_time(record, 0)
                for packet in answer.packets():
                    self._way.sendto(packet, (GROUP, 5353))


def listener(address: str) -> socket.socket:
    """Return a socket that hears what is asked on one interface."""
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    link.bind(("", 5353))
    mine = socket.inet_aton(address)
    link.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + mine)
    link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, mine)
    return link


def encoded(pairs: dict[str, str]) -> bytes:
    """Return pairs as a TXT record has them."""
    entries = [f"{key}={value}".encode() for key, value in pairs.items()]
    return b"".join(bytes([len(entry)]) + entry for entry in entries)


async def main(machines: list[list[object]]) -> None:
    """Announce the machines, say so, and answer until ended."""
    address = str(machines[0][2])
    texts = {
        f"{name}.{DEVICE}": encoded(said) for name, *_, said in machines if isinstance(said, dict)
    }
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Devices(texts), sock=listener(address))
    async with AsyncZeroconf(interfaces=[address]) as zeroconf:
        for name, hostname, where, port, _ in machines:
            info = ServiceInfo(
                SSH,
                f"{name}.{SSH}",
                addresses=[socket.inet_aton(str(where))],
                port=int(str(port)),
                server=f"{hostname}.",
            )
            await (await zeroconf.async_register_service(info))
        print("ready", flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
