"""What the self-test found, as text for a terminal and for an issue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Found = dict[str, Any]


def failed(found: Found) -> bool:
    """Say whether anything in it is worth an exit code."""
    if "why" in found:
        return not found["chosen"]
    checks = [*found.get("checks", []), *_tensors(found.get("contexts", {}).values())]
    return any(check["state"] == "failed" for check in checks)


def report(found: Found) -> str:
    """Return everything that was seen while the login lives."""
    lines = [*_pairs(found["facts"]), ""]
    lines += [_check(check) for check in found["checks"]]
    for name, context in found["contexts"].items():
        lines += ["", *_context(name, context)]
    lines += ["", f"supervisors are started in the way {found['way']!r}"]
    if found["facts"].get("Mac") == "not a Mac":
        lines += ["This is not a Mac: what only a Mac can show is unknown here."]
    return "\n".join(lines)


def detached(found: Found) -> str:
    """Return what was started and what is to be done now."""
    lines = [f"started: {', '.join(found['started'])}", *_refused(found), ""]
    if not found["ssh"]:
        lines += [
            "This login is not one over SSH, so its end shows nothing about SSH.",
            "Come over SSH, from this machine if need be (ssh localhost), and start it there.",
        ]
        return "\n".join(lines)
    minutes = found["wait"] / 60 + 1
    return "\n".join(
        [
            *lines,
            "Now end this connection, all of it: log out, and end a shared one with ssh -O exit.",
            f"Then wait {minutes:.0f} minutes, log in again and say: macgpu selftest --collect",
            "If somebody is logged in at the screen, do it once more after they have logged out.",
        ]
    )


def collected(found: Found) -> str:
    """Return what was found after the login's end, and what follows from it."""
    lines: list[str] = []
    if "before" in found:
        lines += [*_context("before the login's end", found["before"]), ""]
    for way, context in found["ways"].items():
        name = f"after it, in the way {way!r}"
        lines += [*(_context(name, context) if context else [f"{name}: nothing yet"]), ""]
    lines += _refused(found)
    chosen = found["chosen"]
    lines += [f"chosen: {chosen}" if chosen else "nothing is chosen", found["why"]]
    if chosen == "attached":
        lines += ["Runs on this machine will not survive the connection they were started over."]
    return "\n".join(lines)


def _refused(found: Found) -> list[str]:
    return [f"not started in the way {way!r}: {why}" for way, why in found["refused"].items()]


def _context(name: str, context: Mapping[str, Any]) -> Iterator[str]:
    yield f"{name}:"
    yield from (f"  {line}" for line in _pairs({k: context[k] for k in context if k != "tensors"}))
    yield from (f"  {_check(tensor)}" for tensor in context["tensors"])


def _pairs(pairs: Mapping[str, str]) -> Iterator[str]:
    width = max(len(name) for name in pairs)
    yield from (f"{name:<{width}}  {value}" for name, value in pairs.items())


def _check(check: Mapping[str, str]) -> str:
    return f"{check['state']:<7}  {check['name']}: {check['line']}"


def _tensors(contexts: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [tensor for context in contexts for tensor in context["tensors"]]
