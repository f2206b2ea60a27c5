"""Files of known hosts, judged by us and by OpenSSH's own client: the verdicts must be the same.

Each case is a real login without any key: ``ssh`` runs sshd as its proxy command, so that a host
may have any name and port, and nothing listens anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import random
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from jupyter_macgpu.transport import hostkeys
from jupyter_macgpu.transport.known_hosts import KnownHosts

SSHD = shutil.which("sshd", path="/usr/sbin:/sbin:" + os.environ.get("PATH", "")) or ""
SSH = shutil.which("ssh") or ""
KEYGEN = shutil.which("ssh-keygen") or ""

pytestmark = pytest.mark.skipif(
    not (SSHD and SSH and KEYGEN), reason="OpenSSH's client and server are not installed here"
)

#: OpenSSH's favourites, without certificates.
ALGORITHMS = (
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-512", "rsa-sha2-256"),
)
#: The keys of the server (a lower case name), and others.
MADE = {
    "ed": "ed25519",
    "ec": "ecdsa",
    "rsa": "rsa",
    "ED": "ed25519",
    "EC": "ecdsa",
    "RSA": "rsa",
    "CA": "ed25519",
}
ALL = ("ed", "ec", "rsa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question to both judges. ``<ed>`` is a key, ``<hash mac.lab>`` a hashed name.

    Attributes
    ----------
    text, second, system
        The user's files, and the machine's.
    keys
        What the server has.
    """

    text: str
    second: str = ""
    system: str = ""
    host: str = "mac.lab"
    port: int = 22
    alias: str | None = None
    keys: tuple[str, ...] = ALL


def at(text: str, port: int = 2222, host: str = "mac.lab", **others: object) -> Case:
    """Return a case with a port of its own."""
    return Case(text=text, port=port, host=host, **others)  # type: ignore[arg-type]


