"""Descriptions of a node's standing on chain, for its owner."""

from datetime import UTC, datetime

from atlas.counts import counted
from chain_bridge.client.messages import Node
from node_agent.home.config import NodeHome


def describe_standing(node: Node, now: float) -> str:
    """Id, status, reputation and load in one line; `now` in unix seconds."""
    load = f"{node.used} of {counted(node.capacity, 'content' if node.kind == 'storage' else 'task')}"
    return f"node {node.id}, {_status(node, now)}, reputation {node.reputation}, {load}"


def describe_stake(node: Node, denomination: str, now: float) -> str:
    """The node's stake, and the parts that are unbonding; amounts in micro-units."""
    text = f"stake {node.stake} {denomination}"
    for part in node.unbonding:
        when = "can be claimed" if part.release_at <= now else f"bound until {moment(part.release_at)}"
        text += f"; {part.amount} {denomination} {when}"
    return text


def jail_advice(node: Node, home: NodeHome) -> str:
    """Advice for the owner of a jailed node."""
    return (
        f"Node {node.id} is in jail until {moment(node.jailed_until)}: it gets no work. After that, free it with "
        f"`{home.command('unjail')}`, which pays a new stake."
    )


def moment(seconds: int) -> str:
    """Unix seconds as a date and time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _status(node: Node, now: float) -> str:
    if node.status != "jailed":
        return node.status
    return f"jailed until {moment(node.jailed_until)}" if now < node.jailed_until else "jailed, may be freed"
