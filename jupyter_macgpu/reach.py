"""The way to each kind of host: its transport, and what a worker there runs in."""

from __future__ import annotations

import getpass
import sys
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .fleet.simulated import settings
from .ledger import state_folder
from .transport.local import LocalTransport
from .transport.script import run_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .fleet.hosts import Host
    from .transport.base import Transport
    from .transport.script import Program, Ran
    from .transport.ssh.checks import ShownKey
    from .transport.ssh.transport import Ways
    from .wire.errors import MacGPUError


class Reach:
    """Makes transports. Those of one process share the keys that it has opened.

    Parameters
    ----------
    ask
        Asks the user for a passphrase; raises if there is nobody to ask.
    """

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    @cached_property
    def _ways(self) -> Ways:
        # fabric takes a tenth of a second to import: only those pay who have a host for it.
        from .transport.ssh.transport import Ways

        return Ways(self._ask, state_folder() / "handshakes")

    def transport(self, host: Host) -> Transport:
        """Return the transport to a host."""
        if host.transport == "local":
            return LocalTransport(host.name, settings(host.name, host.labels))
        return self._ways.to(host)

    def environment(self, host: Host) -> dict[str, Any]:
        """Return what a worker on a host runs in: its interpreter, and the packages we bring."""
        if host.transport == "local":
            return {"python": host.python or sys.executable}
        from .transport.deploy import packages_digest

        return {"python": host.python or "", "packages": packages_digest()}

    def fingerprint(self, host: Host) -> str:
        """Return the fingerprint of the key that a host shows; nobody logs in there.

        Raises
        ------
        TransportError
            If it cannot be reached.
        """
        from .transport.ssh.checks import fingerprint_of

        return fingerprint_of(host, self._ways)

    def key_of(self, host: Host) -> ShownKey:
        """Return the key that a host shows, and what is thought of it; nobody logs in there.

        Raises
        ------
        TransportError
            If it cannot be reached.
        """
        from .transport.ssh.checks import key_of

        return key_of(host, self._ways)

    def run(self, host: Host, program: Program) -> Ran:
        """Run a program in the shell of a host's account.

        Raises
        ------
        TransportError
            If the host cannot be reached, refuses the login, or does not end in time.
        """
        if host.transport == "local":
            return run_here(program)
        from .transport.ssh.remote import run_there

        return run_there(host, self._ways, program)

    def key_line(self, host: Host) -> str:
        """Return the public key that a login on a host offers first; empty without one."""
        from .transport.ssh.publickey import public_key

        return public_key(host)

    def way(self, host: Host) -> tuple[str, str, int]:
        """Return as whom, where and at which port a host is reached over SSH.

        Raises
        ------
        ConfigError
            If the SSH configuration cannot be followed.
        """
        from .transport.ssh.checks import way

        return way(host)

    def steps(self, host: Host) -> Iterator[tuple[str, str | MacGPUError]]:
        """Go the way to a host, for `doctor`; see `transport.ssh.checks.steps`."""
        if host.transport == "ssh":
            from .transport.ssh.checks import steps

            yield from steps(host, self._ways)

    def step_names(self, host: Host) -> tuple[str, ...]:
        """Return the names of these steps."""
        if host.transport == "local":
            return ()
        from .transport.ssh.checks import STEPS

        return STEPS


def ask_here(prompt: str) -> str:
    """Ask the user for a secret, if this is the thread that may."""
    if threading.current_thread() is not threading.main_thread():
        raise EOFError(prompt)
    return getpass.getpass(prompt)


def nobody_to_ask(prompt: str) -> str:
    """Refuse to ask."""
    raise EOFError(prompt)
