//! What anybody may ask of jobs and money.

use cosmwasm_std::{Deps, Order, StdResult, Uint128};
use cw_storage_plus::Bound;

use super::page;
use crate::checks;
use crate::error::ContractError;
use crate::msg::JobAnswer;
use crate::state::{Account, Job, ACCOUNTS, CREDIT, JOBS, JOB_OF};

pub fn job(deps: Deps, id: u64) -> Result<JobAnswer, ContractError> {
    Ok(answer(deps, id, checks::load_job(deps.storage, id)?)?)
}

pub fn job_of(deps: Deps, owner: &str, key: &str) -> Result<Option<JobAnswer>, ContractError> {
    checks::text("key", key)?;
    let owner = deps.api.addr_validate(owner)?;
    let Some(id) = JOB_OF.may_load(deps.storage, (&owner, key))? else { return Ok(None) };
    job(deps, id).map(Some)
}

pub fn jobs(deps: Deps, start_after: Option<u64>, limit: Option<u32>) -> StdResult<Vec<JobAnswer>> {
    JOBS.range(deps.storage, start_after.map(Bound::exclusive), None, Order::Ascending)
        .take(page(limit))
        .map(|entry| entry.and_then(|(id, job)| answer(deps, id, job)))
        .collect()
}

fn answer(deps: Deps, id: u64, job: Job) -> StdResult<JobAnswer> {
    let Job { owner, key, spec, dataset, shards, rounds, reward, lease_seconds, state } = job;
    let Account { deposited, reserved, paid, refunded } = ACCOUNTS.load(deps.storage, id)?;
    Ok(JobAnswer {
        id,
        owner,
        key,
        spec,
        dataset,
        shards,
        rounds,
        reward,
        deposited,
        reserved,
        paid,
        refunded,
        lease_seconds,
        state,
    })
}

pub fn credit(deps: Deps, address: &str) -> StdResult<Uint128> {
    let address = deps.api.addr_validate(address)?;
    Ok(CREDIT.may_load(deps.storage, &address)?.unwrap_or_default())
}
