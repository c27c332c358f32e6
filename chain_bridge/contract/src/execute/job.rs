//! Jobs open, grow and end.

use cosmwasm_std::{DepsMut, MessageInfo, Response, Uint128};
use cw_utils::must_pay;

use crate::books::{self, Pot};
use crate::checks;
use crate::error::ContractError;
use crate::state::{
    Account, Job, JobState, ACCOUNTS, CONFIG, JOBS, JOB_OF, LAST_JOB, MAX_SHARDS, NONCES,
};

/// What the owner of a new job asks for.
pub struct Order {
    pub key: String,
    pub spec: String,
    pub dataset: String,
    pub shards: u32,
    pub rounds: u32,
    pub reward: Uint128,
    pub lease_seconds: u64,
}

pub fn create_job(
    deps: DepsMut,
    info: MessageInfo,
    order: Order,
) -> Result<Response, ContractError> {
    let escrow = must_pay(&info, &CONFIG.load(deps.storage)?.denom)?;
    check_order(&order, escrow)?;
    let owner = info.sender;
    if let Some(job) = JOB_OF.may_load(deps.storage, (&owner, &order.key))? {
        return Err(ContractError::JobKeyUsed { key: order.key, job });
    }

    let id = LAST_JOB.load(deps.storage)? + 1;
    LAST_JOB.save(deps.storage, &id)?;
    JOB_OF.save(deps.storage, (&owner, &order.key), &id)?;
    let Order { key, spec, dataset, shards, rounds, reward, lease_seconds } = order;
    let state = JobState::Open;
    let job = Job { owner, key, spec, dataset, shards, rounds, reward, lease_seconds, state };
    JOBS.save(deps.storage, id, &job)?;
    ACCOUNTS.save(deps.storage, id, &Account { deposited: escrow, ..Account::default() })?;
    books::deposit(deps.storage, Pot::Escrow, escrow)?;

    Ok(response("create_job", id).add_attribute("owner", job.owner).add_attribute("escrow", escrow))
}

fn check_order(order: &Order, escrow: Uint128) -> Result<(), ContractError> {
    checks::text("key", &order.key)?;
    checks::text("spec", &order.spec)?;
    checks::text("dataset", &order.dataset)?;
    checks::range("shards", order.shards, MAX_SHARDS)?;
    checks::at_least_one("rounds", order.rounds == 0)?;
    checks::at_least_one("reward", order.reward.is_zero())?;
    checks::at_least_one("lease_seconds", order.lease_seconds == 0)?;
    let tasks = (u128::from(order.shards) + 1) * u128::from(order.rounds);
    let expected = order.reward.checked_mul(Uint128::new(tasks))?;
    if escrow < expected {
        return Err(ContractError::EscrowTooSmall {
            found: escrow,
            expected,
            reward: order.reward,
            shards: order.shards,
            rounds: order.rounds,
        });
    }
    Ok(())
}

pub fn top_up(
    deps: DepsMut,
    info: MessageInfo,
    id: u64,
    key: String,
) -> Result<Response, ContractError> {
    let amount = must_pay(&info, &CONFIG.load(deps.storage)?.denom)?;
    checks::text("key", &key)?;
    checks::open(&checks::job_of_owner(deps.storage, id, &info.sender)?, id)?;
    if let Some(job) = NONCES.may_load(deps.storage, (&info.sender, &key))? {
        return Err(ContractError::TopUpKeyUsed { key, job });
    }
    NONCES.save(deps.storage, (&info.sender, &key), &id)?;
    let mut account = ACCOUNTS.load(deps.storage, id)?;
    account.deposited = account.deposited.checked_add(amount)?;
    ACCOUNTS.save(deps.storage, id, &account)?;
    books::deposit(deps.storage, Pot::Escrow, amount)?;
    Ok(response("top_up", id).add_attribute("amount", amount))
}

pub fn cancel_job(deps: DepsMut, info: MessageInfo, id: u64) -> Result<Response, ContractError> {
    let job = checks::job_of_owner(deps.storage, id, &info.sender)?;
    checks::open(&job, id)?;
    let refunded = end(deps, id, job, JobState::Cancelled)?;
    Ok(response("cancel_job", id).add_attribute("refunded", refunded))
}

pub fn close_job(deps: DepsMut, info: MessageInfo, id: u64) -> Result<Response, ContractError> {
    let job = checks::job_of_owner(deps.storage, id, &info.sender)?;
    checks::not_closed(&job, id)?;
    let reserved = ACCOUNTS.load(deps.storage, id)?.reserved;
    if !reserved.is_zero() {
        return Err(ContractError::JobUnsettled { job: id, reserved });
    }
    let refunded = end(deps, id, job, JobState::Closed)?;
    Ok(response("close_job", id).add_attribute("refunded", refunded))
}

/// Credits the owner of a job with what is free of its escrow.
fn end(deps: DepsMut, id: u64, mut job: Job, state: JobState) -> Result<Uint128, ContractError> {
    let mut account = ACCOUNTS.load(deps.storage, id)?;
    let refund = account.refund()?;
    ACCOUNTS.save(deps.storage, id, &account)?;
    job.state = state;
    JOBS.save(deps.storage, id, &job)?;
    books::credit(deps.storage, Pot::Escrow, &[(job.owner, refund)])?;
    Ok(refund)
}

fn response(action: &str, job: u64) -> Response {
    Response::new().add_attribute("action", action).add_attribute("job_id", job.to_string())
}
