"""Put each seeded bug into a copy of the project and see its tests turn red: make seeded-bugs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.seeded_bugs import ROOT, Seed, seeds

#: What pytest returns when tests failed; all else is another kind of trouble.
RED, GREEN = 1, 0


def main() -> int:
    """Return 0 if every bug is noticed, and nothing is red without one."""
    wanted = set(sys.argv[1:])
    chosen = [seed for seed in seeds() if not wanted or seed.name in wanted]
    if not chosen:
        print("There is no seeded bug of that name.")
        return 2
    with tempfile.TemporaryDirectory(prefix="macgpu-seeds-") as folder:
        clean = copied(Path(folder) / "clean")
        every = list(dict.fromkeys(word for seed in chosen for word in seed.tests))
        print(f"without a bug: {len(every)} tests or files", flush=True)
        result = tested(clean, every, first=False)
        if result.returncode != GREEN:
            print(result.stdout[-3000:])
            print("They are red without a bug: nothing can be learnt from them.")
            return 1
        survived = [seed.name for seed in chosen if not noticed(seed, Path(folder))]
    print(f"{len(chosen) - len(survived)} of {len(chosen)} seeded bugs were noticed")
    if survived:
        print(f"not noticed: {', '.join(survived)}")
    return 1 if survived else 0


def noticed(seed: Seed, folder: Path) -> bool:
    """Return whether the tests of a bug turn red with it."""
    tree = copied(folder / seed.name)
    applied = seed.apply(tree)
    if applied.returncode:
        print(f"{seed.name}: does not apply: {applied.stdout.strip()}", flush=True)
        return False
    start = time.monotonic()
    result = tested(tree, list(seed.tests), first=True)
    shutil.rmtree(tree)
    red = result.returncode == RED
    word = "noticed" if red else f"NOT NOTICED (pytest returned {result.returncode})"
    print(f"{seed.name}: {word} in {time.monotonic() - start:.0f} s", flush=True)
    if not red:
        print(result.stdout[-1500:])
    return red


def copied(tree: Path) -> Path:
    """Return a copy of the project without what is not source."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        own = {name for name in names if name.startswith(".") and name != ".ci"}
        return own | {"__pycache__", "node_modules", "build", "dist"}

    shutil.copytree(ROOT, tree, ignore=left_out, symlinks=True)
    return tree


def tested(tree: Path, words: list[str], *, first: bool) -> subprocess.CompletedProcess[str]:
    """Run tests in a tree, on its own code."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *(["-x"] if first else []), *words],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
