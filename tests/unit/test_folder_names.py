"""Names of files: what either side accepts as one inside a session's folder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.wire.folder import BadPath, inside, matches

#: Paths that must not be taken, and a word of the reason.
HOSTILE = {
    "": "names no file",
    ".": "names no file",
    "./.": "names no file",
    "//": "absolute",
    "/": "absolute",
    "/etc/passwd": "absolute",
    "//etc/passwd": "absolute",
    "/../etc/passwd": "absolute",
    "..": "leads out",
    "../x": "leads out",
    "../../../../etc/passwd": "leads out",
    "a/../../x": "leads out",
    "a/..": "leads out",
    "a/../b": "leads out",
    "./../x": "leads out",
    "a//../../x": "leads out",
    "x/./../../y": "leads out",
    ".ssh/../../.ssh/id_rsa": "leads out",
    "a/b/c/../../../../d": "leads out",
    "..//x": "leads out",
    "x\x00": "zero byte",
    "\x00": "zero byte",
    "a/b\x00.txt": "zero byte",
    "../\x00": "zero byte",
    "a" * 256: "too long",
    "\N{LATIN SMALL LETTER E WITH ACUTE}" * 128: "too long",
    "/".join(["abc"] * 33): "32 folders deep",
    "/".join(["a" * 200] * 5): "too long",
    "x" * 100_000: "too long",
    "/".join(["a"] * 10_000): "32 folders deep",
    "\ud800": "half of a character",
    "a/\udfff/b": "half of a character",
}
#: Paths that look odd and are names of files, in the form that they get.
ODD = {
    "-rf": "-rf",
    "--to": "--to",
    "a\nb": "a\nb",
    "~": "~",
    "~root/.ssh": "~root/.ssh",
    "$HOME": "$HOME",
    "`id`": "`id`",
    "a b/c": "a b/c",
    "...": "...",
    "..a/b..": "..a/b..",
    "\\..\\..\\x": "\\..\\..\\x",
    "C:\\x": "C:\\x",
    "%2e%2e/x": "%2e%2e/x",
    "\u202egnp.exe": "\u202egnp.exe",
    "caf\N{COMBINING ACUTE ACCENT}e": "caf\N{COMBINING ACUTE ACCENT}e",
    "\udc80raw": "\udc80raw",
    "a//b": "a/b",
    "./a/./b/": "a/b",
    "\uff0e\uff0e/x": "\uff0e\uff0e/x",
}


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: ascii(path)[:30])
def test_a_path_that_leads_out_or_nowhere_is_refused_with_the_reason(path: str) -> None:
    with pytest.raises(BadPath, match=HOSTILE[path]):
        inside(path)


@pytest.mark.parametrize("path", ODD, ids=ascii)
def test_an_odd_name_is_a_name(path: str) -> None:
    assert inside(path) == ODD[path]


@given(st.text(st.sampled_from("ab./\x00~-\n*"), max_size=12))
def test_what_is_taken_stays_inside_and_has_one_form(path: str) -> None:
    try:
        once = inside(path)
    except BadPath:
        return
    names = once.split("/")
    assert not {"", ".", ".."} & set(names)
    assert inside(once) == once


#: Pattern, path -> whether it is meant.
MEANT = {
    ("a", "a"): True,
    ("a", "a/b.txt"): True,
    ("a", "ab"): False,
    ("a/b", "a"): False,
    ("*", "x"): True,
    ("*", "a/x"): True,
    ("*", ".hidden"): False,
    ("*", ".git/config"): False,
    (".*", ".hidden"): True,
    ("a", "a/.hidden"): True,
    ("*.pt", "best.pt"): True,
    ("*.pt", "runs/best.pt"): False,
    ("runs/*.pt", "runs/best.pt"): True,
    ("*/best.pt", "runs/best.pt"): True,
    ("**/*.pt", "best.pt"): True,
    ("**/*.pt", "a/b/best.pt"): True,
    ("a/**/x", "a/x"): True,
    ("a/**/x", "a/b/c/x"): True,
    ("a/**/x", "b/x"): False,
    ("**", "a/b"): True,
    ("**/x", ".h/x"): False,
    ("?.txt", "a.txt"): True,
    ("?.txt", "ab.txt"): False,
    ("[ab].txt", "b.txt"): True,
    ("[1].txt", "[1].txt"): True,
    ("A.txt", "a.txt"): False,
}


@pytest.mark.parametrize(("pattern", "path"), MEANT)
def test_a_pattern_means_what_it_means_in_a_shell(pattern: str, path: str) -> None:
    assert matches(path, pattern) is MEANT[pattern, path]
