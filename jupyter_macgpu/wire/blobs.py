"""Blobs: the large parts of a bundle, known by their digest and kept apart from it.

What a host holds already does not travel again. A bundle that was parted holds a digest in place of
each blob, so the bundle's own digest stands for all of it. Where nobody can do with
that, the blobs are joined to it again, and the bundle is as it would have been.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from .errors import RemoteProtocolError

#: Bytes from which on a part is a blob: what is smaller travels sooner than it is asked for.
LEAST = 64 * 1024
#: Blobs of one bundle; of more parts the largest ones are blobs.
MOST = 512
#: Bytes that are hashed in one go: the blocks of a blob are hashed beside each other.
BLOCK = 4 * 1024 * 1024
#: Bytes that no blob has.
LARGEST = 2**50
_DIGEST = re.compile(r"[0-9a-f]{64}")
#: Where a cell's description says which of the parts behind it are blobs.
_KEY = "blobs"


class Blob(NamedTuple):
    """A blob among a cell's inputs: its number there, its digest, and its bytes."""

    number: int
    digest: str
    size: int


class Digest:
    """The digest of a blob whose bytes come one after the other.

    It is the SHA-256 of the SHA-256 of each `BLOCK` bytes, so that who has all of them can use
    all processors.
    """

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._block = hashlib.sha256()
        self._room = BLOCK

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        view = memoryview(data).cast("B")
        while view.nbytes:
            piece, view = view[: self._room], view[self._room :]
            self._block.update(piece)
            self._room -= piece.nbytes
            if not self._room:
                self._whole.update(self._block.digest())
                self._block, self._room = hashlib.sha256(), BLOCK

    def hexdigest(self) -> str:
        """Return the digest of what came so far, in hex."""
        whole = self._whole.copy()
        if self._room < BLOCK:
            whole.update(self._block.digest())
        return whole.hexdigest()


def digests_of(views: Sequence[memoryview]) -> list[str]:
    """Return the digest of each blob, in hex; several processors share the work."""
    blocks = [
        (number, view[start : start + BLOCK])
        for number, view in enumerate(views)
        for start in range(0, view.nbytes, BLOCK)
    ]
    wholes = [hashlib.sha256() for _ in views]
    if len(blocks) < 2:
        found = [_hashed(block) for _, block in blocks]
    else:
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(_hashed, [block for _, block in blocks]))
    for (number, _), block in zip(blocks, found, strict=True):
        wholes[number].update(block)
    return [whole.hexdigest() for whole in wholes]


def is_digest(text: object) -> bool:
    """Say whether something is a digest as this module writes it: it becomes a file's name."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def are_sound(found: Mapping[Any, Any], coming: Sequence[Any]) -> bool:
    """Say whether sizes by digest, and numbers of those that come, are what they must be."""
    sizes = all(is_digest(name) and type(size) is int for name, size in found.items())
    return (
        sizes
        and len(found) <= MOST
        and all(0 < size <= LARGEST for size in found.values())
        and all(type(number) is int and 0 <= number < len(found) for number in coming)
        and len({*coming}) == len(coming)
    )


def found_in(inputs: Sequence[memoryview]) -> tuple[Blob, ...]:
    """Return which of a cell's inputs are blobs, the largest first; all of these are hashed."""
    large = sorted(
        (number for number, view in enumerate(inputs) if view.nbytes >= LEAST),
        key=lambda number: -inputs[number].nbytes,
    )[:MOST]
    digests = digests_of([inputs[number] for number in large])
    return tuple(
        Blob(number, digest, inputs[number].nbytes)
        for number, digest in zip(large, digests, strict=True)
    )


def parted(
    description: dict[str, Any],
    inputs: Sequence[memoryview],
    found: Sequence[Blob] | None = None,
) -> tuple[dict[str, Any], list[memoryview], dict[str, memoryview]]:
    """Part the blobs from a cell's inputs: the stream of their pickle, and its buffers.

    Parameters
    ----------
    found
        What `found_in` returned for these inputs as they are now; None looks for it.

    Returns
    -------
    tuple
        The description, which says where they were; the inputs that are left; the blobs by
        digest. A blob that stands in several places is there once.
    """
    if found is None:
        found = found_in(inputs)
    if not found:
        return description, list(inputs), {}
    places = {blob.number: blob.digest for blob in found}
    left = [view for number, view in enumerate(inputs) if number not in places]
    said = {**description, _KEY: [places.get(number, "") for number in range(len(inputs))]}
    return said, left, {digest: inputs[number] for number, digest in places.items()}


def inputs_of(
    description: Mapping[str, Any],
    left: Sequence[memoryview],
    blob: Callable[[str], memoryview],
) -> list[memoryview]:
    """Return a cell's inputs in their order, of which `parted` left some.

    Parameters
    ----------
    blob
        Returns the blob of a digest. It is asked once for each place.

    Raises
    ------
    RemoteProtocolError
        If the description does not fit what was left.
    """
    places = description.get(_KEY)
    if places is None:
        return list(left)
    if not isinstance(places, list) or not all(not each or is_digest(each) for each in places):
        raise RemoteProtocolError("a cell's description names blobs that have no digest")
    if sum(not each for each in places) != len(left):
        raise RemoteProtocolError("a cell's description does not fit its inputs")
    rest: Iterator[memoryview] = iter(left)
    return [blob(each) if each else next(rest) for each in places]


def joined(
    parts: Sequence[memoryview], blob: Callable[[str], memoryview]
) -> list[bytes | memoryview]:
    """Return the parts of a bundle with its blobs in their places, as if none had been parted.

    Raises
    ------
    RemoteProtocolError
        If they are not those of a cell's bundle.
    """
    try:
        description = json.loads(str(parts[0], "utf-8"))
        inputs = inputs_of(description, parts[1:], blob)
        description.pop(_KEY, None)
        return [json.dumps(description).encode(), *inputs]
    except (ValueError, IndexError, AttributeError) as error:
        text = f"a cell's description cannot be read: {type(error).__name__}: {error}"
        raise RemoteProtocolError(text) from None


def _hashed(block: memoryview) -> bytes:
    return hashlib.sha256(block).digest()
