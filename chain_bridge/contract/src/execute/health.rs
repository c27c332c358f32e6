//! Nodes are heard of, and leases run out.

use cosmwasm_std::{DepsMut, Env, MessageInfo, Order, Response, StdResult};
use cw_storage_plus::Bound;

use super::compute::own_node;
use crate::checks;
use crate::error::ContractError;
use crate::fleet::Fleet;
use crate::lease;
use crate::state::{Lease, LeaseState, CONFIG, LEASES, NODES};

/// The most leases that one expire_leases looks at, whatever its limit.
const MAX_SCAN: usize = 1000;

pub fn heartbeat(deps: DepsMut, env: Env, info: MessageInfo) -> Result<Response, ContractError> {
    let mut node = own_node(deps.as_ref(), &info.sender)?;
    node.last_seen = env.block.time.seconds();
    NODES.save(deps.storage, node.id, &node)?;
    Ok(Response::new()
        .add_attribute("action", "heartbeat")
        .add_attribute("node_id", node.id.to_string()))
}

/// Looks at leases in slot order until `limit` have expired or MAX_SCAN are seen. If it stopped early,
/// the attribute `last_slot` tells from where to go on.
pub fn expire_leases(
    deps: DepsMut,
    env: Env,
    job: u64,
    round: u32,
    limit: u32,
    start_after_slot: Option<u32>,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    checks::at_least_one("limit", limit == 0)?;
    let limit = limit.min(config.max_batch);
    checks::load_job(deps.storage, job)?;
    let now = env.block.time.seconds();

    let page: Vec<(u32, Lease)> = LEASES
        .prefix((job, round))
        .range(deps.storage, start_after_slot.map(Bound::exclusive), None, Order::Ascending)
        .take(MAX_SCAN)
        .collect::<StdResult<_>>()?;

    let mut fleet = Fleet::default();
    let mut expired = 0;
    let mut last_slot = None;
    for (seen, (slot, found)) in (1..).zip(page) {
        if found.state == LeaseState::Active {
            let holder = fleet.node(deps.storage, found.node)?;
            if !lease::is_live(&found, holder, now, config.heartbeat_seconds) {
                let key = (job, round, slot);
                lease::end(deps.storage, &mut fleet, key, found, LeaseState::Expired)?;
                expired += 1;
            }
        }
        if expired == limit || seen == MAX_SCAN {
            last_slot = Some(slot);
            break;
        }
    }
    fleet.save(deps.storage)?;

    let response = Response::new()
        .add_attribute("action", "expire_leases")
        .add_attribute("job_id", job.to_string())
        .add_attribute("round", round.to_string())
        .add_attribute("expired", expired.to_string());
    Ok(match last_slot {
        Some(slot) => response.add_attribute("last_slot", slot.to_string()),
        None => response,
    })
}
