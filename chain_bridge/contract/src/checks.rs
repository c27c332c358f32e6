//! Checks that several messages share.

use cosmwasm_std::{Addr, Storage};

use crate::error::ContractError;
use crate::state::{Config, Job, JobState, JOBS};

const MAX_TEXT: usize = 256;

/// A CID, key or name: not empty, and short enough to store.
pub fn text(field: &'static str, value: &str) -> Result<(), ContractError> {
    if value.is_empty() || value.len() > MAX_TEXT {
        return Err(ContractError::TextLength { field, length: value.len(), max: MAX_TEXT });
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

pub fn job_of_owner(storage: &dyn Storage, job: u64, sender: &Addr) -> Result<Job, ContractError> {
    let found = load_job(storage, job)?;
    if found.owner != *sender {
        return Err(ContractError::NotJobOwner { sender: sender.clone(), job });
    }
    Ok(found)
}

pub fn open_job_of_owner(
    storage: &dyn Storage,
    job: u64,
    sender: &Addr,
) -> Result<Job, ContractError> {
    let found = job_of_owner(storage, job, sender)?;
    if found.state == JobState::Closed {
        return Err(ContractError::JobClosed { job });
    }
    Ok(found)
}
