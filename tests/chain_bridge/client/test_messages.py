"""The messages and answers beside the JSON schema that is generated from the contract."""

import ast
import dataclasses
import inspect
import json
import types
import typing
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel

import chain_bridge
from chain_bridge.client import messages, writes
from chain_bridge.client.messages import Assignment, Share, SlotAttempt, Tx
from chain_bridge.client.network import Network
from chain_bridge.client.queries import CONTRACT_VERSION, Queries
from chain_bridge.ledger import Ledger

SCHEMA = json.loads((Path(chain_bridge.__file__).parent / "contract" / "schema" / "atlas.json").read_text())
DEFINITIONS = SCHEMA["execute"]["definitions"]
NETWORK = Network(chain_id="atlas-test", url="grpc+http://127.0.0.1:1", contract="atlas1contract")
ITEMS, LEASES, SHARES = [Assignment(0, 1, 1)], [SlotAttempt(0, 1)], [Share(1, 1, 10_000)]
ROOT, BIG = bytes(range(32)), 2**80

# Every method that writes, with all it takes.
CALLS = {
    "register_node": {"kind": "compute", "capacity": 4, "manifest": "bafy", "stake": 5, "public_key": b"\2" * 33},
    "update_node": {"capacity": 4, "manifest": "bafy", "public_key": b"\2" * 33},
    "add_stake": {"amount": 5},
    "withdraw_stake": {"amount": BIG},
    "claim_stake": {},
    "deregister_node": {},
    "unjail": {"stake": 5},
    "heartbeat": {},
    "create_job": {
        "key": "job",
        "spec": "bafy",
        "dataset": "bafy",
        "shards": 3,
        "rounds": 2,
        "reward": BIG,
        "lease_seconds": 600,
        "escrow": 5,
    },
    "top_up": {"job": 1, "key": "more", "amount": 5},
    "cancel_job": {"job": 1},
    "close_job": {"job": 1},
    "assign_batch": {"job": 1, "round": 1, "plan": "bafy", "items": ITEMS},
    "complete_batch": {"job": 1, "round": 1, "items": LEASES},
    "release_batch": {"job": 1, "round": 1, "items": LEASES},
    "expire_leases": {"job": 1, "round": 1, "limit": 9, "start_after_slot": 4},
    "rollback_round": {"job": 1, "round": 1},
    "submit_round": {
        "job": 1,
        "round": 1,
        "root": ROOT,
        "leaf_count": 1,
        "checkpoint": "bafy",
        "evidence": "bafy",
        "per_node": SHARES,
    },
    "challenge": {"job": 1, "round": 1, "index": 0, "leaf": b"{}", "proof": [ROOT], "evidence": "bafy", "bond": 5},
    "resolve_challenge": {"job": 1, "round": 1, "index": 0, "upheld": True},
    "dismiss_challenge": {"job": 1, "round": 1, "index": 0},
    "settle": {"job": 1, "round": 1},
    "claim_abandoned": {"job": 1, "round": 1},
    "withdraw": {},
    "withdraw_for": {"addresses": ["atlas1a"]},
    "announce_storage": {"cids": ["bafy"]},
    "drop_storage": {"cids": ["bafy"]},
    "open_audit": {"cid": "bafy", "node": 1, "nonce": ROOT, "answer_hash": ROOT},
    "answer_audit": {"cid": "bafy", "answer": ROOT},
    "expire_audit": {"cid": "bafy", "node": 1},
    "register_model": {"name": "m", "version": 1, "cid": "bafy", "job": 1, "parent": "bafy", "metrics": "bafy"},
    "promote_model": {"name": "m", "version": 1},
    "deprecate_model": {"name": "m", "version": 1},
    "update_config": {
        name: 5 for name in messages.ContractConfig.model_fields if name != "denom"
    },
    "pause": {"paused": True},
    "withdraw_treasury": {"to": "atlas1a", "amount": BIG},
    "update_ownership": {"action": "transfer_ownership", "new_owner": "atlas1a"},
}  # fmt: skip
# Messages and questions that other programs may send; nothing here has a use for them.
UNUSED_MESSAGES = {"heartbeat_batch", "reassign_batch"}
UNUSED_QUESTIONS = {"holders", "model", "current_model"}
# Methods that no program calls yet: challenges of training, and the money that decided ones bring to the treasury.
UNREACHED = {"challenge", "resolve_challenge", "dismiss_challenge", "challenge_at", "challenges", "withdraw_treasury"}
FUNDED = {"register_node", "add_stake", "unjail", "create_job", "top_up", "challenge"}
ANSWERS = {
    "config": messages.ContractConfig,
    "paused": bool,
    "node": messages.Node,
    "node_of": messages.Node | None,
    "nodes": list[messages.Node],
    "job": messages.Job,
    "job_of": messages.Job | None,
    "jobs": list[messages.Job],
    "lease": messages.Lease | None,
    "leases": list[messages.Lease],
    "leases_of_node": list[messages.Lease],
    "round": messages.Round | None,
    "rounds": list[messages.Round],
    "challenge": messages.Challenge | None,
    "challenges": list[messages.Challenge],
    "credit": messages.Amount,
    "totals": messages.Totals,
    "holdings": list[messages.Holding],
    "models": list[messages.RegisteredModel],
}


