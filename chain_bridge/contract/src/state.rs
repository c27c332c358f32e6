//! What the contract stores. Each stored byte costs 30 gas, so keys are short, what changes often lies apart from
//! what does not, and the records of a thousand leases are tuples on shared pages.

use cosmwasm_schema::cw_serde;
use cosmwasm_std::{Addr, Binary, Empty, Uint128};
use cw_storage_plus::{Item, Map};

pub use crate::rows::{Account, Batch, Lease, Page, Progress, Standing, Work};

pub const START_REPUTATION: u32 = 100;
pub const MAX_REPUTATION: u32 = 1000;
/// What a node has after its time in jail.
pub const PAROLE_REPUTATION: u32 = 10;
/// All of a round's pool, in basis points.
pub const WHOLE_BPS: u32 = 10_000;
/// Neighbouring slots share one stored page.
pub const PAGE_SLOTS: u32 = 50;
pub const MAX_SHARDS: u32 = 10_000;
/// Parts of one node's stake that may be unbonding at once.
pub const MAX_UNBONDING: usize = 8;

#[cw_serde]
pub struct Config {
    pub denom: String,
    pub min_stake: Uint128,
    /// A node is heard of until this long after its last heartbeat.
    pub heartbeat_seconds: u64,
    /// A round can be settled this long after its submission.
    pub challenge_seconds: u64,
    /// What a challenge must bring. Default 0.
    pub challenge_bond: Uint128,
    /// A challenge that is not decided by then may be dismissed. Default 1 day.
    pub dispute_seconds: u64,
    /// Stake is claimable this long after its withdrawal, at least challenge_seconds + dispute_seconds, so that it
    /// cannot escape a slash. Default 7 days, or that sum if it is longer.
    pub unbonding_seconds: u64,
    /// Default 1 hour.
    pub jail_seconds: u64,
    /// Nodes may claim completed tasks of a round that is not submitted by then. Default 7 days.
    pub abandon_seconds: u64,
    /// An audit must be answered within this time. Default 1 hour.
    pub audit_seconds: u64,
    /// What a proven bad result costs of its node's stake, in basis points. Default 1,000.
    pub slash_bps: u32,
    /// The most items that one message may carry. Default and maximum 200.
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

/// What of a node changes seldom.
#[cw_serde]
pub struct Node {
    pub owner: Addr,
    pub kind: NodeKind,
    pub stake: Uint128,
    pub unbonding: Vec<Unbonding>,
    pub jailed_until: u64,
    pub manifest: String,
    pub public_key: Option<Binary>,
}

#[cw_serde]
pub struct Unbonding {
    pub amount: Uint128,
    /// Unix seconds.
    pub release_at: u64,
}

#[cw_serde]
#[derive(Copy)]
pub enum JobState {
    Open,
    /// Nothing new is leased; what was leased may end and be paid.
    Cancelled,
    Closed,
}

#[cw_serde]
pub struct Job {
    pub owner: Addr,
    pub key: String,
    pub spec: String,
    pub dataset: String,
    pub shards: u32,
    pub rounds: u32,
    pub reward: Uint128,
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

/// The outcome of a round.
#[cw_serde]
pub struct Round {
    /// Which submission of the round this is.
    pub submission: u32,
    pub root: Binary,
    pub leaf_count: u32,
    pub checkpoint: String,
    pub evidence: String,
    /// [node, count, bps]
    pub per_node: Vec<(u32, u32, u32)>,
    pub submitted_at: u64,
    pub settle_from: u64,
    pub settled_at: Option<u64>,
    /// The indices of its open challenges.
    pub open: Vec<u32>,
    /// [node, tasks]
    pub struck: Vec<(u32, u32)>,
}

/// The bank balance of the contract is escrow + stake + credit + treasury.
#[cw_serde]
#[derive(Default)]
pub struct Totals {
    pub escrow: Uint128,
    /// Stakes, what of them is unbonding, and the bonds of open challenges.
    pub stake: Uint128,
    pub credit: Uint128,
    pub treasury: Uint128,
    pub withdrawn: Uint128,
}

#[cw_serde]
#[derive(Copy)]
pub enum ChallengeState {
    Open,
    Upheld,
    Rejected,
    Dismissed,
}

#[cw_serde]
pub struct Challenge {
    /// The submission that it disputes.
    pub submission: u32,
    pub slot: u32,
    pub node: u32,
    pub challenger: Addr,
    pub bond: Uint128,
    pub evidence: String,
    pub until: u64,
    pub state: ChallengeState,
}

/// Content that a storage node says it holds.
#[cw_serde]
pub struct Holding {
    /// Unix seconds.
    pub since: u64,
    /// Unix seconds of the last audit that it passed.
    pub proven_at: Option<u64>,
}

#[cw_serde]
pub struct Audit {
    pub nonce: Binary,
    pub answer_hash: Binary,
    /// Unix seconds.
    pub until: u64,
}

#[cw_serde]
#[derive(Copy)]
pub enum ModelStatus {
    Registered,
    Promoted,
    Deprecated,
}

#[cw_serde]
pub struct Model {
    pub name: String,
    pub version: u32,
    pub cid: String,
    pub job: u64,
    pub parent: Option<String>,
    /// CID of its evaluation.
    pub metrics: Option<String>,
    pub status: ModelStatus,
}

pub const CONFIG: Item<Config> = Item::new("c");
pub const PAUSED: Item<bool> = Item::new("p");
pub const TOTALS: Item<Totals> = Item::new("t");

pub const LAST_NODE: Item<u32> = Item::new("ln");
pub const NODES: Map<u32, Node> = Map::new("n");
pub const STANDING: Map<u32, Standing> = Map::new("s");
pub const NODE_OF: Map<&Addr, u32> = Map::new("no");

pub const LAST_JOB: Item<u64> = Item::new("lj");
pub const JOBS: Map<u64, Job> = Map::new("j");
pub const ACCOUNTS: Map<u64, Account> = Map::new("a");
pub const JOB_OF: Map<(&Addr, &str), u64> = Map::new("jo");
/// The job that a sender's key topped up.
pub const NONCES: Map<(&Addr, &str), u64> = Map::new("k");

/// By (job, round, slot / PAGE_SLOTS).
pub const PAGES: Map<(u64, u32, u32), Page> = Map::new("l");
/// By (job, round, number).
pub const BATCHES: Map<(u64, u32, u32), Batch> = Map::new("b");
/// By (job, round).
pub const PROGRESS: Map<(u64, u32), Progress> = Map::new("d");
/// By (node, (job, round)).
pub const WORK: Map<(u32, (u64, u32)), Work> = Map::new("w");
/// By (job, round).
pub const ROUNDS: Map<(u64, u32), Round> = Map::new("r");
/// By (job, round, index).
pub const CHALLENGES: Map<(u64, u32, u32), Challenge> = Map::new("x");

pub const CREDIT: Map<&Addr, Uint128> = Map::new("cr");

pub const MODELS: Map<(&str, u32), Model> = Map::new("m");
pub const MODEL_OWNER: Map<&str, Addr> = Map::new("mo");
/// By (CID, node).
pub const HOLDINGS: Map<(&str, u32), Holding> = Map::new("h");
/// The same by (node, CID).
pub const HOLDINGS_OF: Map<(u32, &str), Empty> = Map::new("ho");
/// The open audits, by (CID, node).
pub const AUDITS: Map<(&str, u32), Audit> = Map::new("u");
/// The current version of a name.
pub const PROMOTED: Map<&str, u32> = Map::new("mp");
