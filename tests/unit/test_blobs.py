"""Blobs: parted from a bundle and joined to it again; which ones a host keeps."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jupyter_macgpu.mac.shelf import BELIEVED, KEPT, Name, Shelf
from jupyter_macgpu.wire import blobs
from jupyter_macgpu.wire.errors import RemoteProtocolError

LEAST = blobs.LEAST


def filled(size: int, value: int = 7) -> memoryview:
    return memoryview(bytearray([value]) * size)


@given(st.lists(st.sampled_from([0, 1, LEAST - 1, LEAST, LEAST + 9]), max_size=6), st.data())
def test_what_is_parted_is_joined_again(sizes: list[int], data: st.DataObject) -> None:
    buffers = [filled(size, data.draw(st.integers(0, 2))) for size in sizes]
    said, left, found = blobs.parted({"source": "x"}, buffers)
    assert all(view.nbytes < LEAST for view in left)
    assert {*map(bytes, found.values())} == {bytes(b) for b in buffers if b.nbytes >= LEAST}
    assert blobs.are_sound({digest: view.nbytes for digest, view in found.items()}, [])
    described = memoryview(json.dumps(said).encode())
    parts = blobs.joined([described, *left], found.__getitem__)
    assert json.loads(bytes(parts[0])) == {"source": "x"}
    assert [bytes(part) for part in parts[1:]] == [*map(bytes, buffers)]


def test_of_very_many_buffers_the_largest_ones_are_blobs() -> None:
    buffers = [filled(LEAST + number % 2) for number in range(blobs.MOST + 10)]
    _said, left, _found = blobs.parted({}, buffers)
    assert [view.nbytes for view in left] == [LEAST] * 10


@pytest.mark.parametrize("size", [0, 1, blobs.BLOCK - 1, blobs.BLOCK, 2 * blobs.BLOCK + 5])
def test_a_digest_is_the_same_in_whatever_cuts_the_bytes_come(size: int) -> None:
    data = memoryview(bytes(range(256)) * (size // 256 + 1))[:size]
    blocks = [data[at : at + blobs.BLOCK] for at in range(0, size, blobs.BLOCK)]
    plain = hashlib.sha256(b"".join(hashlib.sha256(block).digest() for block in blocks))
    assert blobs.digests_of([data, filled(3)])[0] == plain.hexdigest()
    digest = blobs.Digest()
    cuts = [0, min(7, size), size // 3 + 7, size]
    for start, end in pairwise(sorted({min(cut, size) for cut in cuts})):
        digest.update(data[start:end])
    assert digest.hexdigest() == plain.hexdigest()


def test_every_bit_of_a_blob_counts() -> None:
    plain = bytearray(2 * blobs.BLOCK + 5)
    found = {blobs.digests_of([memoryview(plain)])[0]}
    for at in (0, blobs.BLOCK, 2 * blobs.BLOCK + 4):
        plain[at] ^= 16
        found |= {*blobs.digests_of([memoryview(plain)])}
    assert len(found) == 4


ONE = "1" * 64


@pytest.mark.parametrize(
    "said",
    [
        {"blobs": [ONE, ""]},
        {"blobs": ["../" + ONE[3:]]},
        {"blobs": {"0": ONE}},
        {"blobs": [7]},
        {"blobs": []},
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_its_inputs_is_refused(said: dict[str, object]) -> None:
    left = [] if said["blobs"] else [filled(3)]
    with pytest.raises(RemoteProtocolError):
        blobs.inputs_of(said, left, lambda _digest: filled(1))


@pytest.mark.parametrize("parts", [[], [b"[]", b""], [b"{", b""], [b"\xff", b""]], ids=str)
def test_what_is_no_bundle_of_a_cell_is_not_joined(parts: list[bytes]) -> None:
    with pytest.raises(RemoteProtocolError):
        blobs.joined([memoryview(part) for part in parts], lambda _digest: filled(1))


@pytest.mark.parametrize(
    ("found", "coming"),
    [
        ({"1" * 63: 1}, []),
        ({"../" + ONE[3:]: 1}, []),
        ({ONE.replace("1", "G"): 1}, []),
        ({ONE + "\n": 1}, []),
        ({ONE: 0}, []),
        ({ONE: -1}, []),
        ({ONE: 1.0}, []),
        ({ONE: True}, []),
        ({ONE: 2**51}, []),
        ({ONE: 1}, [1]),
        ({ONE: 1}, [-1]),
        ({ONE: 1}, [0, 0]),
        ({ONE: 1}, ["0"]),
        ({f"{number:064x}": 1 for number in range(blobs.MOST + 1)}, []),
    ],
    ids=lambda value: str(value)[:30],
)
def test_blobs_that_are_not_what_they_must_be_are_known(
    found: dict[object, object], coming: list[object]
) -> None:
    assert blobs.are_sound({ONE: 1}, [0])
    assert not blobs.are_sound(found, coming)


QUOTA = 100
NAMES = st.builds(Name, st.sampled_from("ab"), st.sampled_from("12345"))


class Shelving(RuleBasedStateMachine):
    """A shelf beside the plainest one: a list of what is there, the oldest use first."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.shelf = Shelf(QUOTA)
        self.there: dict[Name, tuple[int, float]] = {}

    def gone(self, names: list[Name]) -> None:
        for name in names:
            del self.there[name]

    @rule(seconds=st.sampled_from([1.0, BELIEVED, KEPT / 2]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=NAMES, size=st.integers(1, QUOTA + 10))
    def put(self, name: Name, size: int) -> None:
        gone = self.shelf.put(name, size, self.now, self.now)
        self.there[name] = size, self.now
        if size > QUOTA:
            assert gone == [name]
        else:
            assert name not in gone or all(used >= self.now for _, used in self.there.values())
            over = sum(size for size, _ in self.there.values()) - QUOTA
            freed = [self.there[each][0] for each in gone]
            assert sum(freed) >= over
            assert not gone or sum(freed[:-1]) < over  # not one more than has to go
            self.oldest_first(gone)
        self.gone(gone)

    def oldest_first(self, gone: list[Name]) -> None:
        left = [used for name, (_, used) in self.there.items() if name not in gone]
        assert all(self.there[name][1] <= min(left, default=self.now) for name in gone)

    @rule(name=NAMES, size=st.integers(1, QUOTA))
    def use(self, name: Name, size: int) -> None:
        held = name in self.there and self.there[name][0] == size
        assert self.shelf.use(name, size, self.now) == held
        if held:
            self.there[name] = size, self.now

    @rule(name=NAMES)
    def use_what_is_there(self, name: Name) -> None:
        if name in self.there:
            self.use(name, self.there[name][0])

    @rule(wanted=st.integers(0, QUOTA))
    def spare(self, wanted: int) -> None:
        gone = self.shelf.spare(wanted)
        freed = sum(self.there[name][0] for name in gone)
        assert freed >= wanted or not set(self.there) - set(gone)
        self.oldest_first(gone)
        self.gone(gone)

    @rule(name=NAMES)
    def drop(self, name: Name) -> None:
        self.shelf.drop(name)
        self.there.pop(name, None)

    @rule()
    def expire(self) -> None:
        old = {name for name, (_, used) in self.there.items() if self.now - used > KEPT}
        assert {*self.shelf.expire(self.now)} == old
        self.gone([*old])

    @invariant()
    def both_hold_the_same(self) -> None:
        assert len(self.shelf) == len(self.there)
        assert all(name in self.shelf for name in self.there)
        assert self.shelf.size == sum(size for size, _ in self.there.values()) <= QUOTA


TestShelving = Shelving.TestCase
TestShelving.settings = settings(max_examples=60, stateful_step_count=40)


def test_a_blob_is_hashed_again_when_it_was_found_or_an_hour_has_passed() -> None:
    shelf, name = Shelf(QUOTA), Name("a", "1")
    shelf.put(name, 1, 0.0, None)
    assert shelf.doubtful(name, 1.0)
    shelf.check(name, 1.0)
    assert not shelf.doubtful(name, 1.0 + BELIEVED)
    assert shelf.doubtful(name, 2.0 + BELIEVED)
    assert shelf.doubtful(name, 0.0), "the clock went back"
    shelf.check(Name("a", "2"), 1.0)
    assert len(shelf) == 1


def test_what_one_notebook_sent_another_one_cannot_name() -> None:
    shelf = Shelf(QUOTA)
    shelf.put(Name("a", "1"), 1, 0.0, 0.0)
    assert shelf.use(Name("a", "1"), 1, 0.0)
    assert not shelf.use(Name("b", "1"), 1, 0.0)
