"""The points that include training: attacks, codecs, and LoRA strategies on the real sentiment task.

Sized for two idle cores: a step of 8 rows takes a sixth of a second, a node's round 3 to 4 seconds.
"""

from typing import Any

from benchmarks.aggregation.environments import BENCH
from benchmarks.aggregation.points import Point, Side

ROUNDS = 4
TASK = {
    "home": str(BENCH / "federated"),
    "seed": 1,
    "steps": 20,
    "batch_size": 8,
    "learning_rate": 2e-3,
    "schedule": "constant",
}
BY_DOMAIN = {"column": "domain"}
TEN_SHARDS = {"rows": 1900}
ATTACKS = ("clean", "nan", "inf", "rows", "sign-flip", "scaled", "alie", "inner-product", "label-flip")
ATTACK_SPLITS = {"mixed": "mixed", "ordered": "spec"}
STRATEGIES = ("fedavg", "ffa", "rolora", "stack", "qr-svd", "fedex")
STRATEGY_STEPS = 15
SPLITS = {"domain": "spec", "dirichlet": "dirichlet"}
SEEDS = (1, 2, 3)
CODECS: tuple[dict[str, Any], ...] = (
    {"codec": "none"},
    {"codec": "fp16"},
    {"codec": "bf16"},
    {"codec": "int8"},
    {"codec": "top-k", "density": 0.05},
    {"codec": "top-k", "density": 0.01},
)
QUANTIZERS = ("float16", "adaquant", "blockwise8")


def attack_points() -> list[Point]:
    """Attacks by three of ten nodes."""

    def point(name: str, split: str, attack: str, steps: int, rounds: int, quick: bool = False) -> Point:
        task = TASK | {"shard_by": TEN_SHARDS, "steps": steps}
        arguments = {"task": task, "kind": ATTACK_SPLITS[split], "attack": attack, "rounds": rounds}
        side = Side("round", "atlas", "federated_attack", arguments)
        return Point("attacks", name, (side,), repeats=1, minutes=1.5 if quick else 2.5, quick=quick)

    return [
        point("quick-sign-flip", "mixed", "sign-flip", 1, 1, quick=True),
        *(
            point(f"{split}-{attack}", split, attack, TASK["steps"], ROUNDS)
            for split in ATTACK_SPLITS
            for attack in ATTACKS
        ),
    ]


def compression_points() -> list[Point]:
    """Codecs for updates."""

    def sides(steps: int, rounds: int) -> tuple[Side, ...]:
        task = TASK | {"shard_by": BY_DOMAIN, "aggregation": {"robust": "none"}, "steps": steps}
        files = {"update": "{folder}/update.safetensors", "base": "{folder}/base.safetensors"}
        return (
            *(
                Side(_name(codec), "atlas", "federated_codec", {"task": task, "codec": codec, "rounds": rounds})
                for codec in CODECS
            ),
            *(Side(f"nvflare {kind}", "nvflare", "nvflare_quantizer", files | {"kind": kind}) for kind in QUANTIZERS),
        )

    return [
        Point("compression", "quick", sides(1, 1), repeats=1, minutes=1.5, quick=True),
        Point("compression", "codecs", sides(TASK["steps"], ROUNDS), repeats=1, minutes=6),
    ]


def method_points() -> list[Point]:
    """Every strategy on honest nodes."""

    def point(strategy: str, split: str, seed: int, quick: bool = False) -> Point:
        aggregation = {"strategy": strategy, "robust": "none"}
        steps = 1 if quick else STRATEGY_STEPS
        task = TASK | {"shard_by": BY_DOMAIN, "aggregation": aggregation, "steps": steps, "seed": seed}
        arguments = {"task": task, "kind": SPLITS[split], "rounds": 1 if quick else ROUNDS}
        name = f"quick-{strategy}" if quick else f"{split}-{strategy}-{seed}"
        side = Side("run", "atlas", "federated_method", arguments)
        return Point("methods", name, (side,), repeats=1, minutes=0.3 if quick else 0.9, quick=quick)

    return [
        *(point(strategy, "domain", 1, quick=True) for strategy in STRATEGIES),
        *(point(strategy, split, seed) for seed in SEEDS for split in SPLITS for strategy in STRATEGIES),
    ]


def _name(codec: dict[str, Any]) -> str:
    return f"{codec['codec']} {codec['density']:.0%}" if "density" in codec else str(codec["codec"])
