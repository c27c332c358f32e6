//! Every refusal of the contract.

use cosmwasm_std::{Addr, OverflowError, StdError, Uint128};
use cw_ownable::OwnershipError;
use cw_utils::PaymentError;
use thiserror::Error;

use crate::state::{LeaseState, NodeStatus};

#[derive(Error, Debug, PartialEq)]
pub enum ContractError {
    #[error(transparent)]
    Std(#[from] StdError),
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
    #[error(transparent)]
    Payment(#[from] PaymentError),
    #[error(transparent)]
    Overflow(#[from] OverflowError),

    #[error("{field} must be at least 1, not 0")]
    Zero { field: &'static str },
    #[error("{field} has {length} bytes, expected 1 to {max}")]
    TextLength { field: &'static str, length: usize, max: usize },
    #[error("{field} is {found}, expected 1 to {max}")]
    OutOfRange { field: &'static str, found: u32, max: u32 },
    #[error("the batch has {found} items, expected 1 to {max}")]
    BatchSize { found: usize, max: u32 },

    #[error("a stake of {found} is below the least stake of {expected}")]
    StakeTooSmall { found: Uint128, expected: Uint128 },
    #[error("{owner} already has node {node}: use update_node to change it")]
    NodeExists { owner: Addr, node: u32 },
    #[error("{owner} has no node: use register_node first")]
    NoNode { owner: Addr },
    #[error("node {node} is not registered")]
    NodeNotFound { node: u32 },

    #[error("an escrow of {found} does not cover {expected}: {reward} for each of {shards} + 1 tasks in {rounds} rounds")]
    EscrowTooSmall { found: Uint128, expected: Uint128, reward: Uint128, shards: u32, rounds: u32 },
    #[error("job key {key} is already used by job {job}")]
    JobKeyUsed { key: String, job: u64 },
    #[error("there is no job {job}")]
    JobNotFound { job: u64 },
    #[error("{sender} is not the owner of job {job}")]
    NotJobOwner { sender: Addr, job: u64 },
    #[error("job {job} is closed")]
    JobClosed { job: u64 },
    #[error(
        "job {job} has {reserved} reserved for rounds that are not settled: settle them first"
    )]
    JobUnsettled { job: u64, reserved: Uint128 },

    #[error("slot {slot}, node {node}: {reason}")]
    Assign { slot: u32, node: u32, reason: AssignRefusal },
    #[error("slot {slot} of round {round} of job {job} was never assigned")]
    LeaseNotFound { job: u64, round: u32, slot: u32 },
    #[error("slot {slot} is at attempt {expected}, not {found}")]
    WrongAttempt { slot: u32, expected: u32, found: u32 },
    #[error("the lease of slot {slot} is {}, not active", name(.state))]
    LeaseNotActive { slot: u32, state: LeaseState },
    #[error("{sender} owns neither job {job} nor node {node}, which holds slot {slot}")]
    NotLeaseHolder { sender: Addr, job: u64, node: u32, slot: u32 },
    #[error("round {round} of job {job} already has results of {max} nodes, the most that one submission can list")]
    TooManyNodes { job: u64, round: u32, max: u32 },

    #[error("round {round} of job {job} is already submitted")]
    RoundSubmitted { job: u64, round: u32 },
    #[error("round {round} of job {job} is not submitted")]
    RoundNotSubmitted { job: u64, round: u32 },
    #[error("the root has {found} bytes, expected 32")]
    RootLength { found: usize },
    #[error("node {node} is listed twice")]
    NodeListedTwice { node: u32 },
    #[error("node {node} is listed with {found} tasks but completed {expected}")]
    WrongCount { node: u32, expected: u32, found: u32 },
    #[error("the counts add up to {sum}, but leaf_count is {leaf_count}")]
    WrongLeafCount { sum: u64, leaf_count: u32 },
    #[error(
        "the counts add up to {sum}, but {completed} tasks of the round are completed: list every node"
    )]
    NodesMissing { sum: u64, completed: u32 },
    #[error("a pay of {expected} is more than the {found} that are free in job {job}")]
    EscrowSpent { job: u64, found: Uint128, expected: Uint128 },
    #[error("round {round} of job {job} can be settled from {from} on, and it is {now}")]
    ChallengeOpen { job: u64, round: u32, from: u64, now: u64 },
    #[error("round {round} of job {job} was already settled at {at}")]
    RoundSettled { job: u64, round: u32, at: u64 },

    #[error("{address} has no credit")]
    NoCredit { address: Addr },

    #[error("model {name} belongs to {owner}, not to {sender}")]
    NotModelOwner { name: String, owner: Addr, sender: Addr },
    #[error("model {name} already has a version {version}")]
    ModelExists { name: String, version: u32 },
    #[error("there is no version {version} of model {name}")]
    ModelNotFound { name: String, version: u32 },

    #[error("cannot migrate from contract {found}, expected {expected}")]
    WrongContract { expected: &'static str, found: String },
    #[error("cannot migrate from version {stored} to {new}: the new version must be higher")]
    NotNewer { stored: String, new: &'static str },
    #[error("{version} is not a version: {reason}")]
    BadVersion { version: String, reason: String },
}

/// Why a slot cannot be leased to a node.
#[derive(Error, Debug, PartialEq)]
pub enum AssignRefusal {
    #[error("the last slot of the round is {last}")]
    SlotOutOfRange { last: u32 },
    #[error("the slot is already completed")]
    Completed,
    #[error("the slot is already assigned to node {holder} until {until}")]
    AlreadyAssigned { holder: u32, until: u64 },
    #[error("the attempt must be {expected}, not {found}")]
    WrongAttempt { expected: u32, found: u32 },
    #[error("the node is not registered")]
    NodeNotRegistered,
    #[error("the node has no reputation left")]
    NoReputation,
    #[error("the node is {}, not active", name(.status))]
    NodeNotActive { status: NodeStatus },
    #[error("the node's last heartbeat was at {last_seen}, more than {heartbeat_seconds} s before {now}")]
    StaleHeartbeat { last_seen: u64, heartbeat_seconds: u64, now: u64 },
    #[error("the node has no free capacity: {used} of {capacity} used")]
    NoCapacity { used: u32, capacity: u32 },
}

/// The name that a unit variant has in messages.
fn name(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}
