"""The expected time follows the dispatcher's own assignment, and is unknown where a speed is."""

from resources.planning.expected_time import expected_seconds
from tests.resources.placement.test_filters import node


def test_each_node_trains_its_tasks_at_a_time_and_the_last_one_decides():
    nodes = [node(id=1, capacity=2), node(id=2, capacity=2)]
    assert expected_seconds([100, 100, 100, 100], nodes, {1: 10.0, 2: 50.0}) == 10


def test_tasks_beyond_the_capacity_follow_the_others():
    assert expected_seconds([100, 200, 300], [node(id=1, capacity=1)], {1: 10.0}) == 60


def test_other_work_of_a_node_does_not_count():
    assert expected_seconds([100], [node(id=1, capacity=1, used=1)], {1: 10.0}) == 10


def test_without_a_node_or_a_speed_it_is_unknown():
    assert expected_seconds([100], [], {}) is None
    assert expected_seconds([100, 100], [node(id=1, capacity=1), node(id=2, capacity=1)], {1: 10.0}) is None
