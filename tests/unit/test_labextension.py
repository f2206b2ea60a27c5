"""What both halves of the panel must say alike, and nothing else would notice."""

from __future__ import annotations

import json
import re
from pathlib import Path

from jupyter_macgpu import __version__
from jupyter_macgpu.server.service import API
from jupyter_macgpu.showing import MIME

FOLDER = Path(__file__).parents[2] / "labextension"


def said(file: str, pattern: str) -> list[str]:
    return re.findall(pattern, (FOLDER / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_both_halves_are_of_one_version() -> None:
    package = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == __version__
    assert said("src/version.ts", r"VERSION = '(.+)'") == [__version__]


def test_both_halves_speak_one_interface() -> None:
    assert said("src/rows.ts", r"API = (\d+)") == [str(API)]
    assert said("src/rows.ts", r"RUN_MIME = '(.+)'") == [MIME]


def test_what_menus_and_keys_name_is_a_command() -> None:
    schema = (FOLDER / "schema" / "plugin.json").read_text(encoding="utf-8")
    named = set(re.findall(r'"command": "(.+?)"', schema))
    assert named == set(said("src/commands.ts", r": '(macgpu:.+)'"))


def test_nothing_of_the_page_is_made_of_text_that_is_read_as_html() -> None:
    sources = [path for path in FOLDER.glob("src/**/*.ts*") if "__tests__" not in path.parts]
    assert len(sources) > 20
    for path in sources:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text), path


def test_colours_are_the_themes() -> None:
    style = (FOLDER / "style" / "base.css").read_text(encoding="utf-8")
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(", style)