class Collecting(Ledger):
    """Keeps what it would send."""

    def _write(self, name, body, funds=0):
        self.sent = (name, body, funds)
        return Tx("", 1, 1, [{"node_id": "1", "job_id": "1"}])


def variants():
    """The contract's messages: name to the schema of its body; a bare name for those that take a word."""
    return {next(iter(one["properties"])): one for one in SCHEMA["execute"]["oneOf"]}


def test_the_schema_is_of_the_version_that_the_bridge_speaks():
    assert f"{SCHEMA['contract_version']}.".startswith(f"{CONTRACT_VERSION}.")


def test_there_is_a_method_for_every_message_that_is_used_and_no_other():
    assert set(CALLS) | UNUSED_MESSAGES == set(variants())
    assert not UNUSED_MESSAGES & set(dir(Ledger))
    inherited = {name for name in dir(writes.AllWrites) if not name.startswith("_")}
    assert inherited | {"register_node", "create_job"} == set(CALLS)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_message_is_what_the_contract_reads(name):
    ledger = Collecting(NETWORK)
    getattr(ledger, name)(**CALLS[name])
    sent, body, funds = ledger.sent
    assert sent == name
    assert (funds == 5) == (name in FUNDED)
    jsonschema.validate(json.loads(json.dumps({sent: body})), SCHEMA["execute"])
    if name != "update_ownership":
        check_complete(body, variants()[name]["properties"][name])
    parameters = set(inspect.signature(getattr(Ledger, name)).parameters) - {"self"}
    assert set(CALLS[name]) == parameters or name == "update_config", "the example leaves nothing out"


def check_complete(value, schema):
    """Every field that the contract reads is there, in items too."""
    schema = resolve(schema, DEFINITIONS)
    if isinstance(value, dict):
        assert set(value) == set(schema.get("properties", {}))
        for field, inner in value.items():
            check_complete(inner, schema["properties"][field])
    elif isinstance(value, list):
        for item in value:
            check_complete(item, schema["items"])


def test_the_acceptance_of_the_ownership_is_a_word():
    ledger = Collecting(NETWORK)
    ledger.update_ownership("accept_ownership")
    jsonschema.validate({"update_ownership": ledger.sent[1]}, SCHEMA["execute"])


def test_what_is_left_out_is_null_or_absent():
    ledger = Collecting(NETWORK)
    for name, arguments in {
        "register_node": {"kind": "storage", "capacity": 1, "manifest": "bafy"},
        "update_node": {},
        "expire_leases": {"job": 1, "round": 1, "limit": 1},
        "register_model": {"name": "m", "version": 1, "cid": "bafy", "job": 1},
        "update_config": {"min_stake": 7},
    }.items():
        getattr(ledger, name)(**arguments)
        jsonschema.validate({name: ledger.sent[1]}, SCHEMA["execute"])
        assert ledger.sent[2] == 0


