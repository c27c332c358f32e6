"""Storage, models, administration, and what is no message at all."""

import base64
import hashlib

from tests.support.conformance.both_chains import Ask, Do, Scene, Vector
from tests.support.conformance.vectors.fleet import register
from tests.support.conformance.vectors.work import create

NONCE, ANSWER = b"n" * 16, hashlib.sha256(b"nonce and content").digest()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def audit(cid: str = "bafya", node: int = 2, nonce: bytes = NONCE, answer_hash: bytes | None = None) -> dict:
    digest = hashlib.sha256(ANSWER).digest() if answer_hash is None else answer_hash
    return {"open_audit": {"cid": cid, "node": node, "nonce": encoded(nonce), "answer_hash": encoded(digest)}}


def storage(scene: Scene) -> list[Do | Ask]:
    expire = {"expire_audit": {"cid": "bafyb", "node": 2}}
    return [
        Do("ann", register()),
        Do("bob", register("storage", 3)),
        Do("cem", {"announce_storage": {"cids": ["bafya"]}}, refused="has no node"),
        Do("ann", {"announce_storage": {"cids": ["bafya"]}}, refused="storage"),
        Do("bob", {"announce_storage": {"cids": []}}, refused="batch has 0 items"),
        Do("bob", {"announce_storage": {"cids": ["bafya", "bafya"]}}, refused="bafya"),
        Do("bob", {"announce_storage": {"cids": ["a", "b", "c", "d"]}}, refused="3"),
        Do("bob", {"announce_storage": {"cids": [""]}}, refused="cid"),
        Do("bob", {"announce_storage": {"cids": ["bafyb", "bafya"]}}),
        Do("bob", {"announce_storage": {"cids": ["bafya"]}}, refused="bafya"),
        Do("bob", {"deregister_node": {}}, refused="still holds 2 leases or CIDs"),
        Do("bob", {"drop_storage": {"cids": ["bafyz"]}}, refused="bafyz"),
        Do("ann", audit(), refused="current owner"),
        Do("owner", audit(cid="bafyz"), refused="bafyz"),
        Do("owner", audit(nonce=b"short"), refused="nonce"),
        Do("owner", audit(answer_hash=b"short"), refused="answer_hash"),
        Do("owner", audit()),
        Do("owner", audit(), refused="bafya"),
        Do("bob", {"drop_storage": {"cids": ["bafya"]}}, refused="audit"),
        Do("bob", {"answer_audit": {"cid": "bafya", "answer": encoded(b"wrong")}}, refused="bafya"),
        Do("ann", {"answer_audit": {"cid": "bafya", "answer": encoded(ANSWER)}}, refused="bafya"),
        Do("bob", {"answer_audit": {"cid": "bafyb", "answer": encoded(ANSWER)}}, refused="bafyb"),
        Do("bob", {"answer_audit": {"cid": "bafya", "answer": encoded(ANSWER)}}),
        Do("eve", expire, refused="bafyb"),
        Do("owner", audit(cid="bafyb")),
        Ask({"holdings": {"node": 2}}),
        Do("eve", expire, refused="bafyb"),
        Do("bob", {"answer_audit": {"cid": "bafyb", "answer": encoded(ANSWER)}}, refused="bafyb", wait=14),
        Do("eve", expire),
        Ask({"holders": {"cid": "bafya"}}),
        Ask({"holders": {"cid": "bafyb"}}),
        Ask({"holdings": {"node": 2, "start_after": "bafya"}}),
        Do("bob", {"drop_storage": {"cids": ["bafya"]}}),
        Do("bob", {"deregister_node": {}}),
        Ask({"node": {"id": 2}}),
    ]


def model(name: str = "mini", version: int = 1, job: int = 1, cid: str = "bafymodel") -> dict:
    return {
        "register_model": {
            "name": name, "version": version, "cid": cid, "job": job, "parent": None, "metrics": "bafymetrics",
        }
    }  # fmt: skip


def models(scene: Scene) -> list[Do | Ask]:
    def named(message: str, version: int, name: str = "mini") -> dict:
        return {message: {"name": name, "version": version}}

    return [
        Do("client", create(), "100uatl"),
        Do("ann", create(), "100uatl"),
        Do("ann", model(), refused="is not the owner of job 1"),
        Do("client", model(name=""), refused="name"),
        Do("client", model(cid=""), refused="cid"),
        Do("client", model()),
        Do("client", model(), refused="already has a version 1"),
        Do("ann", model(version=2, job=2), refused="model mini belongs to"),
        Do("client", model(version=2)),
        Do("ann", model("maxi", job=2)),
        Ask({"current_model": {"name": "mini"}}),
        Do("ann", named("promote_model", 1), refused="model mini belongs to"),
        Do("client", named("promote_model", 3), refused="there is no version 3"),
        Do("client", named("promote_model", 1)),
        Do("client", named("promote_model", 2)),
        Ask({"current_model": {"name": "mini"}}),
        Do("ann", named("deprecate_model", 2), refused="model mini belongs to"),
        Do("client", named("deprecate_model", 2)),
        Do("client", named("promote_model", 2), refused="deprecated"),
        Ask({"current_model": {"name": "mini"}}),
        Ask({"model": {"name": "mini", "version": 1}}),
        Ask({"model": {"name": "mini", "version": 7}}, refused="there is no version 7"),
        Ask({"models": {}}),
        Ask({"models": {"name": "mini", "start_after": ["mini", 1]}}),
        Ask({"models": {"start_after": ["maxi", 1], "limit": 1}}),
    ]


