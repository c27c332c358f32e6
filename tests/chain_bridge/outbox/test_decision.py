"""The decision alone, against a chain of a few lines that does its worst."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chain_bridge.outbox.decision import Action, ChainView, Flight, decide

TIMEOUT_BLOCKS = 4


class Sending(RuleBasedStateMachine):
    """A message of ours on a chain where others send with the same key, answers get lost, pools forget, and the index
    lags. It must land once at most, and may wait again only when it never will.
    """

    @initialize()
    def begin(self):
        self.height, self.sequence = 5, 3
        self.blocks = {}
        self.pool = []
        self.indexed = set()
        self.transactions = 0
        self.flight = None
        self.done = False
        self.scanned = None
        self.old = []

    def landed(self):
        return [name for names in self.blocks.values() for name, *_ in names if name.startswith("ours")]

    @precondition(lambda self: self.flight is None and not self.done)
    @rule(reaches=st.booleans())
    def sign_and_hand_over(self, reaches):
        self.transactions += 1
        flight = Flight(self.sequence, self.height + TIMEOUT_BLOCKS)
        self.flight = (f"ours {self.transactions}", flight, self.height)
        self.scanned = None
        if reaches:
            self.take_in(self.flight[0], flight)

    def take_in(self, name, flight):
        known = {entry[0] for entry in self.pool} | set(self.landed())
        if name not in known and flight.sequence == self.sequence and self.height < flight.timeout_height:
            self.pool.append((name, flight))

    @rule()
    def somebody_else_sends_with_the_key(self):
        self.pool.insert(0, ("other", Flight(self.sequence, self.height + TIMEOUT_BLOCKS)))

    @rule()
    def a_block_comes(self):
        self.height += 1
        block = []
        for name, flight in self.pool:
            if flight.sequence == self.sequence and self.height <= flight.timeout_height:
                block.append((name, flight))
                self.sequence += 1
        self.blocks[self.height] = block
        self.pool = []

    @rule()
    def the_pool_is_lost(self):
        self.pool = []

    @rule()
    def the_index_catches_up(self):
        self.indexed |= set(self.landed())

    @precondition(lambda self: self.flight is not None)
    @rule()
    def go_on(self):
        name, flight, signed_at = self.flight
        view = ChainView(name in self.indexed, self.sequence, self.height)
        action = decide(flight, view)
        if action is Action.SCAN:
            last = min(view.height, flight.timeout_height)
            there = any(name == found for at in range(signed_at, last + 1) for found, _ in self.blocks.get(at, []))
            action = decide(flight, ChainView(view.found, view.sequence, view.height, in_blocks=there))
        if action is Action.ADOPT:
            self.done, self.flight = True, None
        elif action is Action.REBROADCAST:
            self.take_in(name, flight)
        elif action is Action.SIGN_ANEW:
            self.old.append((name, flight))
            self.flight = None
        else:
            assert action is Action.WAIT
            assert name in self.landed()

    @invariant()
    def it_lands_once_at_most(self):
        if hasattr(self, "blocks"):
            assert len(self.landed()) <= 1

    @invariant()
    def what_was_given_up_can_not_land(self):
        for name, flight in getattr(self, "old", []):
            assert name not in self.landed()
            assert self.height >= flight.timeout_height or self.sequence > flight.sequence

    def teardown(self):
        """Left alone with an honest chain it always lands."""
        if not hasattr(self, "blocks"):
            return
        self.pool = [entry for entry in self.pool if entry[0] != "other"]
        for _ in range(3 * TIMEOUT_BLOCKS):
            if self.done:
                break
            if self.flight is None:
                self.sign_and_hand_over(True)
            self.a_block_comes()
            self.the_index_catches_up()
            self.go_on()
        assert self.done
        assert len(self.landed()) == 1


Sending.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestSending = Sending.TestCase


def test_a_chain_that_was_reset_orphans_what_it_does_not_know():
    flight = Flight(7, 100)
    assert decide(flight, ChainView(False, 0, 3, same_chain=False)) is Action.ORPHAN
    assert decide(flight, ChainView(True, 8, 50)) is Action.ADOPT


def test_the_last_block_that_could_have_it_counts():
    flight = Flight(7, 100)
    assert decide(flight, ChainView(False, 7, 99)) is Action.REBROADCAST
    assert decide(flight, ChainView(False, 7, 100)) is Action.SCAN
    assert decide(flight, ChainView(False, 8, 50)) is Action.SCAN
