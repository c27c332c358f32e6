import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.data.merkle import merkle_proof, merkle_root, root_from_proof
from atlas.errors import VerificationError

leaves_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=33)


@given(leaves=leaves_lists, data=st.data())
def test_every_leaf_proves_itself(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    assert root_from_proof(leaves[index], merkle_proof(leaves, index)) == merkle_root(leaves)


@given(leaves=leaves_lists, data=st.data())
def test_another_leaf_does_not_prove(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    assert root_from_proof(leaves[index] + b"x", merkle_proof(leaves, index)) != merkle_root(leaves)


@given(leaves=st.lists(st.binary(max_size=8), min_size=2, max_size=9, unique=True))
def test_order_matters(leaves):
    assert merkle_root(leaves) != merkle_root(leaves[::-1])


def test_three_leaves_by_hand():
    def sha(data):
        return hashlib.sha256(data).digest()

    a, b, c = (sha(b"\0" + leaf) for leaf in (b"a", b"b", b"c"))
    assert merkle_root([b"a", b"b", b"c"]) == sha(b"\1" + sha(b"\1" + a + b) + c)


def test_no_leaf_is_an_error():
    with pytest.raises(VerificationError):
        merkle_root([])