NO_CHANGE = dict.fromkeys(
    ("min_stake", "heartbeat_seconds", "challenge_seconds", "challenge_bond", "dispute_seconds", "unbonding_seconds",
     "jail_seconds", "abandon_seconds", "audit_seconds", "slash_bps", "max_batch")
)  # fmt: skip


def change(**settings) -> dict:
    return {"update_config": {"change": NO_CHANGE | settings}}


def administration(scene: Scene) -> list[Do | Ask]:
    transfer = {"update_ownership": {"transfer_ownership": {"new_owner": scene["dora"], "expiry": None}}}
    return [
        Ask({"config": {}}),
        Do("eve", change(max_batch=3), refused="current owner"),
        Do("owner", change(max_batch=201), refused="max_batch"),
        Do("owner", change(slash_bps=10_001), refused="slash_bps"),
        Do("owner", change(heartbeat_seconds=0), refused="heartbeat_seconds"),
        Do("owner", change(unbonding_seconds=1), refused="must not escape a slash"),
        Do("owner", change(max_batch=2, min_stake="5")),
        Ask({"config": {}}),
        Do("ann", register(), "5uatl"),
        Do("eve", {"pause": {"paused": True}}, refused="current owner"),
        Do("owner", {"pause": {"paused": True}}),
        Ask({"paused": {}}),
        Do("ann", {"heartbeat": {}}),
        Do("bob", register(), "5uatl", refused="paused"),
        Do("ann", {"withdraw_stake": {"amount": "1"}}, refused="paused"),
        Do("owner", {"pause": {"paused": False}}),
        Do("eve", transfer, refused="current owner"),
        Do("owner", transfer),
        Ask({"ownership": {}}),
        Do("eve", {"update_ownership": "accept_ownership"}, refused="pending owner"),
        Do("dora", {"update_ownership": "accept_ownership"}),
        Do("owner", change(max_batch=3), refused="current owner"),
        Do("dora", change(max_batch=3)),
        Ask({"ownership": {}}),
        Do("dora", {"update_ownership": "renounce_ownership"}),
        Do("dora", change(max_batch=4), refused="renounced"),
    ]


# None, a blank, too short, no separator, outside the alphabet, a wrong checksum, mixed case, upper case, another
# chain's, a blank inside, too long.
MALFORMED = (
    "",
    " ",
    "nobody",
    "wasm1",
    "wasm1qqqq",
    "wasm1nonsense",
    "wasm15ttfvktat0s45nqddfkj4yngw3u4wywx4ffsrj",
    "wasm15ttfvktat0s45nqddfkj4yngw3u4wywx4ffsrK",
    "WASM15TTFVKTAT0S45NQDDFKJ4YNGW3U4WYWX4FFSRK",
    "cosmos1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnrk363e",
    "wasm1 5ttfvktat0s45nqddfkj4yngw3u4wywx4ffsrk",
    "wasm15ttfvktat0s45nqddfkj4yngw3u4wywx4ffsrk" * 6,
)


def nonsense(scene: Scene) -> list[Do | Ask]:
    return [
        Do("ann", b"no json", refused="payload msg: invalid"),
        Do("ann", b"{}", refused="Error parsing"),
        Do("ann", b"[]", refused="Error parsing"),
        Do("ann", b'"heartbeat"', refused="Error parsing"),
        Do("ann", {"nonsense": {}}, refused="unknown variant `nonsense`"),
        Do("ann", {"heartbeat": {}, "withdraw": {}}, refused="Error parsing"),
        Do("ann", {"heartbeat": {"more": 1}}, refused="has no node"),
        Do("ann", {"cancel_job": {"job": -1}}, refused="Error parsing"),
        Do("ann", {"cancel_job": {"job": 2**64}}, refused="Error parsing"),
        Do("ann", {"cancel_job": {"job": 1.5}}, refused="Error parsing"),
        Do("ann", {"cancel_job": {}}, refused="missing field `job`"),
        Do("ann", {"cancel_job": {"job": 1}}, refused="there is no job 1"),
        Do("ann", {"register_model": {"name": "ä\u0000\U0001f600", "version": 1}}, refused="Error parsing"),
        Do("ann", {"register_node": {}}, "0uatl", refused="is not positive"),
        Do("ann", {"update_ownership": {"transfer_ownership": {"new_owner": "x", "expiry": None}}}, refused="owner"),
        Ask(b"no json", refused="invalid query data"),
        Ask({"nonsense": {}}, refused="unknown variant `nonsense`"),
        *[Ask({"credit": {"address": address}}, refused="addr_validate") for address in MALFORMED],
    ]


VECTORS = [
    Vector("storage", {"audit_seconds": 12}, storage),
    Vector("models", {}, models),
    Vector("administration", {"unbonding_seconds": 4}, administration),
    Vector(
        "foreign-denom",
        {"denom": "uother"},
        lambda scene: [
            Do("ann", register(), "5uatl", refused="This message does no accept funds"),
            Do("client", create(), "100uatl", refused="uother"),
            Do("ann", register()),
            Do("ann", {"add_stake": {}}, "5uatl", refused="uother"),
        ],
    ),
    Vector("nonsense", {}, nonsense),
]
