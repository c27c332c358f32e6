//! What the contract stores. Keys are short because each stored byte costs gas.

use cosmwasm_schema::cw_serde;
use cosmwasm_std::{Addr, Binary, Empty, Uint128};
use cw_storage_plus::{Item, Map};

pub const START_REPUTATION: u32 = 100;
pub const MAX_REPUTATION: u32 = 1000;

#[cw_serde]
pub struct Config {
    pub denom: String,
    pub min_stake: Uint128,
    /// A node is heard of until this long after its last heartbeat.
    pub heartbeat_seconds: u64,
    /// A round can be settled this long after its submission.
    pub challenge_seconds: u64,
    /// The most items that one message may carry.
    pub max_batch: u32,
}

#[cw_serde]
#[derive(Copy)]
pub enum NodeKind {
    Compute,
    Storage,
}

#[cw_serde]
#[derive(Copy)]
pub enum NodeStatus {
    Active,
    /// Its reputation is spent.
    Jailed,
    Retired,
}

#[cw_serde]
pub struct Node {
    pub id: u32,
    pub owner: Addr,
    pub kind: NodeKind,
    /// How many leases it may hold at once.
    pub capacity: u32,
    /// How many active leases it holds.
    pub used: u32,
    pub stake: Uint128,
    pub reputation: u32,
    /// Unix seconds.
    pub last_seen: u64,
    pub status: NodeStatus,
    /// CID of its hardware manifest.
    pub manifest: String,
}

#[cw_serde]
#[derive(Copy)]
pub enum JobState {
    Open,
    Closed,
}

#[cw_serde]
pub struct Job {
    pub id: u64,
    pub owner: Addr,
    pub key: String,
    /// CID of the job's specification.
    pub spec: String,
    /// CID of the dataset's manifest.
    pub dataset: String,
    /// Training slots of a round; one evaluation slot follows them.
    pub shards: u32,
    pub rounds: u32,
    /// What one completed task earns.
    pub reward: Uint128,
    pub deposited: Uint128,
    pub reserved: Uint128,
    pub paid: Uint128,
    pub refunded: Uint128,
    pub lease_seconds: u64,
    pub state: JobState,
}

#[cw_serde]
#[derive(Copy)]
pub enum LeaseState {
    Active,
    Completed,
    Released,
    Expired,
}

#[cw_serde]
pub struct Lease {
    pub node: u32,
    pub attempt: u32,
    /// Unix seconds.
    pub until: u64,
    /// CID of the task's specification.
    pub task: String,
    pub state: LeaseState,
}

/// How much of a round is done, so that a submission can be checked without reading every lease.
#[cw_serde]
#[derive(Default)]
pub struct Tally {
    pub completed: u32,
    pub nodes: u32,
}

#[cw_serde]
pub struct Share {
    pub node: u32,
    pub count: u32,
}

#[cw_serde]
pub struct Round {
    pub job: u64,
    pub round: u32,
    /// Root of the Merkle tree over the round's results: 32 bytes.
    pub root: Binary,
    pub leaf_count: u32,
    pub checkpoint: String,
    pub evidence: String,
    pub per_node: Vec<Share>,
    /// Unix seconds.
    pub submitted_at: u64,
    /// Unix seconds; null until then.
    pub settled_at: Option<u64>,
}

/// The bank balance of the contract is escrow + stake + credit + treasury.
#[cw_serde]
#[derive(Default)]
pub struct Totals {
    pub escrow: Uint128,
    pub stake: Uint128,
    pub credit: Uint128,
    pub treasury: Uint128,
    pub withdrawn: Uint128,
}

#[cw_serde]
pub struct Model {
    pub name: String,
    pub version: u32,
    pub cid: String,
    pub job: u64,
    pub parent: Option<String>,
}

/// (job, round, slot)
pub type LeaseKey = (u64, u32, u32);

pub const CONFIG: Item<Config> = Item::new("c");
pub const TOTALS: Item<Totals> = Item::new("t");

pub const LAST_NODE: Item<u32> = Item::new("ln");
pub const NODES: Map<u32, Node> = Map::new("n");
pub const NODE_OF: Map<&Addr, u32> = Map::new("no");

pub const LAST_JOB: Item<u64> = Item::new("lj");
pub const JOBS: Map<u64, Job> = Map::new("j");
pub const JOB_OF: Map<(&Addr, &str), u64> = Map::new("jo");

pub const LEASES: Map<LeaseKey, Lease> = Map::new("l");
/// The active leases of each node.
pub const LEASES_OF: Map<(u32, LeaseKey), Empty> = Map::new("lo");

/// Tasks completed, by (job, round, node).
pub const DONE: Map<(u64, u32, u32), u32> = Map::new("d");
/// By (job, round).
pub const TALLIES: Map<(u64, u32), Tally> = Map::new("dt");
/// By (job, round).
pub const ROUNDS: Map<(u64, u32), Round> = Map::new("r");

pub const CREDIT: Map<&Addr, Uint128> = Map::new("cr");

pub const MODELS: Map<(&str, u32), Model> = Map::new("m");
pub const MODEL_OWNER: Map<&str, Addr> = Map::new("mo");
