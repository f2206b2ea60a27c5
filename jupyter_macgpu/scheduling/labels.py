"""What a label may be called and what it may hold, by Kubernetes' rules. Pure."""

from __future__ import annotations

import re

from ..wire.errors import ALL_KEPT, NOTHING_SENT, PlacementError

#: Longest name (the part of a key after its slash) and longest value, in characters.
LONGEST_NAME = 63
#: Longest prefix (the part of a key before its slash), in characters.
LONGEST_PREFIX = 253

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*",
)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_CANONICAL = re.compile(r"0|-?[1-9][0-9]*")


class SelectorError(PlacementError):
    """A selector, an affinity, a taint or a toleration cannot be read. Nothing was sent.

    Attributes
    ----------
    problems
        Everything that is wrong, one short text for each, with the place where it is.
    """

    known, kept = NOTHING_SENT, ALL_KEPT
    next = "Write it as Kubernetes does, for example: gpu-type=metal,chip in (m2-ultra, m3-ultra)."

    def __init__(self, what: str, problems: tuple[str, ...] = (), *, next: str = "") -> None:
        super().__init__(what, next=next)
        self.problems = problems or (what,)


def key_problem(key: str) -> str:
    """Return what is wrong with a label's key; the empty text if nothing is."""
    prefix, slash, name = key.rpartition("/")
    if slash and not prefix:
        return "the prefix before the slash is empty"
    if slash and (len(prefix) > LONGEST_PREFIX or not _SUBDOMAIN.fullmatch(prefix)):
        return f"the prefix must be a DNS name in lower case of at most {LONGEST_PREFIX} characters"
    if not name:
        return "the name is empty"
    if len(name) > LONGEST_NAME:
        return f"the name has more than {LONGEST_NAME} characters"
    if not _NAME.fullmatch(name):
        return "a name has letters, digits, '-', '_' and '.', and a letter or digit at either end"
    return ""


def value_problem(value: str) -> str:
    """Return what is wrong with a label's value; the empty text if nothing is."""
    if len(value) > LONGEST_NAME:
        return f"the value has more than {LONGEST_NAME} characters"
    if value and not _NAME.fullmatch(value):
        return "a value has letters, digits, '-', '_' and '.', and a letter or digit at either end"
    return ""


def integer(text: str) -> int | None:
    """Return a signed decimal number of 64 bits; None if the text is none.

    Leading zeros and a plus sign are allowed, as in labels that are compared with ``>``.
    """
    return _within_64_bits(text) if _INTEGER.fullmatch(text) else None


def canonical_integer(text: str) -> int | None:
    """Return the same, and None too where the text is not the one way to write that number.

    Tolerations compare so: ``0100``, ``+5`` and ``-0`` are no numbers to them.
    """
    return _within_64_bits(text) if _CANONICAL.fullmatch(text) else None


def _within_64_bits(text: str) -> int | None:
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > 19:  # so that Python is not asked to read thousands of digits
        return None
    number = int(digits or "0") * (-1 if text.startswith("-") else 1)
    return number if -(2**63) <= number < 2**63 else None
