"""Which nodes are sick."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appion.base.workers.nodes import Nodes


def test_a_node_that_fails_while_others_do_not_is_excluded_for_a_time():
    nodes = Nodes(limit=3, term=100)
    nodes.succeed("n2", 0)
    assert [nodes.fail("n1", "busy", now) for now in (1, 2)] == [False, False]
    nodes.succeed("n1", 3)
    assert [nodes.fail("n1", "busy", now) for now in (4, 5)] == [False, False]
    nodes.succeed("n2", 6)
    assert nodes.fail("n1", "busy", 7)
    assert (nodes.excluded, nodes.reasons) == ({"n1": 107}, {"n1": "busy"})
    assert nodes.expire(106) == []
    assert nodes.expire(107) == ["n1"]
    assert nodes.fail("n1", "busy", 108)  # once is enough this time


def test_a_node_that_is_the_only_one_tried_is_excluded_so_that_another_gets_a_chance():
    nodes = Nodes(limit=2, term=100)
    assert [nodes.fail("n1", "busy", now) for now in (1, 2)] == [False, True]
    assert not any(nodes.fail("n2", "busy", now) for now in range(3, 50))  # it is not the nodes, then


@given(st.lists(st.sampled_from(["n1", "n2", "n3", "n4"]), max_size=60))
def test_when_everything_fails_at_most_one_node_is_excluded(failures):
    nodes = Nodes(limit=2, term=1e9)
    for now, node in enumerate(failures):
        nodes.fail(node, "disk full", float(now))
    assert len(nodes.excluded) <= 1


def test_no_node_is_excluded_with_limit_zero():
    assert not any(Nodes(0, 100).fail("n1", "busy", now) for now in range(10))
