"""The answer to an audit is a hash of the question and of every byte."""

import hashlib

import pytest

from atlas.content.audit import audit_answer
from atlas.errors import ContentError


@pytest.mark.parametrize("size", [0, 5, 3 << 20])
def test_the_answer_covers_nonce_and_bytes(tmp_path, size):
    path = tmp_path / "content"
    path.write_bytes(b"x" * size)
    assert audit_answer(b"nonce", path) == hashlib.sha256(b"nonce" + b"x" * size).digest()
    assert audit_answer(b"other", path) != audit_answer(b"nonce", path)


def test_a_folder_has_no_answer(tmp_path):
    with pytest.raises(ContentError, match="not a file"):
        audit_answer(b"nonce", tmp_path)