LONG = "x" * 1022
CASES = {
    # One line, one host.
    "empty file": Case(text=""),
    "known": Case(text="mac.lab <ed>\n"),
    "known, no newline at the end": Case(text="mac.lab <ed>"),
    "other host": Case(text="max.lab <ed>\n"),
    "changed": Case(text="mac.lab <ED>\n"),
    "comment after the key": Case(text="mac.lab <ed> ada@mac # old\n"),
    "comment lines and blank lines": Case(text="# mac.lab <ED>\n\n   \n\t# x\nmac.lab <ed>\n"),
    "only a comment": Case(text="#mac.lab <ed>\n"),
    "blanks in front": Case(text=" \t mac.lab <ed>\n"),
    "tabs between": Case(text="mac.lab\t\t<ed tab>\n"),
    "carriage returns": Case(text="mac.lab <ed>\r\n"),
    "carriage return after a comment": Case(text="mac.lab <ed> x\r\n"),
    "carriage returns, rsa": Case(text="mac.lab <rsa>\r\n"),
    "form feed between": Case(text="mac.lab\f<ed>\n"),
    "vertical tab ends no line": Case(text="max.lab <ed>\vmac.lab <ed>\n"),
    "line separator of Latin-1 ends no line": Case(text="max.lab <ED> \x85mac.lab <ed>\n"),
    "NUL in the comment": Case(text="mac.lab <ed> a\0b\n"),
    "NUL after the key": Case(text="mac.lab <ed>\0junk\n"),
    "NUL before the key": Case(text="mac.lab \0<ed>\nmac.lab <ED>\n"),
    "byte order mark": Case(text="\xef\xbb\xbfmac.lab <ed>\n"),
    "byte order mark before a list": Case(text="\xef\xbb\xbfx,mac.lab <ed>\n"),
    # Several lines.
    "old and new line": Case(text="mac.lab <ED>\nmac.lab <ed>\n"),
    "new and old line": Case(text="mac.lab <ed>\nmac.lab <ED>\n"),
    "second file": Case(text="", second="mac.lab <ed>\n"),
    "second file differs": Case(text="mac.lab <ed>\n", second="mac.lab <ED>\n"),
    "the machine's file": Case(text="", system="mac.lab <ed>\n"),
    "changed, but the machine's file knows it": Case(text="mac.lab <ED>\n", system="* <ed>\n"),
    # Several types of key.
    "all types known": Case(text="mac.lab <ed>\nmac.lab <ec>\nmac.lab <rsa>\n"),
    "only ecdsa known": Case(text="mac.lab <ec>\n"),
    "only rsa known": Case(text="mac.lab <rsa>\n"),
    "rsa known, ecdsa changed": Case(text="mac.lab <rsa>\nmac.lab <EC>\n"),
    "ecdsa known, rsa changed": Case(text="mac.lab <RSA>\nmac.lab <ec>\n"),
    "ed25519 changed, rsa known": Case(text="mac.lab <ED>\nmac.lab <rsa>\n"),
    "known type not there": Case(text="mac.lab <rsa>\n", keys=("ed",)),
    "known type not there, another host's line": Case(text="max.lab <rsa>\n", keys=("ed",)),
    "one of two types there": Case(text="mac.lab <RSA>\nmac.lab <ed>\n", keys=("ed",)),
    "favourite known and gone, next changed": Case(
        text="mac.lab <ed>\nmac.lab <rsa>\n", keys=("ec", "rsa")
    ),
    "rsa under its signature's name": Case(text="mac.lab <rsa as rsa-sha2-512>\n", keys=("rsa",)),
    # Patterns.
    "list": Case(text="a,mac.lab,b <ed>\n"),
    "list with empty places": Case(text=",mac.lab, <ed>\n"),
    "star": Case(text="* <ed>\n"),
    "star in the middle": Case(text="m*c.l*b <ed>\n"),
    "two stars": Case(text="mac**lab <ed>\n"),
    "question marks": Case(text="ma?.l?b <ed>\n"),
    "question mark wants a character": Case(text="mac.lab? <ed>\n"),
    "star and question mark": Case(text="*?.lab <ed>\n"),
    "upper case pattern": Case(text="MAC.Lab <ed>\n"),
    "upper case host": Case(text="mac.lab <ed>\n", host="MAC.Lab"),
    "brackets are no set": Case(text="[m]ac.lab <ed>\n"),
    "bracket that is not closed": Case(text="[!x]ac.lab,mac.l[ab <ed>\n"),
    "backslash is itself": Case(text="mac\\.lab <ed>\n"),
    "negated": Case(text="!mac.lab,* <ed>\n"),
    "negated at the end": Case(text="*.lab,!mac.lab <ed>\n"),
    "negated wildcard": Case(text="mac.lab,!m* <ed>\n"),
    "another one negated": Case(text="*.lab,!max.lab <ed>\n"),
    "negated only": Case(text="!max.lab <ed>\n"),
    "negated twice": Case(text="*,!!mac.lab <ed>\n"),
    "lone exclamation mark": Case(text="!,mac.lab <ed>\n"),
    "negated line takes back itself alone": Case(text="!mac.lab,* <ED>\nmac.lab <ed>\n"),
    "pattern just short enough": Case(text=f"{LONG},mac.lab <ed>\n"),
    "pattern too long": Case(text=f"mac.lab,x{LONG} <ed>\n"),
    "negated pattern just short enough": Case(text=f"!{LONG},mac.lab <ed>\n"),
    "trailing dot": Case(text="mac.lab. <ed>\n"),
    "host with a trailing dot": Case(text="mac.lab <ed>\n", host="mac.lab."),
    "underscore": Case(text="mac_1 <ed>\n", host="mac_1"),
    # Hashed names.
    "hashed": Case(text="<hash mac.lab> <ed>\n"),
    "hashed, changed": Case(text="<hash mac.lab> <ED>\n"),
    "hashed, other host": Case(text="<hash max.lab> <ed>\n"),
    "hashed, upper case host": Case(text="<hash mac.lab> <ed>\n", host="MAC.LAB"),
    "hashed in upper case": Case(text="<hash MAC.LAB> <ed>\n"),
    "hashed and a list": Case(text="<hash mac.lab>,mac.lab <ed>\n"),
    "hashed after a name": Case(text="x,<hash mac.lab> <ed>\n"),
    "hashed, version 2": Case(text="<hash2 mac.lab> <ed>\n"),
    "hashed, salt too short": Case(text="<hashshort mac.lab> <ed>\n"),
    "hashed, cut": Case(text="|1|abc <ed>\nmac.lab <ed>\n"),
    "hashed, no base64": Case(text="|1|$$$$|xx <ed>\n"),
    "hashed with a marker": Case(text="@revoked <hash mac.lab> <ed>\nmac.lab <ed>\n"),
    # Ports.
    "port": at("[mac.lab]:2222 <ed>\n"),
    "port, changed": at("[mac.lab]:2222 <ED>\n"),
    "port, other port known": at("[mac.lab]:2223 <ed>\n"),
    "port, bare name known": at("mac.lab <ed>\n"),
    "port, bare name changed": at("mac.lab <ED>\n"),
    "port changed, bare name known": at("[mac.lab]:2222 <ED>\nmac.lab <ed>\n"),
    "port known, bare name changed": at("[mac.lab]:2222 <ed>\nmac.lab <ED>\n"),
    "port, bare name known by another type": at("mac.lab <rsa>\n"),
    "port, bare name known by another type, only that": at("mac.lab <rsa>\n", keys=("rsa",)),
    "port known by another type, bare name too": at("[mac.lab]:2222 <rsa>\nmac.lab <ed>\n"),
    "port, hashed": at("<hash [mac.lab]:2222> <ed>\n"),
    "port, hashed bare name": at("<hash mac.lab> <ed>\n"),
    "port, wildcard": at("[mac.*]:* <ed>\n"),
    "port, wildcard of all": at("*.lab <ed>\n"),
    "port, wildcard fits both": at("*lab* <ED>\n"),
    "port, negated bare name": at("*,!mac.lab <ed>\n"),
    "port, negated port": at("*,![mac.lab]:2222 <ed>\n"),
    "port 22 is not written": Case(text="[mac.lab]:22 <ed>\n"),
    "port 22, other port known": Case(text="[mac.lab]:2222 <ed>\n"),
    "port, bare name revoked": at("@revoked mac.lab <ed>\n"),
    "port known, bare name revoked": at("@revoked mac.lab <ed>\n[mac.lab]:2222 <ed>\n"),
    "port revoked, bare name known": at("@revoked [mac.lab]:2222 <ed>\nmac.lab <ed>\n"),
    "port changed, bare name revoked": at("@revoked mac.lab <ed>\n[mac.lab]:2222 <ED>\n"),
    "port, authority of the bare name": at("@cert-authority mac.lab <CA>\n"),
    "port, line that is broken": at("[mac.lab]:2222 ssh-ed25519 AAAA\nmac.lab <ed>\n"),
    # Aliases.
    "alias": Case(text="studio <ed>\n", alias="studio"),
    "alias, upper case": Case(text="studio <ed>\n", alias="Studio"),
    "alias, upper case, hashed": Case(text="<hash studio> <ed>\n", alias="Studio"),
    "alias, name known": Case(text="mac.lab <ed>\n", alias="studio"),
    "alias and port": at("studio <ed>\n", alias="studio"),
    "alias and port, both written": at("[studio]:2222 <ed>\n", alias="studio"),
    "alias and port, name known": at("mac.lab <ed>\n", alias="studio"),
    "alias like a port": at("[mac.lab]:2222 <ed>\n", alias="[mac.lab]:2222", port=22),
    # Addresses.
    "IPv4": Case(text="192.0.2.7 <ed>\n", host="192.0.2.7"),
    "IPv4, wildcard": Case(text="192.0.2.? <ed>\n", host="192.0.2.7"),
    "IPv4 is no network": Case(text="192.0.2.0/24 <ed>\n", host="192.0.2.7"),
    "IPv4, short": Case(text="127.0.0.1 <ed>\n", host="127.1"),
    "IPv4, hexadecimal": Case(text="127.0.0.1 <ed>\n", host="0x7f000001"),
    "IPv6": Case(text="::1 <ed>\n", host="::1"),
    "IPv6, port": at("[::1]:2222 <ed>\n", host="::1"),
    "IPv6, long": Case(text="2001:db8::a <ed>\n", host="2001:0DB8:0:0:0:0:0:A"),
    "IPv6, written long in the file": Case(text="2001:db8:0:0:0:0:0:a <ed>\n", host="2001:db8::a"),
    "IPv6, upper case in the file": Case(text="2001:DB8::A <ed>\n", host="2001:db8::a"),
    "IPv6, hashed": Case(text="<hash 2001:db8::a> <ed>\n", host="2001:DB8::A"),
    "IPv6 with an IPv4 inside": Case(text="::ffff:192.0.2.7 <ed>\n", host="::FFFF:192.0.2.7"),
    # Markers.
    "revoked": Case(text="@revoked mac.lab <ed>\n"),
    "revoked and known": Case(text="mac.lab <ed>\n@revoked mac.lab <ed>\n"),
    "revoked for all": Case(text="mac.lab <ed>\n@revoked * <ed>\n"),
    "revoked for another host": Case(text="mac.lab <ed>\n@revoked max.lab <ed>\n"),
    "revoked, but not this one": Case(text="mac.lab <ed>\n@revoked mac.lab <ED>\n"),
    "revoked, only another type": Case(text="mac.lab <rsa>\n@revoked * <ed>\n"),
    "favourite revoked, others known": Case(text="mac.lab <ed>\nmac.lab <rsa>\n@revoked * <ed>\n"),
    "revoked in the machine's file": Case(text="mac.lab <ed>\n", system="@revoked * <ed>\n"),
    "revoked, changed": Case(text="mac.lab <ED>\n@revoked * <ed>\n"),
    "revoked rsa": Case(text="mac.lab <rsa>\n@revoked * <rsa>\n", keys=("rsa",)),
    "revoked as a certificate": Case(text="mac.lab <ed>\n@revoked * <edcert>\n"),
    "known as a certificate": Case(text="mac.lab <edcert>\n"),
    "certificate's type over a key": Case(
        text="mac.lab <ed as ssh-ed25519-cert-v01@openssh.com>\n"
    ),
    "revoked, tab after the marker": Case(text="mac.lab <ed>\n@revoked\tmac.lab <ed>\n"),
    "revoked, nothing but tabs": Case(text="mac.lab <ed>\n@revoked\tmac.lab\t<ed tab>\n"),
    "revoked, space and tab": Case(text="mac.lab <ed>\n@revoked \tmac.lab <ed>\n"),
    "revoked, upper case": Case(text="mac.lab <ed>\n@REVOKED mac.lab <ed>\n"),
    "unknown marker": Case(text="@trusted mac.lab <ed>\n"),
    "two markers": Case(text="@revoked @cert-authority mac.lab <ed>\nmac.lab <ed>\n"),
    "one marker twice": Case(text="@revoked @revoked mac.lab <ed>\nmac.lab <ed>\n"),
    "two markers, the second one a name": Case(text="@revoked @x,mac.lab <ed>\nmac.lab <ed>\n"),
    "at sign in front of a name": Case(text="@x,mac.lab <ed>\n"),
    "marker alone": Case(text="@revoked\nmac.lab <ed>\n"),
    "at sign alone": Case(text="@ mac.lab <ed>\n"),
    "revoked with a negation": Case(text="mac.lab <ed>\n@revoked *,!mac.lab <ed>\n"),
    "authority": Case(text="@cert-authority *.lab <CA>\n"),
    "authority and known": Case(text="@cert-authority *.lab <CA>\nmac.lab <ed>\n"),
    "authority and changed": Case(text="@cert-authority *.lab <CA>\nmac.lab <ED>\n"),
    "authority of other hosts": Case(text="@cert-authority *.org <CA>\nmac.lab <ed>\n"),
    "authority with the host's own key": Case(text="@cert-authority *.lab <ed>\n"),
    "authority revoked": Case(text="@cert-authority * <CA>\n@revoked * <CA>\nmac.lab <ed>\n"),
    # Broken lines.
    "name only": Case(text="mac.lab\nmac.lab <ed>\n"),
    "type only": Case(text="mac.lab ssh-ed25519\n"),
    "type and a blank": Case(text="mac.lab ssh-ed25519 \n"),
    "key without a type": Case(text="mac.lab <ed64>\n"),
    "comment instead of a key": Case(text="mac.lab # <ed>\n"),
    "wrong type": Case(text="mac.lab <ed as ssh-rsa>\n"),
    "wrong curve": Case(text="mac.lab <ec as ecdsa-sha2-nistp384>\n", keys=("ec",)),
    "type in upper case": Case(text="mac.lab <ed as SSH-ED25519>\n"),
    "unknown type": Case(text="mac.lab <ed as ssh-future>\nmac.lab <ed>\n"),
    "old protocol": Case(text="mac.lab 1024 35 1234567890\n"),
    "no base64": Case(text="mac.lab ssh-ed25519 !!!!\n"),
    "base64 cut": Case(text="mac.lab <ed cut>\n"),
    "base64 with junk after": Case(text="mac.lab <ed>AAAA\n"),
    "base64 with padding too much": Case(text="mac.lab <ed>=\n"),
    "base64 with a comma in it": Case(text="mac.lab <ed>,x\n"),
    "base64 with loose bits": Case(text="mac.lab <ec loose>\n", keys=("ec",)),
    "base64 without its padding": Case(text="mac.lab <ec unpadded>\n", keys=("ec",)),
    "broken line, then a right one": Case(text="mac.lab ssh-ed25519 AAAA\nmac.lab <ed>\n"),
    "garbage": Case(text="\x01\x02\xff\xfe\n<<<<<<< HEAD\nmac.lab <ed>\n=======\n>>>>>>> x\n"),
    "short rsa": Case(text="mac.lab ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQc=\n"),
    "rsa with leading zeros": Case(text="mac.lab <rsa zeros>\n", keys=("rsa",)),
    "revoked rsa with leading zeros": Case(
        text="mac.lab <rsa>\n@revoked * <rsa zeros>\n", keys=("rsa",)
    ),
    "negative rsa": Case(text="mac.lab <rsa negative>\n", keys=("rsa",)),
    "quotes": Case(text='"mac.lab" <ed>\n'),
    "long line": Case(text="mac.lab <ed> " + "x" * 100_000 + "\n"),
}


