//! What anybody may ask of nodes.

use cosmwasm_std::{Deps, Order, StdResult};
use cw_storage_plus::Bound;

use super::page;
use crate::error::ContractError;
use crate::msg::NodeAnswer;
use crate::state::{Node, Standing, NODES, NODE_OF, STANDING};

pub fn node(deps: Deps, id: u32) -> Result<NodeAnswer, ContractError> {
    let node = NODES.may_load(deps.storage, id)?.ok_or(ContractError::NodeNotFound { node: id })?;
    Ok(answer(deps, id, node)?)
}

pub fn node_of(deps: Deps, owner: &str) -> StdResult<Option<NodeAnswer>> {
    let owner = deps.api.addr_validate(owner)?;
    let Some(id) = NODE_OF.may_load(deps.storage, &owner)? else { return Ok(None) };
    answer(deps, id, NODES.load(deps.storage, id)?).map(Some)
}

pub fn nodes(
    deps: Deps,
    start_after: Option<u32>,
    limit: Option<u32>,
) -> StdResult<Vec<NodeAnswer>> {
    NODES
        .range(deps.storage, start_after.map(Bound::exclusive), None, Order::Ascending)
        .take(page(limit))
        .map(|entry| entry.and_then(|(id, node)| answer(deps, id, node)))
        .collect()
}

fn answer(deps: Deps, id: u32, node: Node) -> StdResult<NodeAnswer> {
    let Node { owner, kind, stake, unbonding, jailed_until, manifest, public_key } = node;
    let Standing { capacity, used, reputation, last_seen, status } =
        STANDING.load(deps.storage, id)?;
    Ok(NodeAnswer {
        id,
        owner,
        kind,
        capacity,
        used,
        stake,
        unbonding,
        reputation,
        last_seen,
        status,
        jailed_until,
        manifest,
        public_key,
    })
}
