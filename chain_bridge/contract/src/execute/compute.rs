//! Nodes join, change, stake and leave.

use cosmwasm_std::{Addr, Binary, DepsMut, Env, MessageInfo, Response, Storage, Uint128};
use cw_utils::{must_pay, nonpayable};

use crate::books::{self, Pot};
use crate::checks;
use crate::error::ContractError;
use crate::state::{
    Config, Node, NodeKind, NodeStatus, Standing, Unbonding, CONFIG, LAST_NODE, MAX_UNBONDING,
    NODES, NODE_OF, PAROLE_REPUTATION, STANDING, START_REPUTATION,
};

const MAX_CAPACITY: u32 = 1000;
const PUBLIC_KEY_BYTES: usize = 33;

/// What a node says of itself.
pub struct Description {
    pub kind: NodeKind,
    pub capacity: u32,
    pub manifest: String,
    pub public_key: Option<Binary>,
}

pub fn register_node(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    description: Description,
) -> Result<Response, ContractError> {
    let Description { kind, capacity, manifest, public_key } = description;
    check_description(Some(capacity), Some(&manifest), public_key.as_ref())?;
    let now = env.block.time.seconds();
    let owner = info.sender.clone();
    let (id, unbonding, jailed_until, reputation) = match NODE_OF.may_load(deps.storage, &owner)? {
        None => (next_id(deps.storage)?, vec![], 0, START_REPUTATION),
        Some(id) => {
            let (node, standing) = load(deps.storage, id)?;
            if standing.status != NodeStatus::Retired {
                return Err(ContractError::NodeExists { owner, node: id });
            }
            (id, node.unbonding, node.jailed_until, standing.reputation)
        }
    };
    let stake = paid_stake(&info, &CONFIG.load(deps.storage)?)?;
    // Retiring is no way out of jail.
    let is_jailed = reputation == 0 || now < jailed_until;
    let status = if is_jailed { NodeStatus::Jailed } else { NodeStatus::Active };
    let standing = Standing { capacity, used: 0, reputation, last_seen: now, status };
    let node = Node { owner, kind, stake, unbonding, jailed_until, manifest, public_key };
    NODE_OF.save(deps.storage, &node.owner, &id)?;
    NODES.save(deps.storage, id, &node)?;
    STANDING.save(deps.storage, id, &standing)?;
    books::deposit(deps.storage, Pot::Stake, stake)?;
    Ok(response("register_node", id)
        .add_attribute("owner", node.owner)
        .add_attribute("stake", stake))
}

fn next_id(storage: &mut dyn Storage) -> Result<u32, ContractError> {
    let id = LAST_NODE.load(storage)? + 1;
    LAST_NODE.save(storage, &id)?;
    Ok(id)
}

/// The funds of a message that brings a whole stake.
fn paid_stake(info: &MessageInfo, config: &Config) -> Result<Uint128, ContractError> {
    if config.min_stake.is_zero() {
        nonpayable(info)?;
        return Ok(Uint128::zero());
    }
    let found = must_pay(info, &config.denom)?;
    enough_stake(found, config)?;
    Ok(found)
}

fn enough_stake(found: Uint128, config: &Config) -> Result<(), ContractError> {
    if found < config.min_stake {
        return Err(ContractError::StakeTooSmall { found, expected: config.min_stake });
    }
    Ok(())
}

fn check_description(
    capacity: Option<u32>,
    manifest: Option<&String>,
    public_key: Option<&Binary>,
) -> Result<(), ContractError> {
    if let Some(capacity) = capacity {
        checks::range("capacity", capacity, MAX_CAPACITY)?;
    }
    if let Some(manifest) = manifest {
        checks::text("manifest", manifest)?;
    }
    match public_key {
        Some(key) if key.len() != PUBLIC_KEY_BYTES || !matches!(key.first(), Some(2 | 3)) => {
            Err(ContractError::BadPublicKey { found: key.len() })
        }
        _ => Ok(()),
    }
}

/// A capacity below what is used now is allowed: the node gets nothing new until it is below it.
pub fn update_node(
    deps: DepsMut,
    info: MessageInfo,
    capacity: Option<u32>,
    manifest: Option<String>,
    public_key: Option<Binary>,
) -> Result<Response, ContractError> {
    check_description(capacity, manifest.as_ref(), public_key.as_ref())?;
    let (id, mut node, mut standing) = serving(deps.storage, &info.sender)?;
    standing.capacity = capacity.unwrap_or(standing.capacity);
    node.manifest = manifest.unwrap_or(node.manifest);
    node.public_key = public_key.or(node.public_key);
    NODES.save(deps.storage, id, &node)?;
    STANDING.save(deps.storage, id, &standing)?;
    Ok(response("update_node", id))
}

pub fn add_stake(deps: DepsMut, info: MessageInfo) -> Result<Response, ContractError> {
    let amount = must_pay(&info, &CONFIG.load(deps.storage)?.denom)?;
    let (id, mut node, _) = serving(deps.storage, &info.sender)?;
    node.stake = node.stake.checked_add(amount)?;
    NODES.save(deps.storage, id, &node)?;
    books::deposit(deps.storage, Pot::Stake, amount)?;
    Ok(response("add_stake", id).add_attribute("amount", amount))
}

