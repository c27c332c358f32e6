"""Jobs and leases: escrow, assignment, attempts, release, expiry, reassignment, jail."""

from tests.support.conformance.both_chains import Ask, Do, Scene, Vector
from tests.support.conformance.vectors.fleet import register


def create(key: str = "first", shards: int = 4, rounds: int = 2, reward: int = 10, lease_seconds: int = 600) -> dict:
    body = {"key": key, "spec": "bafyspec", "dataset": "bafydata", "shards": shards, "rounds": rounds}
    return {"create_job": {**body, "reward": str(reward), "lease_seconds": lease_seconds}}


def assign(
    *items: tuple[int, int, int], job: int = 1, number: int = 1, name: str = "assign_batch", plan: str = "bafyplan"
):
    """Of (slot, node, attempt)."""
    named = [{"slot": slot, "node": node, "attempt": attempt} for slot, node, attempt in items]
    return {name: {"job": job, "round": number, "plan": plan, "items": named}}


def reassign(*items: tuple[int, int, int], number: int = 1):
    return assign(*items, number=number, name="reassign_batch", plan="bafyother")


def of_leases(name: str, *items: tuple[int, int], job: int = 1, number: int = 1):
    """Of (slot, attempt)."""
    named = [{"slot": slot, "attempt": attempt} for slot, attempt in items]
    return {name: {"job": job, "round": number, "items": named}}


def complete(*items: tuple[int, int], number: int = 1):
    return of_leases("complete_batch", *items, number=number)


def release(*items: tuple[int, int]):
    return of_leases("release_batch", *items)


def expire(limit: int = 100, number: int = 1, start_after: int | None = None):
    return {"expire_leases": {"job": 1, "round": number, "limit": limit, "start_after_slot": start_after}}


def jobs(scene: Scene) -> list[Do | Ask]:
    return [
        Do("client", create(shards=0), "100uatl", refused="shards"),
        Do("client", create(shards=10_001), "900000000uatl", refused="shards"),
        Do("client", create(rounds=0), "100uatl", refused="rounds"),
        Do("client", create(reward=0), "100uatl", refused="reward"),
        Do("client", create(key=""), "100uatl", refused="key"),
        Do("client", create(key="k" * 300), "100uatl", refused="key"),
        Do("client", create(), "99uatl", refused="does not cover 100"),
        Do("client", create(), refused="No funds sent"),
        Do("client", create(reward=2**127), "100uatl", refused="Cannot Mul"),
        Do("client", create(), "100uatl"),
        Do("client", create(), "100uatl", refused="job key first is already used by job 1"),
        Do("ann", create(), "130uatl"),
        Do("client", {"top_up": {"job": 1, "key": "more"}}, "25uatl"),
        Do("client", {"top_up": {"job": 1, "key": "more"}}, "25uatl", refused="top-up key more"),
        Do("client", {"top_up": {"job": 1, "key": "again"}}, refused="No funds sent"),
        Do("client", {"top_up": {"job": 2, "key": "again"}}, "25uatl", refused="is not the owner of job 2"),
        Do("client", {"top_up": {"job": 7, "key": "again"}}, "25uatl", refused="there is no job 7"),
        Do("ann", {"cancel_job": {"job": 1}}, refused="is not the owner of job 1"),
        Do("ann", {"cancel_job": {"job": 2}}),
        Do("ann", {"cancel_job": {"job": 2}}, refused="cancelled, not open"),
        Do("ann", {"top_up": {"job": 2, "key": "late"}}, "5uatl", refused="cancelled, not open"),
        Do("ann", assign((0, 1, 1), job=2), refused="cancelled, not open"),
        Do("ann", {"close_job": {"job": 2}}),
        Do("ann", {"close_job": {"job": 2}}, refused="job 2 is closed"),
        Do("eve", {"close_job": {"job": 1}}, refused="is not the owner of job 1"),
        Do("client", {"close_job": {"job": 1}}),
        Ask({"job": {"id": 1}}),
        Ask({"job": {"id": 8}}, refused="there is no job 8"),
        Ask({"job_of": {"owner": scene["ann"], "key": "first"}}),
        Ask({"job_of": {"owner": scene["ann"], "key": "none"}}),
        Ask({"jobs": {"start_after": 1}}),
        Ask({"jobs": {"limit": 1}}),
        Ask({"credit": {"address": scene["client"]}}),
        Ask({"totals": {}}),
    ]


