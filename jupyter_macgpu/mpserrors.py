"""Versions of PyTorch that are known for wrong results on MPS without an error: pure.

Only what was reported to PyTorch with a reproducer is here, and whose versions the reports name. A
version that is not here is not thereby right: ``--verify`` looks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Errors that are named of one version.
_MOST = 3
_AT = "https://github.com/pytorch/pytorch/issues"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError:
    """One error.

    Attributes
    ----------
    since
        The first version that is known to have it.
    until
        The first that is known not to; None: none is.
    what
        In what a result may be wrong.
    number
        Of the report.
    """

    since: tuple[int, ...]
    until: tuple[int, ...] | None
    what: str
    number: int

    @property
    def link(self) -> str:
        """Where it was reported."""
        return f"{_AT}/{self.number}"

    @property
    def versions(self) -> str:
        """The versions in words."""
        since, until = ".".join(map(str, self.since)), ".".join(map(str, self.until or ()))
        return f"{since} to before {until}" if until else f"{since} and later"


#: What happens at everyday sizes comes first.
KNOWN = (
    KnownError(
        since=(2, 8),
        until=(2, 9),
        what="linear layers whose weight or input is not contiguous",
        number=162730,
    ),
    KnownError(
        since=(2, 8),
        until=(2, 9),
        what="attention with at most 8 queries that are not contiguous",
        number=163597,
    ),
    KnownError(
        since=(2, 8),
        until=(2, 11),
        what="attention in half precision over 1,024 keys and more",
        number=174861,
    ),
    # The change that brought it (pytorch#128393, of August 2024) is named in its mending, #192303.
    KnownError(
        since=(2, 5),
        until=(2, 14),
        what="conv2d whose weight is not contiguous",
        number=192212,
    ),
    KnownError(
        since=(2, 7),
        until=(2, 14),
        what="products of matrices over more than 32,768 terms, on M1 and M2",
        number=193487,
    ),
    KnownError(
        since=(2, 13),
        until=None,
        what="batched products over 32,767 terms and more, on M1 and M2",
        number=195163,
    ),
    KnownError(
        since=(2, 12),
        until=None,
        what="linear layers with a bias, of 3-D inputs whose first dimension is over 65,536",
        number=189495,
    ),
    KnownError(
        since=(2, 11),
        until=None,
        what="isfinite and isinf of slices of large tensors",
        number=183419,
    ),
    KnownError(
        since=(2, 13),
        until=None,
        what="cat to more than 2^31 elements",
        number=189960,
    ),
    KnownError(
        since=(2, 4, 1),
        until=None,
        what="batched products with a tensor of more than 2^32 elements",
        number=197636,
    ),
)


def errors_in(version: str) -> list[KnownError]:
    """Return what is known of a version; nothing of one that cannot be read."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?!\d)", version)
    if found is None:
        return []
    number = tuple(int(part or 0) for part in found.groups())
    return [
        error
        for error in KNOWN
        if number >= error.since and (error.until is None or number < error.until)
    ]


def line_of(version: str) -> str:
    """Return what is to be said of a version; the empty text if nothing is known of it."""
    known = errors_in(version)
    if not known:
        return ""
    named = "; ".join(f"{error.what} ({error.link})" for error in known[:_MOST])
    rest = len(known) - _MOST
    more = f"; and in {rest} other cases, see the README" if rest > 0 else ""
    return f"torch {version} on MPS is known to be wrong, without an error, in {named}{more}"
