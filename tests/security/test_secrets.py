"""Secrets stay where the user put them: canaries are planted, and looked for everywhere else."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu.transport.ssh.login import Keyring, LoginRefused
from tests.faults import processes
from tests.inputs.shell import Notebook, notebook
from tests.ssh_keys import Keys, find

#: Where a run's inputs and outputs are meant to be, for their owner alone.
KEPT = {".journal", ".inputs", ".result"}


def canary(kind: str) -> str:
    return f"canary-{kind}-{secrets.token_hex(8)}"


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Plant secrets in the notebook's environment, and make up the others."""
    kinds = "environment shipped variable closure text output error input file name".split()
    made = {kind: canary(kind) for kind in kinds}
    monkeypatch.setenv("PLANTED_TOKEN", made["environment"])
    monkeypatch.setenv("SHIPPED_TOKEN", made["shipped"])
    return made


@pytest.fixture
def book(state: Path, planted: dict[str, str]) -> Iterator[Notebook]:
    with notebook() as opened:
        yield opened


def holding(state: Path, texts: dict[str, str]) -> dict[str, set[str]]:
    """Return which secrets stand in which kind of file, by the file's ending or name."""
    found: dict[str, set[str]] = {}
    for path in (path for path in state.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for kind, text in texts.items():
            if text.encode() in content:
                found.setdefault(path.suffix or path.name, set()).add(kind)
    return found


def work(book: Notebook, planted: dict[str, str], folder: Path) -> list[str]:
    """Run cells that have the secrets in them; return what was shown of other things."""
    file = folder / "secret.txt"
    file.write_text(planted["file"])
    book.run(f"variable = {planted['variable']!r}").error_is(None)
    book.run(f"held = {planted['closure']!r}\ndef closure(): return len(held)").error_is(None)
    cells = [
        f"%%macgpu --as named --yes --setenv SHIPPED_TOKEN --files {file}\n"
        f"text = {planted['text']!r}\nimport os\nassert variable and closure()\n"
        f"assert len(os.environ['SHIPPED_TOKEN']) > 9\nprint({planted['output']!r})",
        f"%%macgpu\nraise ValueError({planted['error']!r})",
        "%%macgpu\nimport ctypes\nctypes.string_at(0)",
        "%%macgpu --on mars\nvariable",
        "%%macgpu -i nothing_of_that_name\nvariable",
        "%%macgpu --setenv PLANTED_TOKEN\nvariable",
        "%%macgpu\nimport threading\nvariable, threading.Lock().missing",
    ]
    shown = [book.run(cell).text for cell in cells]
    told = [
        book.run(f"%macgpu {verb}").text
        for verb in (
            "runs --json",
            "status --json",
            "describe this-machine --json",
            "why named --json",
            "values --json",
            "files --json",
            "config",
        )
    ]
    return [*shown[2:6], *told]


def test_s6_no_secret_is_where_nobody_put_it(
    book: Notebook, planted: dict[str, str], state: Path, tmp_path: Path
) -> None:
    told = work(book, planted, tmp_path)
    for kind, text in planted.items():
        assert [line for line in told if text in line] == [], kind
    ours = [psutil.Process(each.pid) for each in processes.found(state)]
    assert len(ours) >= 2
    for process in ours:
        said = " ".join(process.cmdline()) + " ".join(process.environ().values())
        assert [kind for kind, text in planted.items() if text in said] == []
        assert process.rlimit(psutil.RLIMIT_CORE)[0] == 0
    found = holding(state, planted)
    assert "environment" not in set().union(*found.values())
    # The file that was put beside the cell is a file there, under its own name.
    assert set(found) <= KEPT | {".txt"}, found
    assert found.get(".txt", set()) <= {"file"}
    book.run("%macgpu restart --yes").error_is(None)
    for run in book.runs():
        book.run(f"%macgpu rm {run} --yes").error_is(None)
    assert set(holding(state, planted)) <= {".txt"}


def test_s6_the_canaries_are_found_where_they_are_meant_to_be(
    book: Notebook, planted: dict[str, str], state: Path, tmp_path: Path
) -> None:
    work(book, planted, tmp_path)
    found = holding(state, planted)
    assert {"shipped", "variable", "text", "output", "error"} <= found[".journal"]


def test_s6_a_passphrase_is_in_no_text(keys: Keys, tmp_path: Path) -> None:
    import subprocess

    path, secret = tmp_path / "id", canary("passphrase")
    words = ["-q", "-t", "ed25519", "-N", secret, "-f", str(path)]
    subprocess.run([find("ssh-keygen"), *words], check=True)
    keyring = Keyring(lambda prompt: secret)
    keyring.open(str(path))
    assert secret not in repr(vars(keyring))
    wrong = canary("wrong")
    with pytest.raises(LoginRefused) as refused:
        Keyring(lambda prompt: wrong).open(str(path))
    assert wrong not in str(refused.value)
    assert wrong not in repr(refused.value.__cause__)


def test_s6_no_variable_of_the_notebook_is_with_the_worker(
    book: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = book.run("%%macgpu\nimport os\nprint(sorted(os.environ))").error_is(None)
    assert "PATH" in ran.text
    assert "TOKEN" not in ran.text
    assert "PLANTED_TOKEN" in os.environ