class Bench:
    """Keys, servers that have them, and both judges."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, kind in MADE.items():
            bits = ["-b", "2048"] if kind == "rsa" else []
            self._keygen("-q", "-t", kind, *bits, "-N", "", "-f", str(self.file(name)))
        words = ["-s", str(self.file("CA")), "-I", "x", "-h", "-n", "mac.lab"]
        self._keygen("-q", *words, str(self.file("ed").with_suffix(".pub")))
        if os.geteuid() == 0:
            # Where sshd drops its rights; without it there is none as root.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def file(self, name: str) -> Path:
        """Return the file of a private key."""
        # Not by the name alone: there are file systems to which ED and ed are the same.
        return self.folder / f"{'other' if name.isupper() else 'own'}-{name.lower()}"

    def _keygen(self, *words: str) -> None:
        subprocess.run([KEYGEN, *words], check=True, stdin=subprocess.DEVNULL)

    def words(self, name: str) -> tuple[str, str]:
        """Return a public key as its type and base64."""
        file = self.file(name.removesuffix("cert"))
        ending = "-cert.pub" if name.endswith("cert") else ".pub"
        kind, encoded = file.with_name(file.name + ending).read_text().split()[:2]
        return kind, encoded

    def blob(self, name: str) -> bytes:
        """Return a public key in SSH's wire encoding."""
        return base64.b64decode(self.words(name)[1])

    def filled(self, text: str) -> bytes:
        """Return a case's text with its keys and hashes."""
        names = "|".join(sorted([*MADE, "edcert", "ed64"], key=len, reverse=True))
        text = re.sub(rf"<({names})(?: ([^>]+))?>", self._key, text)
        text = re.sub(r"<(hash\w*) ([^>]+)>", lambda m: hashed(m[2], m[1]), text)
        return text.encode("latin-1")

    def _key(self, match: re.Match[str]) -> str:
        name, how = match[1], match[2] or ""
        if name == "ed64":
            return self.words("ed")[1]
        kind, encoded = self.words(name)
        if how in ("zeros", "negative"):
            encoded = base64.b64encode(rsa_written(self.blob(name), how)).decode()
        changes = {
            "cut": encoded[:-8],
            "unpadded": encoded.rstrip("="),
            "loose": re.sub(r"(.)(=+)$", lambda m: loose(m[1]) + m[2], encoded),
        }
        kind = how.removeprefix("as ") if how.startswith("as ") else kind
        return kind + ("\t" if how == "tab" else " ") + changes.get(how, encoded)

    def files(self, case: Case) -> list[Path]:
        """Write a case's three files."""
        texts = {"user": case.text, "user2": case.second, "system": case.system}
        for name, text in texts.items():
            (self.folder / name).write_bytes(self.filled(text))
        return [self.folder / name for name in texts]

    def ssh(self, case: Case, *certificates: str) -> str:
        """Return what ``ssh`` says when it meets the host of a case."""
        user, second, system = self.files(case)
        config = self.folder / "sshd_config"
        lines = [f"HostKey {self.file(name)}" for name in case.keys]
        lines += [f"HostCertificate {self.file(name)}-cert.pub" for name in certificates]
        config.write_text("\n".join([*lines, "UsePAM no", "LogLevel QUIET"]) + "\n")
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": f"{user} {second}",
            "GlobalKnownHostsFile": str(system),
            "ProxyCommand": shlex.join([SSHD, "-i", "-f", str(config)]),
            "PreferredAuthentications": "none",
            "IdentityFile": "none",
            "GSSAPIAuthentication": "no",
            "KexAlgorithms": "curve25519-sha256",
        }
        if case.alias:
            options["HostKeyAlias"] = case.alias
        said = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        done = subprocess.run(
            [SSH, "-v", "-F", "none", *said, "-p", str(case.port), "-l", "nobody", case.host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
        )
        return done.stderr.decode("latin-1")

    def ours(self, case: Case) -> tuple[str, hostkeys.Verdict]:
        """Return the fingerprint of the key that we should be shown, and our verdict on it."""
        known = KnownHosts.read(str(path) for path in self.files(case))
        asked = hostkeys.Asked(host=case.host, port=case.port, alias=case.alias)
        blobs = {kind: self.blob(name) for name in case.keys for kind in kinds_of(name)}
        offered = hostkeys.preferred(ALGORITHMS, hostkeys.known_kinds(known, asked))
        blob = next(blobs[name] for name in offered if name in blobs)
        return hostkeys.fingerprint(blob), hostkeys.judge(known, asked, blob)


def kinds_of(name: str) -> tuple[str, ...]:
    return {
        "ed": ("ssh-ed25519",),
        "ec": ("ecdsa-sha2-nistp256",),
        "rsa": ("rsa-sha2-512", "rsa-sha2-256"),
    }[name]


def hashed(name: str, how: str) -> str:
    salt = bytes(range(19 if how == "hashshort" else 20))
    code = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    version = "2" if how == "hash2" else "1"
    return "|".join(["", version, *(base64.b64encode(part).decode() for part in (salt, code))])


def loose(letter: str) -> str:
    """Return the next letter of base64: its lowest bit is one that padding throws away."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return letters[letters.index(letter) ^ 1]


def rsa_written(blob: bytes, how: str) -> bytes:
    """Return an RSA key, its modulus with more zeros in front, or without the one it needs."""
    fields = []
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        fields.append(blob[4:end])
        blob = blob[end:]
    fields[2] = b"\0\0" + fields[2] if how == "zeros" else fields[2].lstrip(b"\0")
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def verdict_of(said: str) -> str:
    """Return the verdict that ``ssh`` has come to."""
    if "Host key verification failed" not in said:
        assert "Permission denied" in said, said
        return "trusted"
    words = {
        "REVOKED HOST KEY DETECTED": "revoked",
        "REMOTE HOST IDENTIFICATION HAS CHANGED": "changed",
        "host key is known for": "unknown",
    }
    return next(word for text, word in words.items() if text in said)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("known-hosts"))


def compare(bench: Bench, case: Case) -> str:
    """Have a case judged by both, and return the verdict."""
    said = bench.ssh(case)
    shown, verdict = bench.ours(case)
    assert shown == re.findall(r"Server host key: \S+ (\S+)", said)[0]
    # For ssh, too, a host that only an authority vouches for is one without a known key.
    assert verdict_of(said) == verdict.word.replace("authority", "unknown"), said
    if verdict.word == "trusted":
        assert verdict.line is not None
        assert verdict.line.place == re.findall(r"Found key in (\S+)", said)[-1]
    return verdict.word


@pytest.mark.parametrize("name", CASES)
def test_ssh_comes_to_the_same_verdict(bench: Bench, name: str) -> None:
    compare(bench, CASES[name])


def test_ssh_comes_to_the_same_verdict_on_files_that_nobody_thought_of(bench: Bench) -> None:
    chance = random.Random(int(os.environ.get("MACGPU_KNOWN_HOSTS_SEED", "1")))
    seen = {compare(bench, drawn(chance)) for _ in range(80)}
    assert seen >= {"trusted", "changed", "revoked", "unknown"}


def drawn(chance: random.Random) -> Case:
    """Return a case made of pieces that may stand in a file of known hosts."""
    names = ["mac.lab", "[mac.lab]:2222", "*", "*.lab", "max.lab", "M?c.LAB", "!max*", "!mac.lab"]
    hashes = ["<hash mac.lab>", "<hash [mac.lab]:2222>"]

    def line() -> str:
        marker = chance.choice(["", "", "", "", "@revoked ", "@cert-authority ", "#", " "])
        some = ",".join(chance.sample(names, chance.randint(1, 3)))
        who = chance.choice([some, some, chance.choice(hashes)])
        return f"{marker}{who} <{chance.choice(['ed', 'ed', 'ec', 'rsa', 'ED', 'RSA'])}>\n"

    return Case(
        text="".join(line() for _ in range(chance.randint(1, 3))),
        system="".join(line() for _ in range(chance.randint(0, 1))),
        port=chance.choice([22, 2222]),
        keys=chance.choice([ALL, ("ed",), ("ec", "rsa")]),
    )


def test_a_host_certificate_is_taken_by_ssh_and_refused_in_words_by_us(bench: Bench) -> None:
    case = Case(text="@cert-authority *.lab <CA>\n", keys=("ed",))
    assert verdict_of(bench.ssh(case, "ed")) == "trusted"
    shown, verdict = bench.ours(case)
    assert verdict.word == "authority"
    error = hostkeys.refusal(
        verdict, hostkeys.Asked(host="mac.lab"), bench.blob("ed"), name="studio"
    )
    assert shown in error.what
    assert f"{bench.folder / 'user'}:1 trusts certificates" in error.what


def test_fingerprints_are_those_of_ssh_keygen(bench: Bench) -> None:
    for name in ALL:
        words = [KEYGEN, "-lf", str(bench.file(name))]
        printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        assert hostkeys.fingerprint(bench.blob(name)) == printed.split()[1]
