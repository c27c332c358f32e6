//! Checks that several messages share.

use cosmwasm_std::{Addr, Binary, Storage};

use crate::error::ContractError;
use crate::state::{Config, Job, JobState, Round, JOBS, ROUNDS};

const MAX_TEXT: usize = 256;

/// A CID, key or name: not empty, and short enough to store.
pub fn text(field: &'static str, value: &str) -> Result<(), ContractError> {
    if value.is_empty() || value.len() > MAX_TEXT {
        return Err(ContractError::TextLength { field, length: value.len(), max: MAX_TEXT });
    }
    Ok(())
}

pub fn bytes(
    field: &'static str,
    value: &Binary,
    least: usize,
    most: usize,
) -> Result<(), ContractError> {
    if value.len() < least || value.len() > most {
        return Err(ContractError::BytesLength { field, found: value.len(), least, most });
    }
    Ok(())
}

pub fn range(field: &'static str, found: u32, max: u32) -> Result<(), ContractError> {
    if found == 0 || found > max {
        return Err(ContractError::OutOfRange { field, found, max });
    }
    Ok(())
}

pub fn at_least_one(field: &'static str, is_zero: bool) -> Result<(), ContractError> {
    if is_zero {
        return Err(ContractError::Zero { field });
    }
    Ok(())
}

pub fn batch<T>(items: &[T], config: &Config) -> Result<(), ContractError> {
    if items.is_empty() || items.len() > config.max_batch as usize {
        return Err(ContractError::BatchSize { found: items.len(), max: config.max_batch });
    }
    Ok(())
}

pub fn load_job(storage: &dyn Storage, job: u64) -> Result<Job, ContractError> {
    JOBS.may_load(storage, job)?.ok_or(ContractError::JobNotFound { job })
}

pub fn job_owner(job: &Job, id: u64, sender: &Addr) -> Result<(), ContractError> {
    if job.owner != *sender {
        return Err(ContractError::NotJobOwner { sender: sender.clone(), job: id });
    }
    Ok(())
}

pub fn open(job: &Job, id: u64) -> Result<(), ContractError> {
    if job.state != JobState::Open {
        return Err(ContractError::JobNotOpen { job: id, state: job.state });
    }
    Ok(())
}

pub fn not_closed(job: &Job, id: u64) -> Result<(), ContractError> {
    if job.state == JobState::Closed {
        return Err(ContractError::JobClosed { job: id });
    }
    Ok(())
}

pub fn job_of_owner(storage: &dyn Storage, job: u64, sender: &Addr) -> Result<Job, ContractError> {
    let found = load_job(storage, job)?;
    job_owner(&found, job, sender)?;
    Ok(found)
}

pub fn not_submitted(storage: &dyn Storage, job: u64, round: u32) -> Result<(), ContractError> {
    if ROUNDS.has(storage, (job, round)) {
        return Err(ContractError::RoundSubmitted { job, round });
    }
    Ok(())
}

/// The submission of a round that still waits for its settlement.
pub fn unsettled(storage: &dyn Storage, job: u64, round: u32) -> Result<Round, ContractError> {
    let found = ROUNDS
        .may_load(storage, (job, round))?
        .ok_or(ContractError::RoundNotSubmitted { job, round })?;
    match found.settled_at {
        Some(at) => Err(ContractError::RoundSettled { job, round, at }),
        None => Ok(found),
    }
}
