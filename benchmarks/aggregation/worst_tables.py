"""The table of the worst cases found."""

from benchmarks.aggregation.markdown import Entries, of_row, table
from benchmarks.aggregation.worst.scenes import SCENES
from benchmarks.aggregation.worst_rows import FLWR, OF_ONE_ROUND


def worst_table(entries: Entries) -> str:
    """The lowest cosine that the search found against each rule, and the cost of our default without attackers."""
    found, lines = of_row(entries, "worst"), []
    for name, scene in SCENES.items():
        entry = found[name]
        rules = entry["atlas"]["rules"]
        ours = rules["spectral-filter"]
        peers = entry["flwr"]["cosines"] if name in OF_ONE_ROUND else {}
        lines.append(
            [
                scene.title,
                f"{ours['unlikeness']:.2f}",
                f"{ours['cost']:.1%}",
                f"**{ours['cosine']:.2f}**",
                f"{rules['centered-clipping']['cosine']:.2f}",
                *(f"{peers[peer]:.2f}" if peers else f"({rules[rule]['cosine']:.2f})" for rule, peer in FLWR.items()),
            ]
        )
    heads = ["honest nodes", "unlike", "cost", "spectral-filter", "centered-clipping"]
    return table([*heads, *(f"flwr {peer}" for peer in FLWR.values())], lines)
