//! Every refusal of the contract.

use cosmwasm_std::{Addr, OverflowError, StdError, Uint128};
use cw_ownable::OwnershipError;
use cw_utils::PaymentError;
use thiserror::Error;

use crate::state::{ChallengeState, JobState, LeaseState, NodeKind, NodeStatus};

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

    #[error("the contract is paused by its owner: only heartbeats, the ending of leases, stake claims and withdrawals work")]
    Paused,
    #[error("{field} must be at least 1, not 0")]
    Zero { field: &'static str },
    #[error("{field} has {length} bytes, expected 1 to {max}")]
    TextLength { field: &'static str, length: usize, max: usize },
    #[error("{field} has {found} bytes, expected {}", span(.least, .most))]
    BytesLength { field: &'static str, found: usize, least: usize, most: usize },
    #[error("{field} is {found}, expected 1 to {max}")]
    OutOfRange { field: &'static str, found: u32, max: u32 },
    #[error("{field} is {found}, expected at most {max}")]
    TooLarge { field: &'static str, found: u32, max: u32 },
    #[error("the batch has {found} items, expected 1 to {max}")]
    BatchSize { found: usize, max: u32 },
    #[error("unbonding_seconds is {found}, expected at least challenge_seconds + dispute_seconds = {expected}: stake must not escape a slash")]
    UnbondingTooShort { found: u64, expected: u64 },

    #[error("a stake of {found} is below the least stake of {expected}")]
    StakeTooSmall { found: Uint128, expected: Uint128 },
    #[error("{owner} already has node {node}: use update_node to change it")]
    NodeExists { owner: Addr, node: u32 },
    #[error("{owner} has no node: use register_node first")]
    NoNode { owner: Addr },
    #[error("node {node} is not registered")]
    NodeNotFound { node: u32 },
    #[error("node {node} is retired: use register_node to take it up again")]
    NodeRetired { node: u32 },
    #[error("node {node} still holds {used} leases or CIDs: end them first")]
    NodeInUse { node: u32, used: u32 },
    #[error("node {node} is {}, not jailed", name(.status))]
    NotJailed { node: u32, status: NodeStatus },
    #[error("node {node} is in jail until {until}, and it is {now}")]
    StillJailed { node: u32, until: u64, now: u64 },
    #[error("node {node} has {max} parts of its stake unbonding, the most that it may: use claim_stake first")]
    TooManyUnbonding { node: u32, max: usize },
    #[error("node {node} has no stake to claim at {now}; {} are unbonding", .unbonding)]
    NothingUnbonded { node: u32, now: u64, unbonding: usize },
    #[error("a public key is 33 bytes of compressed secp256k1, found {found} bytes")]
    BadPublicKey { found: usize },

    #[error("node {node} has no public key, so it must send its heartbeats itself")]
    NoPublicKey { node: u32 },
    #[error("the heartbeat of node {node} at {at} is not newer than its last one, at {last_seen}")]
    StaleBeat { node: u32, at: u64, last_seen: u64 },
    #[error("the heartbeat of node {node} at {at} is of the future: at most {latest} is accepted")]
    FutureBeat { node: u32, at: u64, latest: u64 },
    #[error("the heartbeat of node {node} at {at} is not signed by the node's key")]
    BadSignature { node: u32, at: u64 },

    #[error("an escrow of {found} does not cover {expected}: {reward} for each of {shards} + 1 tasks in {rounds} rounds")]
    EscrowTooSmall { found: Uint128, expected: Uint128, reward: Uint128, shards: u32, rounds: u32 },
    #[error("job key {key} is already used by job {job}")]
    JobKeyUsed { key: String, job: u64 },
    #[error("top-up key {key} was already used, for job {job}")]
    TopUpKeyUsed { key: String, job: u64 },
    #[error("there is no job {job}")]
    JobNotFound { job: u64 },
    #[error("{sender} is not the owner of job {job}")]
    NotJobOwner { sender: Addr, job: u64 },
    #[error("job {job} is {}, not open", name(.state))]
    JobNotOpen { job: u64, state: JobState },
    #[error("job {job} is closed")]
    JobClosed { job: u64 },
    #[error(
        "job {job} has {reserved} reserved for active leases and unpaid tasks: end or settle them first"
    )]
    JobUnsettled { job: u64, reserved: Uint128 },
    #[error("a reserve of {expected} is more than the {found} that are free in job {job}")]
    EscrowSpent { job: u64, found: Uint128, expected: Uint128 },

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
    #[error("round {round} of job {job} was abandoned: its nodes have begun to claim their pay")]
    RoundAbandoned { job: u64, round: u32 },
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
    #[error("the basis points add up to {sum}, expected exactly {expected}")]
    WrongBps { sum: u64, expected: u32 },
    #[error("round {round} of job {job} can be settled from {from} on, and it is {now}")]
    WindowOpen { job: u64, round: u32, from: u64, now: u64 },
    #[error("round {round} of job {job} was already settled at {at}")]
    RoundSettled { job: u64, round: u32, at: u64 },
    #[error("round {round} of job {job} has {open} open challenges")]
    RoundChallenged { job: u64, round: u32, open: usize },
    #[error("node {node} has no unpaid completed task in round {round} of job {job}")]
    NothingToClaim { node: u32, job: u64, round: u32 },
    #[error("round {round} of job {job} counts as abandoned after {after}, and it is {now}")]
    NotAbandoned { job: u64, round: u32, after: u64, now: u64 },

    #[error(
        "the challenge window of round {round} of job {job} ended at {until}, and it is {now}"
    )]
    WindowOver { job: u64, round: u32, until: u64, now: u64 },
    #[error("index {index} is not of the {leaf_count} leaves")]
    NoSuchLeaf { index: u32, leaf_count: u32 },
    #[error("a challenge costs exactly {expected}, found {found}")]
    WrongBond { found: Uint128, expected: Uint128 },
    #[error("index {index} of round {round} of job {job} was already challenged")]
    AlreadyChallenged { job: u64, round: u32, index: u32 },
    #[error("round {round} of job {job} has {max} open challenges, the most that it may")]
    TooManyChallenges { job: u64, round: u32, max: usize },
    #[error("the proof does not lead from the leaf at index {index} to the root of the round")]
    InvalidProof { index: u32 },
    #[error("index {index} of round {round} of job {job} is not challenged")]
    ChallengeNotFound { job: u64, round: u32, index: u32 },
    #[error("the challenge of index {index} is {}, not open", name(.state))]
    ChallengeDecided { index: u32, state: ChallengeState },
    #[error("the challenge of index {index} could be decided until {until}, and it is {now}: use dismiss_challenge")]
    ChallengeLapsed { index: u32, until: u64, now: u64 },
    #[error("the challenge of index {index} can be dismissed from {from} on, and it is {now}")]
    ChallengePending { index: u32, from: u64, now: u64 },

    #[error("{address} has no credit")]
    NoCredit { address: Addr },
    #[error("{address} is listed twice")]
    AddressListedTwice { address: Addr },
    #[error("{expected} is more than the {found} in the treasury")]
    TreasuryTooSmall { found: Uint128, expected: Uint128 },

    #[error("node {node} is of kind {}, not storage", name(.kind))]
    NotStorage { node: u32, kind: NodeKind },
    #[error("node {node} is {}, not active", name(.status))]
    NodeNotActive { node: u32, status: NodeStatus },
    #[error("node {node} has no room for {found} more CIDs: {used} of {capacity} used")]
    StorageFull { node: u32, found: usize, used: u32, capacity: u32 },
    #[error("node {node} already holds {cid}")]
    AlreadyHeld { node: u32, cid: String },
    #[error("node {node} does not hold {cid}")]
    NotHeld { node: u32, cid: String },
    #[error("the audit of {cid} at node {node} is open until {until}")]
    AuditOpen { node: u32, cid: String, until: u64 },
    #[error("there is no open audit of {cid} at node {node}")]
    NoAudit { node: u32, cid: String },
    #[error("the audit of {cid} at node {node} ended at {until}, and it is {now}")]
    AuditOver { node: u32, cid: String, until: u64, now: u64 },
    #[error(
        "the answer does not prove that node {node} holds {cid}: its SHA-256 is not answer_hash"
    )]
    WrongAnswer { node: u32, cid: String },

    #[error("model {name} belongs to {owner}, not to {sender}")]
    NotModelOwner { name: String, owner: Addr, sender: Addr },
    #[error("model {name} already has a version {version}")]
    ModelExists { name: String, version: u32 },
    #[error("there is no version {version} of model {name}")]
    ModelNotFound { name: String, version: u32 },
    #[error("version {version} of model {name} is deprecated")]
    ModelDeprecated { name: String, version: u32 },

    #[error("cannot migrate from contract {found}, expected {expected}")]
    WrongContract { expected: &'static str, found: String },
    #[error("cannot migrate from version {stored} to {new}: the new version must be higher")]
    NotNewer { stored: String, new: &'static str },
    #[error(
        "cannot migrate from version {stored}: what 0.1 stored has another layout; deploy anew"
    )]
    OldLayout { stored: String },
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
    #[error("the slot was never assigned: use assign_batch")]
    NeverAssigned,
    #[error("the attempt must be {expected}, not {found}")]
    WrongAttempt { expected: u32, found: u32 },
    #[error("the node is not registered")]
    NodeNotRegistered,
    #[error("the node is of kind {}, not compute", name(.kind))]
    WrongKind { kind: NodeKind },
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

fn span(least: &usize, most: &usize) -> String {
    if least == most {
        return least.to_string();
    }
    format!("{least} to {most}")
}
