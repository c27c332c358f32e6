"""Plays a vector on one chain or on two, and holds each answer against what is expected and against the other's."""

import json
from typing import Any

from chain_bridge.client.keys import Key
from tests.support.conformance.both_chains import Ask, Do, Scene, Side, Vector, as_message, mask
from tests.support.conformance.raw_client import Outcome


def play_alone(vector: Vector, side: Side, keys: dict[str, Key]) -> None:
    """Each step ends as the vector says, and the contract always holds what its books say."""
    scene = Scene(side.instantiate(keys["owner"], vector.settings), keys)
    for number, step in enumerate(vector.steps(scene), 1):
        side.pass_time(step.wait)
        _expect(vector, number, step, _take(side, scene, step, _body(step, side)))
        totals = json.loads(side.client.query(scene.contract, b'{"totals":{}}')[0])
        held = sum(int(totals[name]) for name in ("escrow", "stake", "credit", "treasury"))
        assert side.client.balance(scene.contract) == held, f"{vector.name} {number}: {step}: {totals}"


def play_on_both(vector: Vector, real: Side, ours: Side, keys: dict[str, Key]) -> list[tuple[str, int, int]]:
    """The same, and both chains say and store the same. Returns (message, measured gas, estimated gas) per success.

    Our chain's clock follows the real one's blocks, so not even timestamps may differ.
    """
    addresses = [side.instantiate(keys["owner"], vector.settings) for side in (real, ours)]
    assert addresses[0] == addresses[1]
    scene = Scene(addresses[0], keys)
    gas = []
    for number, step in enumerate(vector.steps(scene), 1):
        real.pass_time(step.wait)
        ours.follow(real.client.block_seconds())
        body = _body(step, real)
        said = _take(real, scene, step, body)
        if isinstance(said, Outcome) and said.seconds is not None:
            ours.follow(said.seconds)
        answered = _take(ours, scene, step, body)
        _expect(vector, number, step, said)
        where, wasmd, embedded = f"{vector.name} {number}: {step}", comparable(said), comparable(answered)
        assert embedded == wasmd, f"{where}:\nwasmd    {wasmd}\nembedded {embedded}"
        if isinstance(said, Outcome) and isinstance(answered, Outcome) and not said.code:
            gas.append((next(iter(body)), said.gas_used, answered.gas_used))
    ours_stored, real_stored = (side.client.contract_state(scene.contract) for side in (ours, real))
    assert ours_stored == real_stored
    everybody = [scene.contract, *(key.address for key in keys.values())]
    assert [ours.client.balance(one) for one in everybody] == [real.client.balance(one) for one in everybody]
    return gas


def comparable(said: Outcome | tuple[bytes, str]) -> Any:
    """What two chains must agree on: all but gas, places in source code, and what is not a message's doing."""
    if not isinstance(said, Outcome):
        return said[0], mask(said[1])
    events = [event for event in said.events if any(key == "msg_index" for key, _ in event.attributes)]
    return said.stage, said.code, said.codespace, mask(said.log), said.data, events


def _body(step: Do | Ask, side: Side) -> Any:
    if isinstance(step, Ask):
        return step.question
    return step.message(side.client.block_seconds()) if callable(step.message) else step.message


def _take(side: Side, scene: Scene, step: Do | Ask, body: Any) -> Outcome | tuple[bytes, str]:
    if isinstance(step, Ask):
        question = body if isinstance(body, bytes) else json.dumps(body).encode()
        return side.client.query(scene.contract, question)
    return side.send(scene.keys[step.sender], [as_message(scene, step.sender, body, step.funds)])


def _expect(vector: Vector, number: int, step: Do | Ask, said: Outcome | tuple[bytes, str]) -> None:
    log, failed = (said.log, said.code != 0) if isinstance(said, Outcome) else (said[1], bool(said[1]))
    where = f"{vector.name} {number}: {step}"
    if step.refused:
        assert failed, f"{where}: expected a refusal with {step.refused!r}"
        assert step.refused in log, f"{where}: refused with {log!r}"
    else:
        assert not failed, f"{where}: refused with {log!r}"
