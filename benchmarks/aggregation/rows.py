"""The rows of the comparison and their points; federated runs are in `federated_rows`."""

from typing import Any

from benchmarks.aggregation.federated_rows import STRATEGIES, attack_points, compression_points, method_points
from benchmarks.aggregation.points import Point, Side
from benchmarks.aggregation.worst_rows import worst_points

MODULES = {4: 15, 20: 76}
"""The number of 2048 x 2048 matrices that an update adapts at rank 16, by its size in megabytes."""


def all_points() -> list[Point]:
    """Every point, row after row."""
    return [
        *_mean(),
        *_robust(),
        *_selection(),
        *_merge(),
        *_orders(),
        *attack_points(),
        *compression_points(),
        *method_points(),
        *worst_points(),
    ]


def _mean() -> list[Point]:
    def point(megabytes: int, count: int, repeats: int) -> Point:
        sides, minutes = _mean_sides(legacy=count * megabytes <= 4000), 0.3 + count * megabytes / 2000
        return Point("mean", f"{count}x{megabytes}", sides, _updates(megabytes, count), repeats, minutes=minutes)

    alone = Side("atlas", "atlas", "atlas_round", {"settings": {"robust": "none"}})
    return [
        Point("mean", "5x4", _mean_sides(), _updates(4, 5), repeats=1, quick=True),
        *(point(4, count, repeats) for count, repeats in ((10, 3), (100, 3), (1000, 2))),
        *(point(20, count, repeats) for count, repeats in ((10, 3), (100, 3), (500, 2))),
        Point("mean", "1000x20", (alone,), _updates(20, 1000), repeats=1, minutes=5),
    ]


def _mean_sides(legacy: bool = True) -> tuple[Side, ...]:
    """The sides of the mean; `legacy` includes Flower's older interface, which takes twice the updates' memory."""
    calls = ("aggregate_arrayrecords", *(("aggregate", "aggregate_inplace") if legacy else ()))
    return (
        Side("atlas", "atlas", "atlas_round", {"settings": {"robust": "none"}}),
        *(Side(f"flwr {call}", "flwr", "flwr_mean", {"call": call}) for call in calls),
        *(Side(f"nvflare {kind}", "nvflare", "nvflare_mean", {"tensors": kind}) for kind in ("numpy", "torch")),
        Side("atlas centered-clipping", "atlas", "atlas_round", {"settings": {"robust": "centered-clipping"}}),
    )


def _robust() -> list[Point]:
    def sides(rule: str, count: int) -> tuple[Side, ...]:
        false = 3 * count // 10
        robust = {"rule": rule, "tolerated": false / count}
        return (
            Side("atlas", "atlas", "atlas_round", {"settings": {"robust": robust}}),
            Side("flwr", "flwr", "flwr_robust", {"rule": rule, "false": false}),
        )

    def point(rule: str, count: int, megabytes: int, repeats: int, quick: bool) -> Point:
        name, inputs = f"{rule}-{count}x{megabytes}", _updates(megabytes, count)
        return Point("robust", name, sides(rule, count), inputs, repeats, minutes=0.1 if quick else 1.0, quick=quick)

    rules = ("trimmed-mean", "median", "multi-krum")
    return [point(rule, *size) for rule in rules for size in ((10, 4, 1, True), (50, 20, 3, False))]


def _selection() -> list[Point]:
    sides = (
        Side("truth", "atlas", "true_selection", {"false": 6}),
        Side("atlas", "atlas", "atlas_selection", {"false": 6}),
        Side("flwr", "flwr", "flwr_selection", {"false": 6}),
    )

    def point(drift: float, deviation: float, seed: int, quick: bool = False) -> Point:
        updates = {"modules": 1 if quick else 30, "updates": 20, "false": 6}
        inputs = updates | {"drift": drift, "deviation": deviation, "seed": seed}
        name = "quick" if quick else f"drift-{drift:g}-deviation-{deviation:g}-seed-{seed}"
        return Point("selection", name, sides, inputs, repeats=1, minutes=0.1 if quick else 0.3, quick=quick)

    cases = ((1e-3, 0.02), (1e-4, 0.02), (1e-5, 0.02), (1e-4, 1.0), (1e-5, 1.0))
    return [
        point(1e-5, 0.02, 1, quick=True),
        *(point(*case, seed) for case in cases for seed in range(1, 6)),
    ]


def _merge() -> list[Point]:
    def ours(strategy: str) -> Side:
        arguments = {"scaling": 2.0, "strategy": strategy, "out": f"{{folder}}/{strategy}.safetensors"}
        return Side(f"atlas {strategy}", "atlas", "atlas_merge", arguments)

    def peft(kind: str) -> Side:
        arguments = {"scaling": 2.0, "width": 2048, "rank": 16, "kind": kind, "out": f"{{folder}}/{kind}.safetensors"}
        return Side(f"peft {kind}", "peft", "peft_merge", arguments)

    sides = (ours("qr-svd"), ours("stack"), peft("svd"), peft("cat"), peft("linear"))
    cases = {"shared-start": (0.02, 0.006), "unrelated": (0.0, 0.02)}
    return [
        Point(
            "merge",
            f"{name}-10x16-d2048",
            sides,
            {"modules": 2, "updates": 10, "drift": drift, "deviation": deviation},
            judge="merge_error",
            minutes=1,
        )
        for name, (deviation, drift) in cases.items()
    ]


def _orders() -> list[Point]:
    ours = [
        *((strategy, rule) for strategy in STRATEGIES for rule in ("none", "centered-clipping")),
        *(("fedavg", rule) for rule in ("trimmed-mean", "median", "multi-krum")),
    ]

    def sides(orders: int, threads: int) -> list[Side]:
        def side(name: str, environment: str, driver: str, **arguments: Any) -> Side:
            return Side(f"{name}, {threads}", environment, driver, {"orders": orders, **arguments}, threads)

        return [
            *(
                side(
                    f"atlas {strategy}, {rule}",
                    "atlas",
                    "atlas_orders",
                    settings={"strategy": strategy, "robust": rule},
                )
                for strategy, rule in ours
            ),
            side("flwr fedavg", "flwr", "flwr_orders"),
            side("nvflare mean", "nvflare", "nvflare_orders"),
        ]

    inputs = {"modules": 4, "updates": 20, "drift": 0.001}
    return [
        Point("orders", "3-of-20", (*sides(3, 1), *sides(3, 2)), inputs, repeats=1, minutes=1.5, quick=True),
        Point("orders", "100-of-20", (*sides(100, 1), *sides(100, 2)), inputs, repeats=1, minutes=8),
    ]


def _updates(megabytes: int, count: int) -> dict[str, Any]:
    return {"modules": MODULES[megabytes], "updates": count, "drift": 0.001}
