"""Whatever JSON reaches the contract's real bytecode: a success or a typed refusal, never a trap."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chain_bridge.embedded.errors import Refused
from chain_bridge.networks.deploy import CONTRACT_WASM
from tests.support.chain.contract_driver import ContractDriver

SCHEMA = json.loads((CONTRACT_WASM.parents[1] / "schema" / "atlas.json").read_text(encoding="utf-8"))
NAMES = ("operator", "first", "second")
CONFIG = {
    "denom": "uatl",
    "min_stake": "10",
    "heartbeat_seconds": 60,
    "challenge_seconds": 100,
    "challenge_bond": "5",
    "max_batch": 20,
}
# Texts of a virtual machine that was stopped, and of an answer that is none.
TRAPS = ("Error executing Wasm", "wasmvm error", "unreachable", "panicked", "malformed")

NUMBERS = st.sampled_from((0, 1, 1, 1, 2, 2, 3, 50, 2**32 - 1, 2**32, 2**64 - 1, 2**64, -1, 1.5))
TEXTS = st.one_of(
    st.sampled_from(("", "1", "5", "m", "AAAA", "compute", str(2**128 - 1), str(2**128), "\0", "é𝄞", "x" * 257)),
    st.text(max_size=8),
    st.just("x" * 70_000),
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=8,
)


def like(schema: dict[str, Any], definitions: dict[str, Any], address: str) -> st.SearchStrategy[Any]:
    """JSON of a schema's form, with values at the edges; now and then a part of it is something else."""
    form = _like(schema, definitions, address)
    return st.integers(0, 19).flatmap(lambda throw: ANYTHING if throw == 19 else form)


def _like(schema: dict[str, Any], definitions: dict[str, Any], address: str) -> st.SearchStrategy[Any]:
    def inner(part: dict[str, Any]) -> st.SearchStrategy[Any]:
        return like(part, definitions, address)

    if "$ref" in schema:
        return inner(definitions[schema["$ref"].rpartition("/")[2]])
    for choice in ("oneOf", "anyOf", "allOf"):
        if choice in schema:
            return st.one_of([inner(part) for part in schema[choice]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        fields = schema.get("properties", {})
        needed = {name: inner(part) for name, part in fields.items() if name in schema.get("required", ())}
        optional = {name: inner(part) for name, part in fields.items() if name not in needed}
        return st.fixed_dictionaries(needed, optional=optional)
    if kind == "array":
        part = schema.get("items", {})
        return st.lists(inner(part if isinstance(part, dict) else part[0]), max_size=4)
    simple: dict[str | None, st.SearchStrategy[Any]] = {
        "string": st.one_of(st.just(address), TEXTS),
        "integer": NUMBERS,
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return simple.get(kind, ANYTHING)


@pytest.fixture
def driver(tmp_path: Path, compiled_modules: Path, clock):
    """A contract with two nodes and a job, of which one task is leased and one is completed."""
    driver = ContractDriver(tmp_path, compiled_modules, clock, NAMES, 10**9, **CONFIG)
    order = {"key": "k", "spec": "s", "dataset": "d", "shards": 2, "rounds": 2, "reward": "7", "lease_seconds": 50}
    places = [{"slot": slot, "node": 1, "attempt": 1} for slot in (0, 1)]
    batch = {"job": 1, "round": 1}
    for name, funds, message in (
        ("first", 20, {"register_node": {"kind": "compute", "capacity": 3, "manifest": "m"}}),
        ("second", 20, {"register_node": {"kind": "storage", "capacity": 3, "manifest": "m"}}),
        ("operator", 100, {"create_job": order}),
        ("operator", 0, {"assign_batch": {**batch, "plan": "p", "items": places}}),
        ("operator", 0, {"complete_batch": {**batch, "items": [{"slot": 0, "attempt": 1}]}}),
        ("second", 0, {"announce_storage": {"cids": ["m"]}}),
    ):
        answer = driver.execute(name, json.dumps(message).encode(), funds)
        assert answer.code == 0, answer.raw_log
    yield driver
    driver.close()


def messages(kind: str, address: str) -> st.SearchStrategy[Any]:
    schema = SCHEMA[kind]
    return like(schema, schema.get("definitions", {}), address)


def is_typed(text: str) -> bool:
    return not any(trap in text for trap in TRAPS)


def ask(driver: ContractDriver, message: bytes) -> None:
    try:
        json.loads(driver.chain.query(driver.contract, message))
    except Refused as refusal:
        assert is_typed(str(refusal)), f"{message[:300]!r}: {refusal}"


def attack(driver: ContractDriver, clock: Any, data: st.DataObject) -> None:
    """One message to every entry point; afterwards the books balance."""
    address = driver.address("first")
    name, funds = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from((0, 0, 5, 10, 100)))
    clock.advance(data.draw(st.sampled_from((0, 1, 60, 200))))
    for kind, send in (
        ("execute", lambda text: driver.execute(name, text, funds)),
        ("instantiate", driver.instantiate),
        ("migrate", driver.migrate),
    ):
        text = json.dumps(data.draw(messages(kind, address), label=kind)).encode()
        answer = send(text)
        assert is_typed(answer.raw_log), f"{text[:300]!r}: {answer.raw_log}"
    ask(driver, json.dumps(data.draw(messages("query", address), label="query")).encode())
    totals = driver.ask(totals={})
    assert driver.balance(driver.contract) == sum(int(totals[pot]) for pot in ("escrow", "stake", "credit", "treasury"))


FUZZ = settings(
    derandomize=True,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@settings(FUZZ, max_examples=20)
@given(data=st.data())
def test_a_handful_of_strange_messages_is_answered(driver, clock, data):
    attack(driver, clock, data)


@pytest.mark.slow
@settings(FUZZ, max_examples=1000)
@given(data=st.data())
def test_no_message_traps(driver, clock, data):
    attack(driver, clock, data)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"config": {}',
        b"\xff\xfe",
        b"{}",
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b'"' + b"x" * 10**6,
    ],
    ids=lambda message: f"{message[:8]!r}",
)
def test_what_is_no_message_is_refused(driver, message):
    for answer in (driver.execute("first", message), driver.instantiate(message), driver.migrate(message)):
        assert answer.code and is_typed(answer.raw_log), answer.raw_log
    ask(driver, message)
