"""Three of ten nodes attack in every round: accuracy of this project's default, and of Flower in the last round."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

from common import answer, read_tensors, write_tensors

from benchmarks.aggregation.federated.attacks import ATTACKS, Attack, Scene
from benchmarks.aggregation.federated.judging import accuracies
from benchmarks.aggregation.federated.nodes import trained, untrained
from benchmarks.aggregation.federated.rounds import Model, aggregate, by_gate
from benchmarks.aggregation.federated.sentiment import Shard, Task, flipped, lines
from benchmarks.aggregation.federated.splits import split
from benchmarks.aggregation.processes import run_driver

NODES = 10
ATTACKERS = (2, 5, 8)


def work(folder: str, task: dict[str, Any], kind: str, attack: str, rounds: int) -> dict[str, Any]:
    """Run the rounds; this project's aggregate is the base of the next round."""
    setup = Task.of(task)
    shards, chosen = split(setup, kind, NODES)[:NODES], ATTACKS[attack]
    model, refusals = Model(untrained(setup)), []
    for round_ in range(1, rounds + 1):
        place = Path(folder) / f"round-{round_}"
        place.mkdir(parents=True, exist_ok=True)
        sent = _sent(setup, shards, chosen, attack != "clean", model, round_, place)
        flwr = _flwr(shards, sent, chosen, attack != "clean", place) if round_ == rounds else {}
        model, refused = aggregate(setup, model, list(zip(shards, sent, strict=True)), round_, place / "aggregate")
        refusals.append(by_gate(refused))
    found = accuracies(setup, {"atlas": model, **{name: Model(Path(path)) for name, path in flwr.items()}})
    return {"accuracy": found, "refused": refusals, "attackers": [shards[number].key for number in ATTACKERS]}


def _sent(
    task: Task, shards: list[Shard], attack: Attack, is_false: bool, model: Model, round_: int, place: Path
) -> list[Path]:
    """The file that each node sends."""
    shards_used = [_rows(task, shard, number, attack) for number, shard in enumerate(shards)]
    own = [trained(task, shard, model.adapter, (), None, round_) for shard in shards_used]
    if not is_false or attack.flips_labels:
        return own
    honest = [read_tensors(path) for number, path in enumerate(own) if number not in ATTACKERS]
    base, sent = read_tensors(model.adapter), list(own)
    for number in ATTACKERS:
        scene = Scene(base, honest, read_tensors(own[number]), len(shards), 100 * round_ + number)
        sent[number] = place / f"attacker-{number}.safetensors"
        write_tensors(sent[number], attack.update(scene))
    return sent


def _rows(task: Task, shard: Shard, number: int, attack: Attack) -> Shard:
    if attack.flips_labels and number in ATTACKERS:
        return task.shard_of(shard.key, [flipped(line) for line in lines(shard)], "flipped")
    return shard


def _flwr(shards: list[Shard], sent: list[Path], attack: Attack, is_false: bool, place: Path) -> dict[str, str]:
    claims = [float(shard.rows) for shard in shards]
    if is_false and attack.claim:
        for number in ATTACKERS:
            claims[number] = attack.claim
    arguments = {"updates": [str(path) for path in sent], "claims": claims, "false": len(ATTACKERS), "out": str(place)}
    return {f"flwr {rule}": path for rule, path in run_driver("flwr_round", "flwr", arguments).items()}


if __name__ == "__main__":
    answer(work)
