"""What may not stand in the source, wherever somebody adds it: each rule is tried on bad code."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "jupyter_macgpu"
#: Files that may do what no other may, and why that is safe there.
OWNERS = {
    # Code of the user's own cells and values, on the host or from a host that is trusted.
    "runs code": {"wire/values/", "mac/worker/"},
    "unpickles": {"wire/values/", "mac/worker/"},
    # Hashed names of OpenSSH's known_hosts are SHA-1, which is no secret's keeper there.
    "weak hash": {"transport/known_hosts.py"},
    "shell": set(),
    "accepts any key": set(),
    "guessable temporary name": set(),
    "constructs from YAML": set(),
    "markup from text": set(),
}
CALLS = {
    "eval": "runs code",
    "exec": "runs code",
    "pickle.loads": "unpickles",
    "pickle.load": "unpickles",
    "pickle.Unpickler": "unpickles",
    "marshal.loads": "unpickles",
    "cloudpickle.loads": "unpickles",
    "os.system": "shell",
    "os.popen": "shell",
    "subprocess.getoutput": "shell",
    "subprocess.getstatusoutput": "shell",
    "tempfile.mktemp": "guessable temporary name",
    "hashlib.md5": "weak hash",
    "hashlib.sha1": "weak hash",
    "yaml.load": "constructs from YAML",
}
NAMES = {
    "AutoAddPolicy": "accepts any key",
    "WarningPolicy": "accepts any key",
    "innerHTML": "markup from text",
}


def broken(source: str) -> Iterator[tuple[str, int]]:
    """Yield the rules that a source breaks, with the line of each."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Call):
            if rule := CALLS.get(ast.unparse(node.func)):
                yield rule, line
            for keyword in node.keywords:
                true = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                if keyword.arg == "shell" and true:
                    yield "shell", line
                if keyword.arg == "typ" and ast.unparse(keyword.value) == "'unsafe'":
                    yield "constructs from YAML", line
        named = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        if rule := NAMES.get(named):
            yield rule, line


def allowed(name: str, rule: str) -> bool:
    return any(
        name == place or (place[-1] == "/" and name.startswith(place)) for place in OWNERS[rule]
    )


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_s9_no_file_does_what_only_few_may(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    found = [(rule, line) for rule, line in broken(path.read_text()) if not allowed(name, rule)]
    assert found == []


BAD = {
    "accepts any key": "client.set_missing_host_key_policy(paramiko.AutoAddPolicy())",
    "shell": "subprocess.run('ls ' + name, shell=True)",
    "unpickles": "pickle.loads(data)",
    "runs code": "eval(text)",
    "guessable temporary name": "tempfile.mktemp()",
    "weak hash": "hashlib.md5(data)",
    "constructs from YAML": "YAML(typ='unsafe')",
    "markup from text": "element.innerHTML = name",
}


@pytest.mark.parametrize("rule", OWNERS)
def test_s9_each_rule_finds_what_it_is_for(rule: str) -> None:
    assert [found for found, _ in broken(BAD[rule])] == [rule]


SCRIPTS = [
    path for kind in ("*.ts", "*.tsx", "*.js") for path in ROOT.parent.glob(f"[!.]*/**/{kind}")
]
MARKUP: Callable[[str], bool] = lambda text: any(  # noqa: E731 - one rule, used twice
    word in text
    for word in ("innerHTML", "outerHTML", "dangerouslySetInnerHTML", "document.write(")
)


def test_s9_no_script_makes_markup_of_text() -> None:
    ours = [path for path in SCRIPTS if not {"node_modules", "lib"} & set(path.parts)]
    assert [str(path) for path in ours if MARKUP(path.read_text(encoding="utf-8"))] == []
    assert MARKUP("node.innerHTML = name;")


def test_each_promise_names_tests_that_exist() -> None:
    text = (ROOT.parent / "SECURITY.md").read_text(encoding="utf-8")
    promises = text.split("## Promises")[1].split("## ")[0].splitlines()
    rows = [line.split("|")[1:-1] for line in promises if line.startswith("| ")][1:]
    assert len(rows) >= 10
    for promise, _, tests in rows:
        paths = re.findall(r"`((?:ui-)?tests/[^`]+)`", tests)
        assert paths, promise
        assert [path for path in paths if not (ROOT.parent / path).exists()] == []
