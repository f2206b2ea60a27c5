"""Write down the versions that this environment has of everything that some extras need.

``python tools/lock.py test lint > requirements/dev.lock``. The file holds names and
versions alone, so that it serves as constraints for any index and any platform: a
local version such as ``+cpu`` is left out, and what another platform needs besides
is free to float within the ranges of pyproject.toml.
"""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def needed(extras: Iterable[str]) -> list[Requirement]:
    """Return what the project and some of its extras ask for themselves."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    texts = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    requirements = [Requirement(text) for text in texts]
    ours = [r for r in requirements if r.name == project["name"]]
    others = [r for r in requirements if r.name != project["name"]]
    return others + [r for own in ours for r in needed(sorted(own.extras))]


def closure(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Return the version of each package that these need here, directly or not.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If one of them is not installed.
    """
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [(requirement, frozenset[str]()) for requirement in requirements]
    while queue:
        requirement, asking = queue.pop()
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in asking or {""}
        ):
            continue
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        distribution = importlib.metadata.distribution(name)
        versions[name] = Version(distribution.version).public
        further = (Requirement(text) for text in distribution.requires or ())
        queue += [(requirement, extras | {""}) for requirement in further]
    return versions


def main() -> None:
    """Print the lock of the extras that the command line names."""
    print("# Made by `make lock`. Constraints: names and versions, no place to fetch them from.")
    for name, version in sorted(closure(needed(sys.argv[1:])).items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
