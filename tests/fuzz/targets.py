"""Everything that reads what others wrote, as functions of bytes.

Each takes any bytes whatever and returns, or raises what it says in words: anything else is a bug.
"""

from __future__ import annotations

import contextlib
import fcntl
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from jupyter_macgpu.fleet.file import FleetFileError, parse_fleet
from jupyter_macgpu.mac import journal, pause, tickets
from jupyter_macgpu.mac.supervisor import Supervisor
from jupyter_macgpu.options import parse_cell
from jupyter_macgpu.transport.known_hosts import KnownHosts, public_key
from jupyter_macgpu.transport.ssh.config import ClientConfig, aliases
from jupyter_macgpu.verbs import parse_verb
from jupyter_macgpu.wire import bundle, codec, content, policy
from jupyter_macgpu.wire import messages as m
from jupyter_macgpu.wire.connection import PREAMBLE, Connection
from jupyter_macgpu.wire.errors import ConfigError, RemoteProtocolError
from jupyter_macgpu.wire.probe import read, read_probe
from jupyter_macgpu.wire.probe.kinds import names
from jupyter_macgpu.wire.values.confined import apply_data, inputs_from
from jupyter_macgpu.words import OptionError

RUN = "0" * 32
ROLES = [("client", "supervisor"), ("supervisor", "client")]
ROLES += [("supervisor", "worker"), ("worker", "supervisor")]
#: Readers of files get one, in a folder of this process.
FOLDER = Path(tempfile.mkdtemp(prefix="macgpu-fuzz-"))


def file(data: bytes) -> Path:
    path = FOLDER / "file"
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def frames(data: bytes) -> None:
    """Bytes of a peer that has said hello; the first one says who it is."""
    roles = ROLES[data[0] % len(ROLES)] if data else ROLES[0]
    connection = Connection(*roles)
    with contextlib.suppress(RemoteProtocolError):
        connection.receive(PREAMBLE + codec.encode(m.Hello(role=roles[1])))
        connection.receive(data[1:])
        while connection.next() is not None:
            pass


def mended_frames(data: bytes) -> None:
    """Heads, a line each, in frames with right checksums: past the first gate."""
    whole = bytearray(data[:1])
    for head in data[1:].split(b"\n"):
        whole += struct.pack("!III", len(head), 0, zlib.crc32(head)) + head
    frames(bytes(whole))


def bundles(data: bytes) -> None:
    """A run's inputs or its result."""
    with contextlib.suppress(RemoteProtocolError):
        assert sum(part.nbytes for part in bundle.unpack(memoryview(data))) <= len(data)


def joined(data: bytes) -> None:
    """The content of a display that came in pieces."""
    with contextlib.suppress(RemoteProtocolError):
        content.Joiner().take("display_data", {"in_buffers": True}, (data,))


def values(data: bytes) -> None:
    """Values of a host that may run no code here."""
    stream, _, buffer = data.partition(b"|")
    apply_data(stream, (buffer,), {0: [], 1: {}}, {}, run="r", host="h", announced=["x"])
    inputs_from(stream, (buffer,), host="h")


def fleet(data: bytes) -> None:
    """A fleet file."""
    with contextlib.suppress(FleetFileError):
        parse_fleet(data.decode("utf-8", "replace"), "macgpu.yaml")


def lines(data: bytes) -> None:
    """The line of a magic."""
    for parse in (parse_cell, parse_verb):
        with contextlib.suppress(OptionError):
            parse(text(data))


def known_hosts(data: bytes) -> None:
    """A file of known hosts, and a host's key."""
    known = KnownHosts((("known_hosts", data),))
    for name in ("mac", "[mac]:2222", "10.0.0.1"):
        known.lines(name)
    public_key(data)


def ssh_config(data: bytes) -> None:
    """A configuration of OpenSSH's client."""
    small = data.lower()
    if b"exec" in small or b"canonical" in small:
        return  # these run programs and ask name servers, as ssh does
    path = str(file(data))
    with contextlib.suppress(ConfigError):
        ClientConfig((path,)).lookup("mac")
    with contextlib.suppress(ConfigError):
        aliases((path,))


def probe(data: bytes) -> None:
    """What a host's tools print: as a whole, and each tool's alone."""
    read_probe(data)
    read_probe(b"n begin\n" + data, "n")
    for kind in names():
        read(kind, text(data))


def journals(data: bytes) -> None:
    """A run's journal, as a crash may have left it."""
    found = journal.Journal(file(data), RUN)
    try:
        for offset in (0, found.base, found.end // 2, found.end + 1):
            list(found.read(found.boundary(offset)))
        with contextlib.suppress(ValueError):
            found.first()
    finally:
        found.close()


def log(data: bytes) -> None:
    """The log of runs: lines as they stand, and the same with right checksums."""
    whole = b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in data.split(b"\n"))
    for content_ in (data, whole):
        Supervisor({"gpu": 1, "cpu": 1}, "boot").restore(journal.compact(file(content_)), 0.0)


def host_policy(data: bytes) -> None:
    """The administrator's file."""
    with contextlib.suppress(policy.PolicyError):
        assert policy.from_plain(policy.read(data).plain()) is not None


def pauses(data: bytes) -> None:
    """The owner's pause."""
    assert 0 <= pause.Pause(file(data)).left() <= pause.LONGEST


def ticket(data: bytes) -> None:
    """A ticket of another account in the shared queue, alive as long as it is locked."""
    folder = FOLDER / "queue"
    folder.mkdir(exist_ok=True)
    path = folder / f"0000000001.{'a' * 16}.waiting"
    path.write_bytes(data)
    path.chmod(0o644)
    queue = tickets.Folder(folder)
    try:
        with path.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert len(queue.look()) <= 1
    finally:
        queue.close()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "bundle": bundles,
    "content": joined,
    "fleet": fleet,
    "frames": frames,
    "heads": mended_frames,
    "journal": journals,
    "known_hosts": known_hosts,
    "log": log,
    "magic": lines,
    "pause": pauses,
    "policy": host_policy,
    "probe": probe,
    "ssh_config": ssh_config,
    "ticket": ticket,
    "values": values,
}

CORPUS = Path(__file__).parent / "corpus"


def corpus(target: str) -> list[Path]:
    """Return the files kept for a target, the first of them written by hand."""
    return sorted((CORPUS / target).iterdir())
