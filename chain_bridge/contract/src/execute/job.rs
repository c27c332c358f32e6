//! Jobs open and close.

use cosmwasm_std::{DepsMut, MessageInfo, Response, Uint128};
use cw_utils::must_pay;

use super::reward;
use crate::checks;
use crate::error::ContractError;
use crate::state::{Job, JobState, CONFIG, JOBS, JOB_OF, LAST_JOB, TOTALS};

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
    let job = Job {
        id,
        owner,
        key: order.key,
        spec: order.spec,
        dataset: order.dataset,
        shards: order.shards,
        rounds: order.rounds,
        reward: order.reward,
        deposited: escrow,
        reserved: Uint128::zero(),
        paid: Uint128::zero(),
        refunded: Uint128::zero(),
        lease_seconds: order.lease_seconds,
        state: JobState::Open,
    };
    JOBS.save(deps.storage, id, &job)?;
    let mut totals = TOTALS.load(deps.storage)?;
    totals.escrow = totals.escrow.checked_add(escrow)?;
    TOTALS.save(deps.storage, &totals)?;

    Ok(Response::new()
        .add_attribute("action", "create_job")
        .add_attribute("job_id", id.to_string())
        .add_attribute("owner", job.owner)
        .add_attribute("escrow", escrow))
}

fn check_order(order: &Order, escrow: Uint128) -> Result<(), ContractError> {
    checks::text("key", &order.key)?;
    checks::text("spec", &order.spec)?;
    checks::text("dataset", &order.dataset)?;
    checks::at_least_one("shards", order.shards == 0)?;
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

pub fn close_job(deps: DepsMut, info: MessageInfo, id: u64) -> Result<Response, ContractError> {
    let mut job = checks::open_job_of_owner(deps.storage, id, &info.sender)?;
    // A task is paid at least 1, so a round that waits for its settlement always has a reserve.
    if !job.reserved.is_zero() {
        return Err(ContractError::JobUnsettled { job: id, reserved: job.reserved });
    }
    let refund = job.free()?;
    job.refunded = job.refunded.checked_add(refund)?;
    job.state = JobState::Closed;
    JOBS.save(deps.storage, id, &job)?;
    reward::credit_from_escrow(deps.storage, &[(job.owner, refund)])?;
    Ok(Response::new()
        .add_attribute("action", "close_job")
        .add_attribute("job_id", id.to_string())
        .add_attribute("refunded", refund))
}

impl Job {
    /// What of the escrow is neither reserved, paid nor refunded.
    pub fn free(&self) -> Result<Uint128, ContractError> {
        Ok(self
            .deposited
            .checked_sub(self.reserved)?
            .checked_sub(self.paid)?
            .checked_sub(self.refunded)?)
    }
}
