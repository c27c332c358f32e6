//! Nodes join and change.

use cosmwasm_std::{Addr, Deps, DepsMut, Env, MessageInfo, Response, Uint128};
use cw_utils::{must_pay, nonpayable};

use crate::checks;
use crate::error::ContractError;
use crate::state::{
    Config, Node, NodeKind, NodeStatus, CONFIG, LAST_NODE, NODES, NODE_OF, START_REPUTATION, TOTALS,
};

const MAX_CAPACITY: u32 = 1000;

pub fn register_node(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    kind: NodeKind,
    capacity: u32,
    manifest: String,
) -> Result<Response, ContractError> {
    checks::range("capacity", capacity, MAX_CAPACITY)?;
    checks::text("manifest", &manifest)?;
    if let Some(node) = NODE_OF.may_load(deps.storage, &info.sender)? {
        return Err(ContractError::NodeExists { owner: info.sender, node });
    }
    let stake = paid_stake(&info, &CONFIG.load(deps.storage)?)?;

    let id = LAST_NODE.load(deps.storage)? + 1;
    let node = Node {
        id,
        owner: info.sender,
        kind,
        capacity,
        used: 0,
        stake,
        reputation: START_REPUTATION,
        last_seen: env.block.time.seconds(),
        status: NodeStatus::Active,
        manifest,
    };
    LAST_NODE.save(deps.storage, &id)?;
    NODES.save(deps.storage, id, &node)?;
    NODE_OF.save(deps.storage, &node.owner, &id)?;
    let mut totals = TOTALS.load(deps.storage)?;
    totals.stake = totals.stake.checked_add(stake)?;
    TOTALS.save(deps.storage, &totals)?;

    Ok(Response::new()
        .add_attribute("action", "register_node")
        .add_attribute("node_id", id.to_string())
        .add_attribute("owner", node.owner)
        .add_attribute("stake", stake))
}

fn paid_stake(info: &MessageInfo, config: &Config) -> Result<Uint128, ContractError> {
    if config.min_stake.is_zero() {
        nonpayable(info)?;
        return Ok(Uint128::zero());
    }
    let stake = must_pay(info, &config.denom)?;
    if stake < config.min_stake {
        return Err(ContractError::StakeTooSmall { found: stake, expected: config.min_stake });
    }
    Ok(stake)
}

/// A capacity below what is used now is allowed: the node gets nothing new until it is below it.
pub fn update_node(
    deps: DepsMut,
    info: MessageInfo,
    capacity: Option<u32>,
    manifest: Option<String>,
) -> Result<Response, ContractError> {
    let mut node = own_node(deps.as_ref(), &info.sender)?;
    if let Some(capacity) = capacity {
        checks::range("capacity", capacity, MAX_CAPACITY)?;
        node.capacity = capacity;
    }
    if let Some(manifest) = manifest {
        checks::text("manifest", &manifest)?;
        node.manifest = manifest;
    }
    NODES.save(deps.storage, node.id, &node)?;
    Ok(Response::new()
        .add_attribute("action", "update_node")
        .add_attribute("node_id", node.id.to_string()))
}

/// The node that an address owns. Errors: NoNode.
pub fn own_node(deps: Deps, owner: &Addr) -> Result<Node, ContractError> {
    let id = NODE_OF
        .may_load(deps.storage, owner)?
        .ok_or_else(|| ContractError::NoNode { owner: owner.clone() })?;
    Ok(NODES.load(deps.storage, id)?)
}
