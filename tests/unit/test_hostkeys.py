"""Keys of hosts: what is read, how it is judged, and what a person is told."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path

import pytest

from jupyter_macgpu.transport.hostkeys import (
    Asked,
    HostKeyRefused,
    fingerprint,
    judge,
    known_kinds,
    preferred,
    refusal,
)
from jupyter_macgpu.transport.known_hosts import KnownHosts, matches, public_key
from jupyter_macgpu.wire.errors import ConfigError


def packed(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def text(blob: bytes) -> str:
    kind = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode()
    return f"{kind} {base64.b64encode(blob).decode()}"


ED = packed(b"ssh-ed25519", b"e" * 32)
ED_NEW = packed(b"ssh-ed25519", b"n" * 32)
EC = packed(b"ecdsa-sha2-nistp256", b"nistp256", b"\x04" + b"c" * 64)
RSA = packed(b"ssh-rsa", b"\x01\x00\x01", b"\x00\xc1" + b"r" * 255)
MAC = Asked(host="mac.lab")
ON_PORT = Asked(host="mac.lab", port=2222)


def known(*lines: str, path: str = "/home/ada/.ssh/known_hosts") -> KnownHosts:
    return KnownHosts(((path, "\n".join(lines).encode()),))


#: Lines, the host, and what is to be thought of the key ED: a verdict and the line's number.
VERDICTS: dict[str, tuple[list[str], Asked, str, int | None]] = {
    "nothing known": ([], MAC, "unknown", None),
    "known": ([f"mac.lab {text(ED)}"], MAC, "trusted", 1),
    "changed": ([f"mac.lab {text(ED_NEW)}"], MAC, "changed", 1),
    "changed: the line of the same type is named": (
        [f"mac.lab {text(ED_NEW)}", f"mac.lab {text(RSA)}"],
        MAC,
        "changed",
        1,
    ),
    "only another type known": ([f"mac.lab {text(RSA)}"], MAC, "changed", 1),
    "any line will do": ([f"mac.lab {text(ED_NEW)}", f"mac.lab {text(ED)}"], MAC, "trusted", 2),
    "revoked": ([f"mac.lab {text(ED)}", f"@revoked * {text(ED)}"], MAC, "revoked", 2),
    "authority": (["# ours", f"@cert-authority *.lab {text(RSA)}"], MAC, "authority", 2),
    "authority and a line of its own": (
        [f"@cert-authority *.lab {text(RSA)}", f"mac.lab {text(ED)}"],
        MAC,
        "trusted",
        2,
    ),
    "authority and another key": (
        [f"@cert-authority *.lab {text(RSA)}", f"mac.lab {text(ED_NEW)}"],
        MAC,
        "changed",
        2,
    ),
    "port": ([f"[mac.lab]:2222 {text(ED)}"], ON_PORT, "trusted", 1),
    "port: the bare name vouches": ([f"mac.lab {text(ED)}"], ON_PORT, "trusted", 1),
    "port: the bare name is no change": ([f"mac.lab {text(ED_NEW)}"], ON_PORT, "unknown", None),
    "port: the bare name revokes": ([f"@revoked mac.lab {text(ED)}"], ON_PORT, "revoked", 1),
    "port: an authority of the bare name": (
        [f"@cert-authority mac.lab {text(RSA)}"],
        ON_PORT,
        "authority",
        1,
    ),
    "alias": ([f"studio {text(ED)}"], Asked(host="x", port=2222, alias="STUDIO"), "trusted", 1),
    "broken lines are passed over": (
        ["mac.lab", "mac.lab ssh-ed25519 AAAA", "@x mac.lab y z", f"mac.lab {text(ED)}"],
        MAC,
        "trusted",
        4,
    ),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_a_key_is_judged(name: str) -> None:
    lines, asked, word, number = VERDICTS[name]
    verdict = judge(known(*lines), asked, ED)
    assert (verdict.word, verdict.line.number if verdict.line else None) == (word, number)


#: Lines, and what is to be thought of ED where its fingerprint, or another, is pinned.
PINS = {
    "pin of it": ([], ED, "trusted"),
    "pin of another": ([], ED_NEW, "changed"),
    "the pin beats a line": ([f"mac.lab {text(ED)}"], ED_NEW, "changed"),
    "the pin beats a changed line": ([f"mac.lab {text(ED_NEW)}"], ED, "trusted"),
    "the pin beats an authority": ([f"@cert-authority * {text(RSA)}"], ED, "trusted"),
    "revoked beats the pin": ([f"@revoked * {text(ED)}"], ED, "revoked"),
    "revoked is told before another pin": ([f"@revoked * {text(ED)}"], ED_NEW, "revoked"),
}


@pytest.mark.parametrize("name", PINS)
def test_a_pinned_fingerprint_wins(name: str) -> None:
    lines, pinned, word = PINS[name]
    assert judge(known(*lines), MAC, ED, fingerprint(pinned)).word == word


def test_a_pin_that_is_no_fingerprint_fits_no_key() -> None:
    for pin in ("", "SHA256:", "MD5:00", fingerprint(ED).lower(), fingerprint(ED)[:-1]):
        assert judge(known(f"mac.lab {text(ED)}"), MAC, ED, pin).word == "changed"


def test_a_key_that_we_cannot_read_is_never_trusted() -> None:
    broken = [b"", b"x", ED[:-1], ED + b"x", packed(b"ssh-future", b"x" * 32), packed(b"ssh-rsa")]
    for blob in broken:
        assert public_key(blob) is None
        line = f"mac.lab ssh-ed25519 {base64.b64encode(blob).decode()}"
        assert judge(known(line), MAC, blob).word == "unknown"


def test_a_certificate_is_no_key_that_a_line_could_know() -> None:
    signed = packed(b"ssh-ed25519-cert-v01@openssh.com", b"nonce", b"e" * 32) + b"and so on"
    line = f"mac.lab {text(signed)}"
    assert judge(known(line), MAC, signed).word == "changed"
    assert judge(known(f"@revoked mac.lab {text(ED)}", line), MAC, signed).word == "revoked"


def test_every_cut_of_a_file_is_read_without_a_word() -> None:
    whole = f"@revoked |1|x|y {text(ED)}\nmac.lab {text(RSA)} c\n\n!a,* {text(EC)}".encode()
    for end in range(len(whole)):
        assert judge(KnownHosts((("f", whole[:end]),)), MAC, ED).word in ("unknown", "changed")


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("mac", "mac", True),
        ("mac", "m*,!mac", False),
        ("mac", "!mac,m*", False),
        ("mac", "!m?", False),
        ("mac", "m[a]c", False),
        ("[mac]:22", "[mac]:*", True),
        ("mac", "*" * 500 + "c", True),
        ("a" * 200, "*a" * 100 + "b", False),
    ],
)
def test_a_host_fits_patterns(name: str, pattern: str, fits: bool) -> None:
    assert matches(name.encode(), pattern.encode()) is fits


def test_the_names_of_a_host() -> None:
    assert Asked(host="MAC.lab").names == ("mac.lab",)
    assert Asked(host="mac", port=2222).names == ("[mac]:2222", "mac")
    assert Asked(host="2001:DB8:0::1", port=2).names == ("[2001:db8::1]:2", "2001:db8::1")
    assert Asked(host="FE80::1%en0").names == ("fe80::1%en0",)
    assert Asked(host="127.1").names == ("127.0.0.1",)
    assert Asked(host="face").names == ("face",)
    assert Asked(host="mac", port=2222, alias="Studio").names == ("studio",)


def test_the_types_that_are_known_are_asked_for_first() -> None:
    favourites = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
    lines = [f"mac.lab {text(RSA)}", f"@revoked * {text(ED)}", f"mac.lab {text(ED)}"]
    kinds = known_kinds(known(*lines), MAC)
    assert kinds == ("ssh-rsa",)
    assert preferred(favourites, kinds) == (*favourites[2:], *favourites[:2])
    assert preferred(favourites, ()) == favourites
    assert preferred(favourites, ("ssh-rsa", "ssh-ed25519")) == favourites


def test_files_are_read_in_order_and_those_that_are_missing_passed_over(tmp_path: Path) -> None:
    (tmp_path / "one").write_text(f"mac.lab {text(ED_NEW)}\n")
    (tmp_path / "two").write_text(f"mac.lab {text(ED)}\n")
    paths = [str(tmp_path / name) for name in ("none", "one", "one/below", "two")]
    read = KnownHosts.read([*paths, "/dev/null"])
    assert [line.place for line in read.lines("mac.lab")] == [
        f"{tmp_path}/one:1",
        f"{tmp_path}/two:1",
    ]


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        KnownHosts.read([str(tmp_path)])
    assert str(tmp_path) in caught.value.what
    assert "Is a directory" in caught.value.what
    assert "nothing was sent" in caught.value.known


def told(lines: list[str], asked: Asked = MAC, pinned: str | None = None) -> HostKeyRefused:
    verdict = judge(known(*lines), asked, ED, pinned)
    return refusal(verdict, asked, ED, name="studio", fleet_file="/etc/fleet.yaml")


def test_an_unknown_key_names_how_to_compare_and_how_to_trust_it() -> None:
    error = told([])
    assert error.what == f"The key of studio (mac.lab) is not known: ssh-ed25519 {fingerprint(ED)}."
    assert error.known == "The connection was refused before any login; nothing was sent."
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in error.next
    assert "macgpu trust studio" in error.next


def test_a_changed_key_names_both_and_the_line() -> None:
    error = told(["# mine", f"[mac.lab]:2222 {text(ED_NEW)}"], ON_PORT)
    assert f"shown: ssh-ed25519 {fingerprint(ED)}\n" in error.what
    place = "/home/ada/.ssh/known_hosts:2"
    assert f"known: ssh-ed25519 {fingerprint(ED_NEW)} ({place})\n" in error.what
    assert "There is no option to go on." in error.next
    assert "`ssh-keygen -R '[mac.lab]:2222' -f /home/ada/.ssh/known_hosts`" in error.next


def test_a_key_that_is_not_the_pinned_one_names_the_fleet_file() -> None:
    error = told([f"mac.lab {text(ED)}"], pinned=fingerprint(ED_NEW))
    assert f"shown: ssh-ed25519 {fingerprint(ED)}\n" in error.what
    expected = f"known: {fingerprint(ED_NEW)} (hostkey of studio in /etc/fleet.yaml)"
    assert expected in error.what
    assert "delete the hostkey of studio in /etc/fleet.yaml" in error.next


def test_a_revoked_key_names_the_line_and_no_way_to_trust_it() -> None:
    error = told([f"@revoked * {text(ED)}"])
    assert "is revoked by /home/ada/.ssh/known_hosts:1" in error.what
    assert fingerprint(ED) in error.what
    assert "trust" not in error.next


def test_an_authority_is_refused_in_words() -> None:
    error = told([f"@cert-authority *.lab {text(RSA)}"])
    assert fingerprint(ED) in error.what
    assert "known_hosts:1 trusts certificates, which are not supported for hosts" in error.what


def test_what_a_host_calls_its_key_cannot_write_on_the_terminal() -> None:
    blob = packed(b"\x1b]0;owned\x07", b"x")
    verdict = judge(known(), MAC, blob)
    error = refusal(verdict, MAC, blob, name="studio")
    assert error.what.isprintable()


def test_a_refusal_travels_and_lasts() -> None:
    error = told([f"mac.lab {text(ED_NEW)}"])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.verdict) == (str(error), error.verdict)
    assert again.lasting


def test_a_fingerprint_is_that_of_ssh_keygen() -> None:
    # Of `ssh-keygen -lf` over this line.
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVl"
    assert text(ED) == line
    assert fingerprint(ED) == "SHA256:PsQx8FoCDC9xlSGr7lQhquiYQKnRROwgWo4o7trZh1g"
