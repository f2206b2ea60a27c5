"""Two network namespaces joined by a cable: the host in one, the notebook side in the other.

What is wrong with the cable is real: packets are dropped, limited or have no route. Only their
delay is left to the relay: not every kernel has the queue for it. Needs root on Linux.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

UP, DOWN = "up", "down"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_PROGRAMS = ("ip", "nft", "tc", "ss")
_numbers = itertools.count()


def why_none() -> str:
    """Return why there can be no namespaces here; nothing if there can."""
    if sys.platform != "linux" or os.geteuid():
        return "network namespaces need root on Linux"
    if missing := [name for name in _PROGRAMS if not _path(name)]:
        return f"network namespaces need {', '.join(missing)}"
    tried = subprocess.run([_path("unshare"), "--net", "true"], capture_output=True)
    return "" if tried.returncode == 0 else "this container may not make network namespaces"


def _path(program: str) -> str:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""


def _do(*words: str, given: str = "") -> None:
    done = subprocess.run(
        [_path(words[0]), *words[1:]], input=given, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


class Network:
    """The two namespaces and the cable.

    Attributes
    ----------
    near, far
        Names of the notebook side's namespace and of the host's.
    address, address6
        The host's.
    """

    def __init__(self) -> None:
        number = next(_numbers)
        stem = f"macgpu-{os.getpid()}-{number}"
        self.near, self.far = f"{stem}-near", f"{stem}-far"
        self.address, self.address6 = "10.213.0.2", "fd00:213::2"
        self._files = Path("/etc/netns") / self.near
        self._made: list[str] = []
        for name in (self.near, self.far):
            _do("ip", "netns", "add", name)
            self._made.append(name)
        cable = ("link", "add", "cable", "type", "veth", "peer", "name", "cable")
        _do("ip", "-n", self.near, *cable, "netns", self.far)
        for name, number in ((self.near, 1), (self.far, 2)):
            _do("ip", "-n", name, "address", "add", f"10.213.0.{number}/24", "dev", "cable")
            _do(
                *("ip", "-n", name, "address", "add", f"fd00:213::{number}/64"),
                *("dev", "cable", "nodad"),
            )
            for link in ("lo", "cable"):
                _do("ip", "-n", name, "link", "set", link, "up")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be on the notebook side: this thread, and the threads and children that it starts."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.near}") as near:  # noqa: PTH123
            _enter(near.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def popen(
        self, words: Sequence[str], hosts: str = "", **options: object
    ) -> subprocess.Popen[bytes]:
        """Start a program on the notebook side.

        Parameters
        ----------
        hosts
            What it sees as ``/etc/hosts``; nothing leaves it as it is.
        options
            As for ``subprocess.Popen``.
        """
        if hosts:
            self._files.mkdir(parents=True, exist_ok=True)
            (self._files / "hosts").write_text(hosts)
        inside = [_path("ip"), "netns", "exec", self.near, *words]
        return subprocess.Popen(inside, **options)  # type: ignore[call-overload, no-any-return]

    def pull(self) -> None:
        """Pull the cable out on the host's side: neither end is told."""
        _do("ip", "-n", self.far, "link", "set", "cable", "down")

    def plug(self) -> None:
        """Put it back."""
        _do("ip", "-n", self.far, "link", "set", "cable", "up")
        # The kernel forgets the IPv6 address of a link that goes down.
        address = f"{self.address6}/64"
        _do("ip", "-n", self.far, "address", "replace", address, "dev", "cable", "nodad")

    def drop(self, direction: str, percent: int = 100) -> None:
        """Lose packets of one direction: ``up`` is towards the host."""
        hook = "input" if direction == UP else "output"
        which = "" if percent >= 100 else f"numgen random mod 100 < {percent}"
        table = f"table inet {direction}"
        chain = f"chain lose {{ type filter hook {hook} priority 0; {which} drop; }}; "
        _do("ip", "netns", "exec", self.far, "nft", "-f", "-", given=f"{table} {{ {chain} }}\n")

    def mend(self) -> None:
        """Lose nothing any more, and no limit on the rate."""
        _do("ip", "netns", "exec", self.far, "nft", "flush", "ruleset")
        for name in (self.near, self.far):
            subprocess.run(
                [_path("tc"), "-n", name, "qdisc", "del", "dev", "cable", "root"],
                capture_output=True,
            )

    def limit(self, rate: int) -> None:
        """Let only so many bytes a second through, in each direction."""
        for name in (self.near, self.far):
            words = ("qdisc", "replace", "dev", "cable", "root", "tbf", "rate", f"{rate}bps")
            _do("tc", "-n", name, *words, "burst", "16kb", "latency", "400ms")

    def reset(self) -> None:
        """Reset all connections at the host's end, which tells the other one."""
        _do("ip", "netns", "exec", self.far, "ss", "--kill", "--tcp", "state", "established")

    def swallow(self, address: str) -> None:
        """Lose, without a word, whatever the notebook side sends to an address."""
        family = "-6" if ":" in address else "-4"
        _do("ip", family, "-n", self.near, "route", "add", "blackhole", address)

    def unreachable(self, address: str) -> None:
        """Have the notebook side told that there is no route to an address."""
        _do("ip", "-n", self.near, "route", "add", "unreachable", f"{address}/32")

    def close(self) -> None:
        """Take it all down. What still runs in there loses its network."""
        for name in self._made:
            _do("ip", "netns", "delete", name)
        self._made = []
        if self._files.exists():
            shutil.rmtree(self._files)


def _enter(namespace: int) -> None:
    # os.setns is there from Python 3.12 on.
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def network() -> Iterator[Network]:
    """Give a test a network of its own."""
    if reason := why_none():
        pytest.skip(reason)
    made = Network()
    yield made
    made.close()
