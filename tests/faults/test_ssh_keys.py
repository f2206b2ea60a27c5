"""Host keys and logins: refused before anything is told, and in words that help."""

from __future__ import annotations

from jupyter_macgpu.transport.hostkeys import HostKeyRefused
from jupyter_macgpu.transport.ssh.login import LoginRefused
from tests.ssh_home import Home
from tests.sshd import ECDSA, ED25519, Servers, Sshd

from . import invariants
from .away import desk_at
from .desk import Told


def refused(told: Told, *words: str) -> None:
    """Nothing was sent, and the error says why, in four parts."""
    assert told.state == "unsent"
    assert told.error is not None
    invariants.said_in_four_parts(told.error)
    for word in words:
        assert word in str(told.error), told.error


def never_logged_in(server: Sshd) -> None:
    log = server.log.read_text()
    assert "Accepted" not in log
    assert "authenticating user" not in log, "a login was tried"


def test_f01_an_unknown_key_is_refused_before_any_login(sshd: Sshd, home: Home) -> None:
    desk = desk_at(home, sshd)
    told = desk.run("1")
    desk.close()
    assert isinstance(told.error, HostKeyRefused)
    shown = [sshd.keys.fingerprint("host", kind) for kind in (ED25519, ECDSA)]
    assert any(each in told.error.what for each in shown)
    refused(told, f"[127.0.0.1]:{sshd.port}", "macgpu trust studio")
    never_logged_in(sshd)


def test_f02_a_changed_key_is_refused_and_other_hosts_are_not(servers: Servers, home: Home) -> None:
    changed, well = servers.start(), servers.start()
    home.know(changed)
    home.know(well)
    changed.stop()
    changed.host_name = "other-host"
    changed.log.write_text("")
    changed.start()
    desk, other = desk_at(home, changed), desk_at(home, well, "other.ipynb", name="mini")
    told = desk.run("1")
    keys = changed.keys
    refused(told, keys.fingerprint("host"), keys.fingerprint("other-host"))
    refused(told, f"{home.known_hosts}:1", "ssh-keygen -R")
    never_logged_in(changed)
    assert other.run("notes.append(1)").state == "ok"
    desk.close()
    other.close()


def test_f03_a_revoked_key_is_refused(sshd: Sshd, home: Home) -> None:
    home.know(sshd)
    with home.known_hosts.open("a") as file:
        file.write(f"@revoked * {sshd.keys.public()}\n@revoked * {sshd.keys.public('host')}\n")
    desk = desk_at(home, sshd)
    told = desk.run("1")
    desk.close()
    refused(told, "revoked", f"{home.known_hosts}:3")
    never_logged_in(sshd)


def test_f04_the_kind_of_key_that_is_known_is_asked_for(servers: Servers, home: Home) -> None:
    for kinds, known in (((ED25519, ECDSA), ECDSA), ((ECDSA, ED25519), ED25519)):
        server = servers.start(host_keys=kinds)
        home.know(server, [known])
        desk = desk_at(home, server, f"{known}.ipynb")
        assert desk.run("notes.append(1)").state == "ok"
        desk.close()


def test_a_pinned_key_needs_no_file_and_wins_over_it(sshd: Sshd, home: Home) -> None:
    kinds = {kind: sshd.keys.fingerprint("host", kind) for kind in (ED25519, ECDSA)}
    wrong = desk_at(home, sshd, hostkey=sshd.keys.fingerprint("other-host"))
    refused(wrong.run("1"), sshd.keys.fingerprint("other-host"), "hostkey")
    wrong.close()
    states = set()
    for fingerprint in kinds.values():
        desk = desk_at(home, sshd, hostkey=fingerprint)
        states.add(desk.run("notes.append(1)").state)
        desk.close()
    assert "ok" in states


def test_f14_a_login_that_is_refused_is_tried_twice_at_most(servers: Servers, home: Home) -> None:
    closed, open_ = servers.start(authorized=("other-user",)), servers.start()
    home.know(closed)
    home.know(open_)
    desk, other = desk_at(home, closed), desk_at(home, open_, "other.ipynb", name="mini")
    told = desk.run("1")
    assert isinstance(told.error, LoginRefused)
    refused(told, closed.user, str(closed.keys.private()), "ssh-copy-id")
    assert 1 <= closed.log.read_text().count("Failed publickey") <= 2
    assert other.run("notes.append(1)").state == "ok"
    desk.close()
    other.close()


def test_f14_a_key_that_is_withdrawn_while_a_run_goes_on_is_not_tried_again_and_again(
    servers: Servers, home: Home
) -> None:
    server = servers.start()
    home.know(server)
    desk = desk_at(home, server)
    assert desk.run("notes.append(1)").state == "ok"
    server.stop()
    server.authorized = ("other-user",)
    server.start()
    told = desk.run("import time\ntime.sleep(1)")
    assert told.state in ("unsent", "unknown")
    assert told.error is not None
    invariants.said_in_four_parts(told.error)
    assert server.log.read_text().count("Failed publickey") <= 2
    desk.close()
