//! The messages, version 1.

use cosmwasm_schema::{cw_serde, QueryResponses};
use cosmwasm_std::{Binary, Uint128};
use cw_ownable::{cw_ownable_execute, cw_ownable_query};

use crate::state;

#[cw_serde]
pub struct InstantiateMsg {
    pub denom: String,
    pub min_stake: Uint128,
    pub heartbeat_seconds: u64,
    pub challenge_seconds: u64,
    /// The most items that one message may carry; 200 when left out.
    pub max_batch: Option<u32>,
}

#[cw_serde]
pub struct MigrateMsg {}

#[cw_serde]
pub struct AssignItem {
    pub slot: u32,
    pub node: u32,
    pub attempt: u32,
    /// CID of the task's specification.
    pub task: String,
}

#[cw_serde]
pub struct LeaseItem {
    pub slot: u32,
    pub attempt: u32,
}

#[cw_ownable_execute]
#[cw_serde]
pub enum ExecuteMsg {
    /// Registers the sender's node. The funds are its stake.
    RegisterNode { kind: state::NodeKind, capacity: u32, manifest: String },
    /// Changes the sender's node.
    UpdateNode { capacity: Option<u32>, manifest: Option<String> },
    /// Says that the sender's node is there.
    Heartbeat {},
    /// Opens a job. The funds are its escrow.
    CreateJob {
        key: String,
        spec: String,
        dataset: String,
        shards: u32,
        rounds: u32,
        reward: Uint128,
        lease_seconds: u64,
    },
    /// Leases slots of a round to nodes, all or none. By the job's owner.
    AssignBatch { job: u64, round: u32, items: Vec<AssignItem> },
    /// Accepts the results of leases. By the job's owner.
    CompleteBatch { job: u64, round: u32, items: Vec<LeaseItem> },
    /// Ends leases without a result or a penalty. By the job's owner or the node that holds them.
    ReleaseBatch { job: u64, round: u32, items: Vec<LeaseItem> },
    /// Ends up to `limit` leases that are no longer live. By anyone.
    ExpireLeases { job: u64, round: u32, limit: u32, start_after_slot: Option<u32> },
    /// Fixes the outcome of a round and reserves its pay. By the job's owner.
    SubmitRound {
        job: u64,
        round: u32,
        root: Binary,
        leaf_count: u32,
        checkpoint: String,
        evidence: String,
        per_node: Vec<state::Share>,
    },
    /// Credits the nodes of a submitted round after the challenge window. By anyone.
    Settle { job: u64, round: u32 },
    /// Ends a job and credits its owner with the free rest of the escrow.
    CloseJob { job: u64 },
    /// Sends the sender its credit.
    Withdraw {},
    /// Names a result of a job. By the job's owner; a name belongs to its first registrant.
    RegisterModel { name: String, version: u32, cid: String, job: u64, parent: Option<String> },
}

/// Lists are sorted by key; `limit` is 30 when left out and at most 100.
#[cw_ownable_query]
#[cw_serde]
#[derive(QueryResponses)]
pub enum QueryMsg {
    #[returns(state::Config)]
    Config {},
    #[returns(state::Node)]
    Node { id: u32 },
    #[returns(Option<state::Node>)]
    NodeOf { owner: String },
    #[returns(Vec<state::Node>)]
    Nodes { start_after: Option<u32>, limit: Option<u32> },
    #[returns(state::Job)]
    Job { id: u64 },
    #[returns(Option<state::Job>)]
    JobOf { owner: String, key: String },
    #[returns(Vec<state::Job>)]
    Jobs { start_after: Option<u64>, limit: Option<u32> },
    #[returns(Option<LeaseAnswer>)]
    Lease { job: u64, round: u32, slot: u32 },
    #[returns(Vec<LeaseAnswer>)]
    Leases { job: u64, round: u32, start_after: Option<u32>, limit: Option<u32> },
    /// The active leases of a node; `start_after` is [job, round, slot].
    #[returns(Vec<LeaseAnswer>)]
    LeasesOfNode { node: u32, start_after: Option<(u64, u32, u32)>, limit: Option<u32> },
    #[returns(Option<state::Round>)]
    Round { job: u64, round: u32 },
    #[returns(Uint128)]
    Credit { address: String },
    #[returns(state::Totals)]
    Totals {},
    #[returns(state::Model)]
    Model { name: String, version: u32 },
    /// The models, or those of one name; `start_after` is [name, version].
    #[returns(Vec<state::Model>)]
    Models { name: Option<String>, start_after: Option<(String, u32)>, limit: Option<u32> },
}

#[cw_serde]
pub struct LeaseAnswer {
    pub job: u64,
    pub round: u32,
    pub slot: u32,
    pub node: u32,
    pub attempt: u32,
    pub until: u64,
    pub task: String,
    pub state: state::LeaseState,
    /// Active, not past its deadline, and its node is heard of.
    pub live: bool,
}
