"""The texts of the project: links lead somewhere, nothing is left undone, no pictures for words."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {"node_modules", "build", "dist", "__pycache__"}
TEXTS = {".md", ".py", ".toml", ".yaml", ".yml", ".ipynb", ".ts", ".tsx", ".js", ".css", ".txt"}
NAMED = {"Makefile", "run", "LICENSE", ".gitignore"}
#: Put together, so that this file does not hold what it looks for.
FORBIDDEN_WORDS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")
EMOJI = re.compile("[\u2600-\u27bf\u2b50\u2b55\ufe0f\U0001f000-\U0001faff]")
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def texts() -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in SKIPPED and (f[0] != "." or f == ".ci")]
        for file in files:
            path = Path(folder, file)
            if path.suffix in TEXTS or file in NAMED:
                yield path


FILES = sorted(texts())
DOCUMENTS = [path for path in FILES if path.suffix == ".md"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(document: Path) -> set[str]:
    """Return what a heading is called in a link: lower case, no punctuation, hyphens."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = document.parent / place if place else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_is_left_for_later_and_no_picture_stands_for_a_word(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert FORBIDDEN_WORDS.findall(text) == []
    assert EMOJI.findall(text) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=name)
def test_a_notebook_is_saved_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"]] == []


@pytest.mark.parametrize(
    "document",
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE"],
)
def test_a_reader_finds_the_documents_that_every_project_has(document: str) -> None:
    assert (ROOT / document).stat().st_size > 200


def placed() -> Iterator[tuple[str, str, str]]:
    """Yield each place in the tables of files: its path, its folder, and what its row says."""
    tables = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tables = tables[tables.index("\n## Files") : tables.index("\n## How a host is reached")]
    for place, holds in re.findall(r"^\| (`.+?) \| (.+) \|$", tables, re.MULTILINE):
        folder = ""
        for word in re.findall(r"`([^`]+)`", place):
            path = word if "/" in word else folder + word
            folder = path[: path.rfind("/") + 1]
            yield path, folder, holds


def test_every_place_in_the_tables_of_files_is_there() -> None:
    package = ROOT / "jupyter_macgpu"
    for path, _, _ in placed():
        places = package / path, package / f"{path}.py", ROOT / path
        assert any(place.exists() for place in places), path


def test_every_module_has_its_place_in_the_tables_of_files() -> None:
    named = set()
    for path, folder, holds in placed():
        named |= {path, *(folder + word for word in re.findall(r"`([^`]+)`", holds))}
    package = ROOT / "jupyter_macgpu"
    modules = {
        path.relative_to(package).with_suffix("").as_posix()
        for path in package.rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    }
    assert modules - named == set()
