"""Names of every kind that a shell, a path or a terminal would obey: none of them does anything."""

from __future__ import annotations

import contextlib
import io
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.fleet.file import FleetFileError, parse_fleet
from jupyter_macgpu.verbs import VERBS
from jupyter_macgpu.wire.errors import MacGPUError
from tests.inputs.shell import Notebook, notebook, well

#: What makes the canary, if anything obeys it; `C` stands for its path.
PAYLOADS = """
;touch${IFS}C  |touch${IFS}C  &touch${IFS}C  &&touch${IFS}C  ||touch${IFS}C  $(touch${IFS}C)
`touch${IFS}C`  >C  <(touch${IFS}C)  ${x:-$(touch${IFS}C)}  \\;touch${IFS}C  %0atouch${IFS}C
-oProxyCommand=touch${IFS}C  --rsync-path=touch${IFS}C  ../../../..C  {open('C','w')}
{{open('C','w')}}  ${open('C','w')}  __import__('os').system('touch${IFS}C')  !touch${IFS}C
%%sh;touch${IFS}C  file://C  |C  -eC  \x1b]0;touch${IFS}C\x07
""".split()
FORMS = ["{}", "a{}", "'{}", "{}#"]
#: Names that a host, a run, a file, a variable may be given: 25 payloads in 8 forms.
NAMES = [form.format(payload) for payload, form in itertools.product(PAYLOADS, FORMS)]
NAMES += [f'"{name}' for name in NAMES]


def test_there_are_as_many_names_as_there_should_be() -> None:
    assert len(set(NAMES)) >= 200


@pytest.fixture(scope="module")
def book(own_state: Path) -> Iterator[Notebook]:
    with notebook() as opened:
        well(opened)
        yield opened
        well(opened)


def quoted(name: str) -> str:
    quote = '"' if "'" in name else "'"
    return f"{quote}{name.replace(quote, '')}{quote}"


def test_s3_no_name_on_a_magic_line_is_obeyed(book: Notebook, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    one_by_one = itertools.cycle(["--on", "-i", "-o", "--as", "--setenv", "--files", "--profile"])
    verbs = itertools.cycle(["attach", "logs", "cancel", "use", "describe", "get", "put", "why"])
    assert {"attach", "logs", "cancel", "use", "describe", "get", "put", "why"} <= set(VERBS)
    for name, option, verb in zip(NAMES, one_by_one, verbs, strict=False):
        text = quoted(name.replace("C", str(canary)))
        book.run(f"%%macgpu {option} {text}\n1").error_is(MacGPUError)
        book.run(f"%macgpu {verb} {text}").error_is(MacGPUError)
        assert not canary.exists(), (option, verb, name)


def test_s3_no_name_in_a_shell_is_obeyed(tmp_path: Path, own_state: Path) -> None:
    from jupyter_macgpu.cli import main

    canary = tmp_path / "canary"
    verbs = itertools.cycle(["trust", "doctor", "drain", "attach", "apply", "diff", "import"])
    for name, verb in zip(NAMES[::4], verbs, strict=False):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            assert main([verb, name.replace("C", str(canary))]) != 0
        assert "\x1b]" not in out.getvalue()
        assert not canary.exists(), (verb, name)


def test_s3_no_name_in_a_fleet_file_is_obeyed(tmp_path: Path) -> None:
    import json

    canary = tmp_path / "canary"
    keys = "hostname user hostkey python identity_file known_hosts transport proxy".split()
    for name in NAMES:
        text = json.dumps(name.replace("C", str(canary)))
        for key in keys:
            with contextlib.suppress(FleetFileError):
                hosts = parse_fleet(f"version: 1\nhosts: {{a: {{{key}: {text}}}}}\n", "f")
                # Only where a path may have any name, and stands for itself.
                assert key in ("python", "identity_file", "known_hosts"), (key, name, hosts)
        with pytest.raises(FleetFileError):
            parse_fleet(f"version: 1\nhosts: {{{text}: {{}}}}\n", "f")
        assert not canary.exists()


def test_s3_files_of_any_name_travel_and_nothing_else_happens(
    book: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    names = [name.replace("/", "").replace("C", "canary") for name in NAMES[::8]]
    names = [name for name in names if "'" not in name and name.isprintable()]
    for name in names:
        (working / name).write_text(name)
    book.run("%macgpu put " + " ".join(f"'./{name}'" for name in names)).error_is(None)
    ran = book.run("%%macgpu\nimport os\nprint(sorted(os.listdir()))").error_is(None)
    assert set(names) <= set(eval(ran.text))
    assert sorted(path.name for path in working.iterdir()) == sorted(names)
    assert not canary.exists()


def test_s3_the_payloads_work_where_they_are_obeyed(tmp_path: Path) -> None:
    made = 0
    for number, name in enumerate(NAMES):
        canary = tmp_path / str(number)
        name = name.replace("C", str(canary))
        python = [sys.executable, "-c", name.replace("${IFS}", " ")]
        for command in (["sh", "-c", f"true {name}"], python if "(" in name else []):
            if command:
                subprocess.run(command, capture_output=True, check=False)
        made += canary.exists()
    assert made >= 20
