"""The rounds that a process works on, so that its steps share what was read, verified and computed."""

from collections import OrderedDict

from resources.rounds.round import Round

MOST = 4
"""A run works on one round; more are held only where one process serves several runs."""


class HeldRounds:
    """Rounds by the name of their job and their number; the least recently used is dropped first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._rounds: OrderedDict[tuple[str, int], Round] = OrderedDict()

    def get(self, job: str, number: int) -> Round | None:
        """The round, if it is held."""
        found = self._rounds.get((job, number))
        if found is not None:
            self._rounds.move_to_end((job, number))
        return found

    def hold(self, round_: Round) -> Round:
        """Hold a round, in place of an earlier object of the same round, and return it."""
        key = (round_.job.name, round_.number)
        self._rounds[key] = round_
        self._rounds.move_to_end(key)
        while len(self._rounds) > self._most:
            self._rounds.popitem(last=False)
        return round_

    def clear(self) -> None:
        """Drop every round."""
        self._rounds.clear()
