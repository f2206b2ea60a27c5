"""Small bugs that somebody might make, as patches, each with the tests that must notice it.

A patch begins with lines in words: what the bug is, and ``Tests:`` with what is to turn red. Its
context is one line, so that it goes on applying while the code around it changes.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
#: Lines of context that may have changed: as patch(1) counts its fuzz.
FUZZ = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One bug.

    Attributes
    ----------
    about
        What somebody did wrong.
    tests
        Words for pytest: the tests that notice.
    """

    patch: Path
    about: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.patch.stem

    def apply(self, root: Path, *, try_only: bool = False) -> subprocess.CompletedProcess[str]:
        """Put the bug into a tree, or see whether that would go."""
        words = ["patch", "-p1", f"-F{FUZZ}", "--batch", "--forward", "--no-backup-if-mismatch"]
        words += ["--dry-run"] if try_only else []
        return subprocess.run(
            [*words, "-d", str(root), "-i", str(self.patch)],
            capture_output=True,
            text=True,
            check=False,
        )


def seeds() -> list[Seed]:
    """Return all bugs by name."""
    found = []
    for patch in sorted(FOLDER.glob("*.patch")):
        head = patch.read_text(encoding="utf-8").partition("\n--- ")[0]
        about, _, tests = head.partition("\nTests:")
        words = re.split(r"\s+", tests.strip())
        found.append(Seed(patch=patch, about=" ".join(about.split()), tests=tuple(words)))
    return found
