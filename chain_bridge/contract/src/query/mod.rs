//! What anybody may ask. Lists come in pages, sorted by key.

mod compute;
mod job;
mod lease;
mod model;
mod round;
mod storage;

use cosmwasm_std::{to_json_binary, Binary, Deps, Env};

use crate::error::ContractError;
use crate::msg::QueryMsg;
use crate::state::{CONFIG, PAUSED, TOTALS};

const DEFAULT_LIMIT: u32 = 30;
const MAX_LIMIT: u32 = 100;

/// How many entries a list may have.
fn page(limit: Option<u32>) -> usize {
    limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize
}

pub fn answer(deps: Deps, env: Env, msg: QueryMsg) -> Result<Binary, ContractError> {
    use QueryMsg::*;
    let answer = match msg {
        Config {} => to_json_binary(&CONFIG.load(deps.storage)?),
        Paused {} => to_json_binary(&PAUSED.load(deps.storage)?),
        Totals {} => to_json_binary(&TOTALS.load(deps.storage)?),
        Ownership {} => to_json_binary(&cw_ownable::get_ownership(deps.storage)?),

        Node { id } => to_json_binary(&compute::node(deps, id)?),
        NodeOf { owner } => to_json_binary(&compute::node_of(deps, &owner)?),
        Nodes { start_after, limit } => to_json_binary(&compute::nodes(deps, start_after, limit)?),

        Job { id } => to_json_binary(&job::job(deps, id)?),
        JobOf { owner, key } => to_json_binary(&job::job_of(deps, &owner, &key)?),
        Jobs { start_after, limit } => to_json_binary(&job::jobs(deps, start_after, limit)?),
        Credit { address } => to_json_binary(&job::credit(deps, &address)?),

        Lease { job, round, slot } => to_json_binary(&lease::lease(deps, env, job, round, slot)?),
        Leases { job, round, start_after, limit } => {
            to_json_binary(&lease::leases(deps, env, job, round, start_after, limit)?)
        }
        LeasesOfNode { node, start_after, limit } => {
            to_json_binary(&lease::leases_of_node(deps, env, node, start_after, limit)?)
        }

        Round { job, round } => to_json_binary(&round::round(deps, job, round)?),
        Rounds { job, start_after, limit } => {
            to_json_binary(&round::rounds(deps, job, start_after, limit)?)
        }
        Challenge { job, round, index } => {
            to_json_binary(&round::challenge(deps, job, round, index)?)
        }
        Challenges { job, round, start_after, limit } => {
            to_json_binary(&round::challenges(deps, job, round, start_after, limit)?)
        }

        Holders { cid, start_after, limit } => {
            to_json_binary(&storage::holders(deps, cid, start_after, limit)?)
        }
        Holdings { node, start_after, limit } => {
            to_json_binary(&storage::holdings(deps, node, start_after, limit)?)
        }
        Model { name, version } => to_json_binary(&model::model(deps, name, version)?),
        Models { name, start_after, limit } => {
            to_json_binary(&model::models(deps, name, start_after, limit)?)
        }
        CurrentModel { name } => to_json_binary(&model::current_model(deps, name)?),
    };
    Ok(answer?)
}
