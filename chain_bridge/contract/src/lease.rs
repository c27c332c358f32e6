//! The life of a lease.

use cosmwasm_std::{Empty, OverflowError, OverflowOperation, Storage};

use crate::error::ContractError;
use crate::fleet::Fleet;
use crate::state::{Lease, LeaseKey, LeaseState, Node, LEASES, LEASES_OF};

/// Whether nobody else may take the slot: active, not past its deadline, and its node is heard of.
pub fn is_live(lease: &Lease, holder: &Node, now: u64, heartbeat_seconds: u64) -> bool {
    lease.state == LeaseState::Active
        && now <= lease.until
        && holder.is_heard_of(now, heartbeat_seconds)
}

/// Stores a new active lease and takes a place of its node.
pub fn begin(
    storage: &mut dyn Storage,
    node: &mut Node,
    key: LeaseKey,
    lease: &Lease,
) -> Result<(), ContractError> {
    node.used += 1;
    LEASES.save(storage, key, lease)?;
    LEASES_OF.save(storage, (node.id, key), &Empty {})?;
    Ok(())
}

/// Ends an active lease, gives its node the place back, and moves the node's reputation.
pub fn end(
    storage: &mut dyn Storage,
    fleet: &mut Fleet,
    key: LeaseKey,
    mut lease: Lease,
    outcome: LeaseState,
) -> Result<(), ContractError> {
    let node = fleet.node_mut(storage, lease.node)?;
    node.used = node.used.checked_sub(1).ok_or(OverflowError::new(OverflowOperation::Sub))?;
    match outcome {
        LeaseState::Completed => node.praise(),
        LeaseState::Expired => node.blame(),
        LeaseState::Active | LeaseState::Released => {}
    }
    LEASES_OF.remove(storage, (lease.node, key));
    lease.state = outcome;
    LEASES.save(storage, key, &lease)?;
    Ok(())
}

/// The active lease of a slot at exactly this attempt.
/// Errors: LeaseNotFound, WrongAttempt, LeaseNotActive.
pub fn active(storage: &dyn Storage, key: LeaseKey, attempt: u32) -> Result<Lease, ContractError> {
    let (job, round, slot) = key;
    let lease =
        LEASES.may_load(storage, key)?.ok_or(ContractError::LeaseNotFound { job, round, slot })?;
    if lease.attempt != attempt {
        return Err(ContractError::WrongAttempt { slot, expected: lease.attempt, found: attempt });
    }
    if lease.state != LeaseState::Active {
        return Err(ContractError::LeaseNotActive { slot, state: lease.state });
    }
    Ok(lease)
}