def leases(scene: Scene) -> list[Do | Ask]:
    return [
        Do("ann", register(capacity=3)),
        Do("bob", register(capacity=3)),
        Do("cem", register("storage")),
        Do("client", create(), "100uatl"),
        Do("eve", assign((0, 1, 1)), refused="is not the owner of job 1"),
        Do("client", assign(), refused="batch has 0 items"),
        Do("client", assign((0, 1, 1), plan=""), refused="plan"),
        Do("client", assign((0, 1, 1), number=0), refused="round"),
        Do("client", assign((0, 1, 1), number=3), refused="round"),
        Do("client", assign((0, 1, 1), job=5), refused="there is no job 5"),
        Do("client", assign((5, 1, 1)), refused="the last slot of the round is 4"),
        Do("client", assign((0, 1, 2)), refused="the attempt must be 1, not 2"),
        Do("client", assign((0, 9, 1)), refused="not registered"),
        Do("client", assign((0, 3, 1)), refused="is of kind storage"),
        Do("client", assign((0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 1, 1)), refused="no free capacity: 3 of 3"),
        Do("client", assign((0, 1, 1), (0, 2, 1)), refused="already assigned to node 1"),
        Do("client", assign((0, 1, 1), (1, 1, 1), (2, 2, 1))),
        Do("client", assign((3, 2, 1), (2, 1, 2)), refused="already assigned to node 2"),
        Ask({"leases": {"job": 1, "round": 1}}),
        Ask({"leases_of_node": {"node": 1}}),
        Do("client", complete((0, 2)), refused="slot 0 is at attempt 1, not 2"),
        Do("client", complete((4, 1)), refused="never assigned"),
        Do("ann", complete((0, 1)), refused="is not the owner of job 1"),
        Do("client", complete((0, 1), (0, 1)), refused="completed, not active"),
        Do("client", complete((0, 1))),
        Do("client", complete((0, 1)), refused="completed, not active"),
        Do("client", assign((0, 2, 2)), refused="already completed"),
        Do("bob", release((1, 1)), refused="owns neither job 1 nor node 1"),
        Do("ann", release((1, 1))),
        Do("ann", release((1, 1)), refused="released, not active"),
        Do("client", release((2, 2)), refused="slot 2 is at attempt 1, not 2"),
        Do("client", reassign((3, 1, 1)), refused="never assigned: use assign_batch"),
        Do("client", reassign((0, 1, 2)), refused="already completed"),
        Do("client", reassign((1, 1, 2), (2, 1, 2))),
        Do("client", complete((2, 1)), refused="slot 2 is at attempt 2, not 1"),
        Do("eve", expire()),
        Ask({"lease": {"job": 1, "round": 1, "slot": 2}}),
        Ask({"lease": {"job": 1, "round": 1, "slot": 4}}),
        Do("client", {"close_job": {"job": 1}}, refused="reserved for active leases and unpaid tasks"),
        Do("client", {"cancel_job": {"job": 1}}),
        Do("client", assign((3, 1, 1)), refused="cancelled, not open"),
        Do("client", complete((1, 2))),
        Do("client", release((2, 2))),
        Ask({"nodes": {}}),
        Ask({"job": {"id": 1}}),
        Ask({"leases": {"job": 1, "round": 1, "start_after": 0, "limit": 1}}),
        Ask({"leases": {"job": 1, "round": 2}}),
        Ask({"totals": {}}),
    ]


def expiry(scene: Scene) -> list[Do | Ask]:
    """Heartbeats and jail hold 8 s, leases 11 s."""
    return [
        Do("ann", register(capacity=10)),
        Do("bob", register(capacity=10)),
        Do("client", create(shards=9, rounds=3, lease_seconds=11), "300uatl"),
        Do("client", assign((0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 2, 1))),
        Ask({"leases_of_node": {"node": 1}}, wait=10),
        Do("client", assign((4, 1, 1)), refused="last heartbeat was at"),
        Do("bob", {"heartbeat": {}}),
        Do("eve", expire(limit=0), refused="limit"),
        Do("eve", expire(limit=1)),
        Do("eve", expire(limit=1, start_after=0)),
        Do("client", reassign((2, 2, 2))),
        Do("client", complete((0, 1)), refused="expired, not active"),
        Do("client", complete((3, 1)), wait=3),
        Do("bob", {"heartbeat": {}}),
        Do("client", assign((0, 2, 2), (1, 2, 2))),
        Ask({"nodes": {}}),
        Ask({"leases": {"job": 1, "round": 1}}),
        *jail(),
    ]


def jail() -> list[Do | Ask]:
    """Ten leases lost at a time cost 50: reputation is spent after two such losses."""
    losses: list[Do | Ask] = []
    for attempt in (1, 2):
        losses += [
            Do("ann", {"heartbeat": {}}),
            Do("client", assign(*((slot, 1, attempt) for slot in range(10)), number=2)),
            Do("eve", expire(number=2), wait=10),
        ]
    return [
        *losses,
        Ask({"node": {"id": 1}}),
        Do("ann", {"heartbeat": {}}),
        Do("client", assign((0, 1, 3), number=2), refused="slot 0, node 1"),
        Do("ann", {"unjail": {}}, refused="is in jail until"),
        Do("ann", {"unjail": {}}, wait=10),
        Do("ann", {"heartbeat": {}}),
        Do("client", assign((0, 1, 3), number=2)),
        Ask({"node": {"id": 1}}),
    ]


VECTORS = [
    Vector("jobs", {}, jobs),
    Vector("leases", {}, leases),
    Vector("expiry", {"heartbeat_seconds": 8, "jail_seconds": 8}, expiry),
]
