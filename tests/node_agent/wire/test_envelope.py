"""Envelopes: what was sealed opens; whatever was touched does not."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from atlas.signing import KeySigner
from node_agent.errors import BusError, RefusedMessage
from node_agent.wire.envelope import MAX_AGE_SECONDS, Envelope, ReplayGuard, open_envelope, seal

ALICE = KeySigner(b"\x01" * 32, "atlas")
BOB = KeySigner(b"\x02" * 32, "atlas")
NONCE = "0" * 32

safe_integers = st.integers(-(2**53) + 1, 2**53 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | safe_integers | st.floats(-1e15, 1e15) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(texts, values, max_size=4)
times = st.floats(0, 4e9)


@given(bodies, times)
def test_what_was_sealed_opens(body: dict[str, object], time: float) -> None:
    envelope = seal(ALICE, "atlas.test", body, time, NONCE)
    opened = open_envelope(envelope.to_bytes(), "atlas.test")
    assert opened.sender == ALICE.address
    assert opened.body == body


@given(bodies, st.data())
def test_any_altered_field_is_refused(body: dict[str, object], data: st.DataObject) -> None:
    sealed = json.loads(seal(ALICE, "atlas.test", body, 1000.0, NONCE).to_bytes())
    other = seal(BOB, "atlas.other", {**body, "more": 1}, 1001.0, "f" * 32, in_reply_to=NONCE)
    field = data.draw(st.sampled_from(sorted(Envelope.model_fields)))
    forged = {**sealed, field: json.loads(other.to_bytes())[field]}
    with pytest.raises(RefusedMessage):
        open_envelope(rfc8785.dumps(forged), "atlas.test")


@given(st.binary(max_size=60), st.integers(0, 10_000))
def test_altered_bytes_never_open_as_something_else(noise: bytes, at: int) -> None:
    body = {"task": "x" * 40}
    sealed = seal(ALICE, "atlas.test", body, 1000.0, NONCE)
    data = sealed.to_bytes()
    at %= len(data)
    try:
        opened = open_envelope(data[:at] + noise + data[at + len(noise) :], "atlas.test")
    except RefusedMessage:
        return
    assert opened == sealed


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(RefusedMessage):
        open_envelope(data, "atlas.test")


def test_a_message_for_another_subject_is_refused() -> None:
    data = seal(ALICE, "atlas.one", {}, 1000.0, NONCE).to_bytes()
    with pytest.raises(RefusedMessage, match=r"for atlas\.one was sent on atlas\.two"):
        open_envelope(data, "atlas.two")


def test_an_unsigned_message_is_refused() -> None:
    unsigned = seal(ALICE, "atlas.test", {}, 1000.0, NONCE).model_copy(update={"signature": ""})
    with pytest.raises(RefusedMessage, match="no signature"):
        open_envelope(unsigned.to_bytes(), "atlas.test")


def test_somebody_elses_key_cannot_speak_for_a_sender() -> None:
    class Impostor(KeySigner):
        def __init__(self) -> None:
            super().__init__(b"\x02" * 32, "atlas")
            self.address = ALICE.address

    data = seal(Impostor(), "atlas.test", {}, 1000.0, NONCE).to_bytes()
    with pytest.raises(RefusedMessage, match=f"belongs to {BOB.address}"):
        open_envelope(data, "atlas.test")


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": 2**60}, {"x": 2.0**60}, {"x": "\ud800"}])
def test_a_body_without_canonical_json_cannot_be_sealed(body: dict[str, object]) -> None:
    with pytest.raises(BusError, match="plain JSON"):
        seal(ALICE, "atlas.test", body, 1000.0, NONCE)


def test_a_message_is_admitted_once() -> None:
    guard = ReplayGuard(started_at=1000.0)
    envelope = seal(ALICE, "atlas.test", {}, 1000.0, NONCE)
    guard.admit(envelope, 1001.0)
    with pytest.raises(RefusedMessage, match="replayed"):
        guard.admit(envelope, 1059.0)


def test_two_senders_may_draw_the_same_nonce() -> None:
    guard = ReplayGuard(started_at=1000.0)
    both = [seal(sender, "atlas.test", {}, 1000.0, NONCE) for sender in (ALICE, BOB)]
    for envelope in both:
        guard.admit(envelope, 1001.0)
    for envelope in both:
        with pytest.raises(RefusedMessage, match="replayed"):
            guard.admit(envelope, 1002.0)


def test_what_was_signed_before_the_guard_existed_is_refused() -> None:
    with pytest.raises(RefusedMessage, match="before this process subscribed"):
        ReplayGuard(started_at=1000.0).admit(seal(ALICE, "atlas.test", {}, 999.0, NONCE), 1001.0)


@given(st.floats(-1000, 1000))
def test_stale_and_future_messages_are_refused(age: float) -> None:
    guard = ReplayGuard(started_at=0.0)
    envelope = seal(ALICE, "atlas.test", {}, 5000.0, NONCE)
    now = 5000.0 + age
    if abs(now - 5000.0) <= MAX_AGE_SECONDS:
        guard.admit(envelope, now)
    else:
        with pytest.raises(RefusedMessage, match=r"UTC, a message of atlas1.* UTC: they are \d+ s apart"):
            guard.admit(envelope, now)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), max_size=30))
def test_no_history_admits_an_envelope_twice(history: list[tuple[int, float]]) -> None:
    """Whatever comes when, from clocks behind and ahead of ours, one envelope passes at most once."""
    guard = ReplayGuard(started_at=0.0)
    envelopes = [seal(ALICE, "atlas.test", {}, 500.0 + 40 * index, f"{index:032x}") for index in range(6)]
    admitted: list[int] = []
    now = 400.0
    for index, pause in history:
        now += pause
        try:
            guard.admit(envelopes[index], now)
        except RefusedMessage:
            continue
        admitted.append(index)
    assert len(admitted) == len(set(admitted))