pub fn withdraw_stake(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    amount: Uint128,
) -> Result<Response, ContractError> {
    checks::at_least_one("amount", amount.is_zero())?;
    let config = CONFIG.load(deps.storage)?;
    let (id, mut node, _) = serving(deps.storage, &info.sender)?;
    if amount > node.stake {
        return Err(ContractError::StakeTooSmall { found: node.stake, expected: amount });
    }
    enough_stake(node.stake.checked_sub(amount)?, &config)?;
    let release_at = unbond(&mut node, id, amount, &env, &config)?;
    NODES.save(deps.storage, id, &node)?;
    Ok(response("withdraw_stake", id)
        .add_attribute("amount", amount)
        .add_attribute("release_at", release_at.to_string()))
}

pub fn deregister_node(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
) -> Result<Response, ContractError> {
    let (id, mut node, mut standing) = serving(deps.storage, &info.sender)?;
    if standing.used > 0 {
        return Err(ContractError::NodeInUse { node: id, used: standing.used });
    }
    let amount = node.stake;
    let response = response("deregister_node", id).add_attribute("amount", amount);
    if !amount.is_zero() {
        unbond(&mut node, id, amount, &env, &CONFIG.load(deps.storage)?)?;
    }
    standing.status = NodeStatus::Retired;
    NODES.save(deps.storage, id, &node)?;
    STANDING.save(deps.storage, id, &standing)?;
    Ok(response)
}

/// Moves a part of the stake to what is unbonding, and returns when that will be claimable.
fn unbond(
    node: &mut Node,
    id: u32,
    amount: Uint128,
    env: &Env,
    config: &Config,
) -> Result<u64, ContractError> {
    if node.unbonding.len() >= MAX_UNBONDING {
        return Err(ContractError::TooManyUnbonding { node: id, max: MAX_UNBONDING });
    }
    let release_at = env.block.time.seconds().saturating_add(config.unbonding_seconds);
    node.stake = node.stake.checked_sub(amount)?;
    node.unbonding.push(Unbonding { amount, release_at });
    Ok(release_at)
}

/// Works for a retired node, too.
pub fn claim_stake(deps: DepsMut, env: Env, info: MessageInfo) -> Result<Response, ContractError> {
    let now = env.block.time.seconds();
    let id = own_id(deps.storage, &info.sender)?;
    let (mut node, _) = load(deps.storage, id)?;
    let before = node.unbonding.len();
    let mut amount = Uint128::zero();
    for part in node.unbonding.iter().filter(|part| part.release_at <= now) {
        amount = amount.checked_add(part.amount)?;
    }
    node.unbonding.retain(|part| part.release_at > now);
    if node.unbonding.len() == before {
        return Err(ContractError::NothingUnbonded { node: id, now, unbonding: before });
    }
    NODES.save(deps.storage, id, &node)?;
    books::credit(deps.storage, Pot::Stake, &[(node.owner, amount)])?;
    Ok(response("claim_stake", id).add_attribute("amount", amount))
}

pub fn unjail(deps: DepsMut, env: Env, info: MessageInfo) -> Result<Response, ContractError> {
    let now = env.block.time.seconds();
    let (id, mut node, mut standing) = serving(deps.storage, &info.sender)?;
    if standing.status != NodeStatus::Jailed {
        return Err(ContractError::NotJailed { node: id, status: standing.status });
    }
    if now < node.jailed_until {
        return Err(ContractError::StillJailed { node: id, until: node.jailed_until, now });
    }
    let stake = paid_stake(&info, &CONFIG.load(deps.storage)?)?;
    node.stake = node.stake.checked_add(stake)?;
    standing.reputation = standing.reputation.max(PAROLE_REPUTATION);
    standing.status = NodeStatus::Active;
    NODES.save(deps.storage, id, &node)?;
    STANDING.save(deps.storage, id, &standing)?;
    books::deposit(deps.storage, Pot::Stake, stake)?;
    Ok(response("unjail", id).add_attribute("stake", stake))
}

/// The id of the node that an address owns. Errors: NoNode.
pub fn own_id(storage: &dyn Storage, owner: &Addr) -> Result<u32, ContractError> {
    NODE_OF.may_load(storage, owner)?.ok_or_else(|| ContractError::NoNode { owner: owner.clone() })
}

/// The node that an address owns and has not retired. Errors: NoNode, NodeRetired.
fn serving(storage: &dyn Storage, owner: &Addr) -> Result<(u32, Node, Standing), ContractError> {
    let id = own_id(storage, owner)?;
    let (node, standing) = load(storage, id)?;
    if standing.status == NodeStatus::Retired {
        return Err(ContractError::NodeRetired { node: id });
    }
    Ok((id, node, standing))
}

fn load(storage: &dyn Storage, id: u32) -> Result<(Node, Standing), ContractError> {
    let standing =
        STANDING.may_load(storage, id)?.ok_or(ContractError::NodeNotFound { node: id })?;
    Ok((NODES.load(storage, id)?, standing))
}

fn response(action: &str, node: u32) -> Response {
    Response::new().add_attribute("action", action).add_attribute("node_id", node.to_string())
}
