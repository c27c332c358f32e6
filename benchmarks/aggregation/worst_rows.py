"""The points that search for the worst false updates against each rule."""

from benchmarks.aggregation.points import Point, Side
from benchmarks.aggregation.worst.scenes import SCENES

RULES = ("spectral-filter", "centered-clipping", "none", "median", "trimmed-mean", "multi-krum")
FLWR = {"none": "fedavg", "median": "median", "trimmed-mean": "trimmed-mean", "multi-krum": "multi-krum"}
OF_ONE_ROUND = tuple(name for name, scene in SCENES.items() if scene.rounds == 1 and not scene.layer)


def worst_points() -> list[Point]:
    """One point for each scene. Flower's rules run only in scenes with one round and all layers."""

    def point(name: str, scene: str, seeds: list[int], restarts: int, steps: int, quick: bool = False) -> Point:
        arguments = {"scene": scene, "rules": RULES, "seeds": seeds, "restarts": restarts, "steps": steps}
        sides = [Side("atlas", "atlas", "worst_case", arguments)]
        if scene in OF_ONE_ROUND:
            sides.append(Side("flwr", "flwr", "flwr_worst", {"false": SCENES[scene].false}))
        minutes = 0.1 if quick else 0.3 * SCENES[scene].rounds
        return Point("worst", name, tuple(sides), repeats=1, minutes=minutes, quick=quick)

    return [
        point("quick", "two", [1], 1, 5, quick=True),
        *(point(name, name, [1, 2], 2, 60) for name in SCENES),
    ]