def test_there_is_a_method_for_every_question_that_is_used():
    assert set(ANSWERS) | UNUSED_QUESTIONS | {"ownership"} == set(SCHEMA["responses"])
    assert not UNUSED_QUESTIONS & set(dir(Queries))
    asked = {"challenge_at" if name == "challenge" else name for name in ANSWERS}
    assert asked <= set(dir(Queries))


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_an_answer_is_what_the_contract_writes(name):
    schema = SCHEMA["responses"][name]
    compare(ANSWERS[name], schema, schema.get("definitions", {}), name)


def test_the_owner_is_read_as_written():
    assert set(SCHEMA["responses"]["ownership"]["properties"]) == set(messages.Ownership.model_fields)


def test_a_program_calls_every_method():
    """A message or question without a command, agent or asset that sends it is removed from the client."""
    root = Path(chain_bridge.__file__).parents[1]
    packages = (
        "atlas_pipelines",
        "assets",
        "resources",
        "node_agent",
        "chain_bridge/follower",
        "chain_bridge/networks",
    )
    sources = [path for package in packages for path in (root / package).rglob("*.py")]
    named = {
        node.attr
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    methods = {"challenge_at" if name == "challenge" else name for name in ANSWERS} | set(CALLS)
    assert methods - named == UNREACHED


def resolve(schema, definitions):
    """Follow references, and pass over `null`."""
    while True:
        if "$ref" in schema:
            schema = definitions[schema["$ref"].removeprefix("#/definitions/")]
        elif len(schema.get("allOf", [])) == 1:
            schema = schema["allOf"][0]
        elif "anyOf" in schema:
            schema = next(one for one in schema["anyOf"] if one != {"type": "null"})
        else:
            return schema


def nullable(schema):
    return {"type": "null"} in schema.get("anyOf", []) or "null" in as_list(schema.get("type"))


def as_list(value):
    return value if isinstance(value, list) else [value]


def compare(kind, schema, definitions, where):
    """A Python type beside a schema, down to the last field."""
    arguments = typing.get_args(kind)
    optional = typing.get_origin(kind) in (typing.Union, types.UnionType) and type(None) in arguments
    assert optional == nullable(schema), where
    if optional:
        kind = next(one for one in arguments if one is not type(None))
    kind = getattr(kind, "__supertype__", kind)  # of a NewType
    reference = json.dumps(schema)
    schema = resolve(schema, definitions)
    if typing.get_origin(kind) is typing.Annotated:
        kind, wanted = typing.get_args(kind)[0], {int: "Uint128", bytes: "Binary"}[typing.get_args(kind)[0]]
        assert wanted in (reference + str(schema.get("title"))), where
        return
    types_of_schema = [one for one in as_list(schema.get("type")) if one != "null"]
    if typing.get_origin(kind) is list:
        assert types_of_schema == ["array"], where
        compare(typing.get_args(kind)[0], schema["items"], definitions, f"{where}[]")
    elif typing.get_origin(kind) is tuple:
        assert [one["type"] for one in schema["items"]] == ["integer"] * len(typing.get_args(kind)), where
    elif typing.get_origin(kind) is typing.Literal:
        words = schema.get("enum") or [word for one in schema["oneOf"] for word in one["enum"]]
        assert set(typing.get_args(kind)) == set(words), where
    elif dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel):
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = {field: hints[field] for field in getattr(kind, "model_fields", None) or hints}
        assert set(fields) == set(schema["properties"]), where
        for field, inner in fields.items():
            compare(inner, schema["properties"][field], definitions, f"{where}.{field}")
    else:
        assert types_of_schema == [{int: "integer", str: "string", bool: "boolean"}[kind]], where
