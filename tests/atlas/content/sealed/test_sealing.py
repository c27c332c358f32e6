"""Sealed files: what was sealed is what opens, byte for byte, and nothing else opens at all."""

import hashlib
import hmac
import io
import stat
import tracemalloc

import Crypto.Hash.SHA256
import Crypto.Protocol.KDF
import pytest
from Crypto.Cipher import AES
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.content.sealed.sealing import (
    FRAME_BYTES,
    HEADER_BYTES,
    TAG_BYTES,
    DatasetKey,
    file_key,
    open_sealed,
    read_header,
    seal_file,
)
from atlas.errors import ContentError, SealError

KEY = DatasetKey(bytes(range(32)))
OTHER = DatasetKey(b"\x07" * 32)
FRAME = FRAME_BYTES + TAG_BYTES
SIZES = st.sampled_from([0, 1, 17, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES, 3 * FRAME_BYTES + 5])


def content(size: int, salt: int = 0) -> bytes:
    return (bytes((salt + index) % 251 for index in range(1009)) * (size // 1009 + 1))[:size]


def seal(data: bytes, name: str = "s000", key: DatasetKey = KEY) -> bytes:
    target = io.BytesIO()
    seal_file(io.BytesIO(data), name, key, target)
    return target.getvalue()


@pytest.fixture(scope="module")
def unseal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unseal")

    def open_(sealed: bytes, original: bytes | None = None) -> bytes:
        """Open with the key of `original`, which is the file itself unless somebody altered it."""
        (folder / "sealed").write_bytes(sealed)
        (folder / "original").write_bytes(sealed if original is None else original)
        target = folder / "rows"
        target.unlink(missing_ok=True)
        try:
            open_sealed(folder / "sealed", file_key(KEY, read_header(folder / "original")), target)
        except SealError:
            assert sorted(path.name for path in folder.iterdir()) == ["original", "sealed"], "nothing is left behind"
            raise
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        return target.read_bytes()

    return open_


def refused(unseal, altered: bytes, original: bytes) -> None:
    with pytest.raises(SealError):
        unseal(altered, original)


@given(size=SIZES | st.integers(0, 2 * FRAME_BYTES), salt=st.integers(0, 250))
@settings(max_examples=40, deadline=None)
def test_what_was_sealed_opens(unseal, size, salt):
    data = content(size, salt)
    sealed = seal(data)
    assert unseal(sealed) == data
    assert len(sealed) == HEADER_BYTES + size + TAG_BYTES * max(1, -(-size // FRAME_BYTES))


def test_a_known_file_has_known_bytes():
    """The format of version 1, which another library writes alike: whoever changes it needs another version."""
    salt = hmac.digest(KEY.secret, b"atlas sealed salt v1" + hashlib.sha256(b"row\n").digest() + b"s000", "sha256")
    header = b"ATLSEAL\x01" + bytes.fromhex("d88d09bf722c9bee") + salt
    key = Crypto.Protocol.KDF.HKDF(KEY.secret, 32, salt, Crypto.Hash.SHA256, 1, b"atlas sealed file v1")
    cipher = AES.new(key, AES.MODE_GCM, nonce=bytes(11) + b"\x01").update(header)
    assert seal(b"row\n") == header + b"".join(cipher.encrypt_and_digest(b"row\n"))
    assert seal(b"row\n").hex().endswith("73e0447d942728c6d57bb11bc766d944a59c501c")


def test_the_same_file_under_the_same_name_and_key_gives_the_same_bytes():
    data = content(3 * FRAME_BYTES)
    assert seal(data) == seal(data)
    others = [seal(data), seal(data, "s001"), seal(data, key=OTHER), seal(data[:-1] + b"?")]
    salts = {sealed[16:HEADER_BYTES] for sealed in others}
    assert len(salts) == 4
    frames = [sealed[start : start + 64] for sealed in others for start in range(HEADER_BYTES, len(sealed), FRAME)]
    assert len(set(frames)) == len(frames), "equal frames never look equal"


@given(size=SIZES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_is_refused(unseal, size, data):
    sealed = seal(content(size))
    place = data.draw(st.integers(0, len(sealed) - 1) | st.integers(0, HEADER_BYTES))
    altered = bytearray(sealed)
    altered[place] ^= 1 << data.draw(st.integers(0, 7))
    refused(unseal, bytes(altered), sealed)


@given(size=SIZES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_truncation_is_refused(unseal, size, data):
    sealed = seal(content(size))
    ends = range(HEADER_BYTES, len(sealed), FRAME)
    refused(unseal, sealed[: data.draw(st.sampled_from(ends) | st.integers(0, len(sealed) - 1))], sealed)


@given(size=SIZES, tail=st.binary(min_size=1, max_size=20) | st.just(bytes(FRAME)))
@settings(max_examples=30, deadline=None)
def test_trailing_bytes_are_refused(unseal, size, tail):
    sealed = seal(content(size))
    refused(unseal, sealed + tail, sealed)
    refused(unseal, sealed + sealed[HEADER_BYTES:], sealed)


@given(order=st.permutations(range(4)).filter(lambda order: order != [0, 1, 2, 3]) | st.lists(st.integers(0, 3)))
@settings(max_examples=40, deadline=None)
def test_frames_in_another_order_are_refused(unseal, order):
    sealed = seal(content(4 * FRAME_BYTES))
    frames = [sealed[start : start + FRAME] for start in range(HEADER_BYTES, len(sealed), FRAME)]
    if order == [0, 1, 2, 3]:
        return
    refused(unseal, sealed[:HEADER_BYTES] + b"".join(frames[index] for index in order), sealed)


@pytest.mark.parametrize("frame", [0, 1])
def test_a_frame_of_another_file_is_refused(unseal, frame):
    sealed, other = seal(content(2 * FRAME_BYTES)), seal(content(2 * FRAME_BYTES), "s001")
    start = HEADER_BYTES + frame * FRAME
    refused(unseal, sealed[:start] + other[start : start + FRAME] + sealed[start + FRAME :], sealed)


def test_another_file_does_not_open_with_this_files_key(unseal):
    sealed, other = seal(content(100)), seal(content(100), "s001")
    refused(unseal, other, sealed)
    refused(unseal, sealed[:HEADER_BYTES] + other[HEADER_BYTES:], sealed)


def test_a_file_key_is_for_one_dataset_key_alone(tmp_path):
    (tmp_path / "sealed").write_bytes(seal(b"rows"))
    header = read_header(tmp_path / "sealed")
    assert header.key_id == KEY.id
    with pytest.raises(SealError, match=f"sealed with key {KEY.id}, not with {OTHER.id}"):
        file_key(OTHER, header)
    with pytest.raises(SealError, match="cannot be opened"):
        open_sealed(tmp_path / "sealed", bytes(32), tmp_path / "rows")


@pytest.mark.parametrize("data", [b"", b"ATLSEAL", b'{"text":"plain rows"}\n' * 20, b"ATLSEAL\x02" + bytes(100)])
def test_what_is_no_sealed_file_is_refused(tmp_path, data):
    (tmp_path / "rows").write_bytes(data)
    with pytest.raises(SealError, match="not a sealed file of version 1"):
        read_header(tmp_path / "rows")


def test_a_file_that_changes_while_it_is_sealed_is_refused():
    """Its frames would be encrypted under the key and nonces of what was read first."""

    class Changing(io.BytesIO):
        def seek(self, place: int, whence: int = 0) -> int:
            self.getbuffer()[0] ^= 1
            return super().seek(place, whence)

    with pytest.raises(SealError, match="s000 changed while it was sealed"):
        seal_file(Changing(b"rows"), "s000", KEY, io.BytesIO())


def test_missing_files_and_folders_are_told(tmp_path):
    with pytest.raises(ContentError, match="nowhere"):
        read_header(tmp_path / "nowhere")
    (tmp_path / "sealed").write_bytes(seal(b"rows"))
    (tmp_path / "no-folder").write_bytes(b"")
    with pytest.raises(ContentError, match="no-folder"):
        open_sealed(tmp_path / "sealed", bytes(32), tmp_path / "no-folder" / "rows")


def test_a_key_does_not_show_itself():
    assert "secret" not in repr(KEY)
    assert KEY.secret.hex() not in repr(KEY)


def test_memory_does_not_grow_with_the_file(tmp_path):
    size = 32 * 2**20
    with (tmp_path / "rows").open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    with (tmp_path / "rows").open("rb") as rows, (tmp_path / "sealed").open("wb") as target:
        seal_file(rows, "s000", KEY, target)
    open_sealed(tmp_path / "sealed", file_key(KEY, read_header(tmp_path / "sealed")), tmp_path / "opened")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "opened").stat().st_size == size
    assert peak < 2**20
