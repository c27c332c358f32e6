//! The messages, version 2.

use cosmwasm_schema::{cw_serde, QueryResponses};
use cosmwasm_std::{Addr, Binary, Uint128};
use cw_ownable::{cw_ownable_execute, cw_ownable_query};

use crate::state;

/// What is left out takes the default that `state::Config` documents.
#[cw_serde]
pub struct InstantiateMsg {
    pub denom: String,
    pub min_stake: Uint128,
    pub heartbeat_seconds: u64,
    pub challenge_seconds: u64,
    pub challenge_bond: Option<Uint128>,
    pub dispute_seconds: Option<u64>,
    pub unbonding_seconds: Option<u64>,
    pub jail_seconds: Option<u64>,
    pub abandon_seconds: Option<u64>,
    pub audit_seconds: Option<u64>,
    pub slash_bps: Option<u32>,
    pub max_batch: Option<u32>,
}

#[cw_serde]
pub struct MigrateMsg {}

/// The settings that may change later; null leaves one as it is.
#[cw_serde]
#[derive(Default)]
pub struct ConfigChange {
    pub min_stake: Option<Uint128>,
    pub heartbeat_seconds: Option<u64>,
    pub challenge_seconds: Option<u64>,
    pub challenge_bond: Option<Uint128>,
    pub dispute_seconds: Option<u64>,
    pub unbonding_seconds: Option<u64>,
    pub jail_seconds: Option<u64>,
    pub abandon_seconds: Option<u64>,
    pub audit_seconds: Option<u64>,
    pub slash_bps: Option<u32>,
    pub max_batch: Option<u32>,
}

#[cw_serde]
pub struct AssignItem {
    pub slot: u32,
    pub node: u32,
    pub attempt: u32,
}

#[cw_serde]
pub struct LeaseItem {
    pub slot: u32,
    pub attempt: u32,
}

/// A node's tasks in a round, and its part of the round's pool in basis points.
#[cw_serde]
pub struct Share {
    pub node: u32,
    pub count: u32,
    pub bps: u32,
}

/// A heartbeat that its node signed and somebody else brings.
#[cw_serde]
pub struct SignedBeat {
    pub node: u32,
    /// Unix seconds by the node's clock.
    pub at: u64,
    /// 64 bytes over SHA-256 of `atlas-heartbeat:CONTRACT:NODE:AT`, by the node's public key.
    pub signature: Binary,
}

#[cw_ownable_execute]
#[cw_serde]
pub enum ExecuteMsg {
    // Compute
    /// Registers the sender's node, or takes up the retired one again. The funds are its stake.
    /// `public_key`, 33 bytes of secp256k1, lets others bring its signed heartbeats.
    RegisterNode {
        kind: state::NodeKind,
        capacity: u32,
        manifest: String,
        public_key: Option<Binary>,
    },
    /// Changes the sender's node.
    UpdateNode {
        capacity: Option<u32>,
        manifest: Option<String>,
        public_key: Option<Binary>,
    },
    /// Adds the funds to the stake of the sender's node.
    AddStake {},
    /// Begins to unbond a part of the stake of the sender's node; at least `min_stake` stays.
    WithdrawStake {
        amount: Uint128,
    },
    /// Turns what has unbonded into the sender's credit.
    ClaimStake {},
    /// Retires the sender's node, which must hold no lease and no content; all its stake unbonds.
    DeregisterNode {},
    /// Frees the sender's node after its time in jail. The funds are new stake, at least `min_stake`.
    Unjail {},

    // Health
    /// Says that the sender's node is there.
    Heartbeat {},
    /// Brings heartbeats that nodes have signed, all or none. By anyone.
    HeartbeatBatch {
        beats: Vec<SignedBeat>,
    },

    // Jobs
    /// Opens a job. The funds are its escrow. A key serves its sender once.
    CreateJob {
        key: String,
        spec: String,
        dataset: String,
        shards: u32,
        rounds: u32,
        reward: Uint128,
        lease_seconds: u64,
    },
    /// Adds the funds to a job's escrow. By its owner; a key serves its sender once.
    TopUp {
        job: u64,
        key: String,
    },
    /// Ends a job early: nothing new is leased, what is free is refunded, what was leased may still end and be paid.
    CancelJob {
        job: u64,
    },
    /// Ends a job that has nothing reserved, and credits its owner with the free rest of the escrow.
    CloseJob {
        job: u64,
    },

    // Sharding
    /// Leases slots of a round to nodes, all or none. By the job's owner. `plan` is the CID of the list of tasks.
    AssignBatch {
        job: u64,
        round: u32,
        plan: String,
        items: Vec<AssignItem>,
    },
    /// Ends the active leases of the slots, live ones without a penalty, and leases them anew, all or none.
    /// By the job's owner.
    ReassignBatch {
        job: u64,
        round: u32,
        plan: String,
        items: Vec<AssignItem>,
    },
    /// Accepts the results of leases. By the job's owner.
    CompleteBatch {
        job: u64,
        round: u32,
        items: Vec<LeaseItem>,
    },
    /// Ends leases without a result or a penalty. By the job's owner or the node that holds them.
    ReleaseBatch {
        job: u64,
        round: u32,
        items: Vec<LeaseItem>,
    },

    // Recovery
    /// Ends up to `limit` leases that are no longer live. By anyone.
    ExpireLeases {
        job: u64,
        round: u32,
        limit: u32,
        start_after_slot: Option<u32>,
    },
    /// Takes back the submission of a round that is not settled and not challenged. By the job's owner.
    RollbackRound {
        job: u64,
        round: u32,
    },

    // Results and rewards
    /// Fixes the outcome of a round. By the job's owner.
    SubmitRound {
        job: u64,
        round: u32,
        root: Binary,
        leaf_count: u32,
        checkpoint: String,
        evidence: String,
        per_node: Vec<Share>,
    },
    /// Disputes one result of a submitted round: `leaf` is in its tree at `index`. By anyone; the funds are the bond.
    Challenge {
        job: u64,
        round: u32,
        index: u32,
        leaf: Binary,
        proof: Vec<Binary>,
        evidence: String,
    },
    /// Decides a challenge. By the contract's owner.
    ResolveChallenge {
        job: u64,
        round: u32,
        index: u32,
        upheld: bool,
    },
    /// Ends a challenge that nobody decided in time and returns its bond. By anyone.
    DismissChallenge {
        job: u64,
        round: u32,
        index: u32,
    },
    /// Credits the nodes of a submitted round after the challenge window. By anyone.
    Settle {
        job: u64,
        round: u32,
    },
    /// Credits the sender's node for its completed tasks of a round that its owner never submitted.
    ClaimAbandoned {
        job: u64,
        round: u32,
    },
    /// Sends the sender its credit.
    Withdraw {},
    /// Sends each of these addresses its credit. By anyone, who pays the fee.
    WithdrawFor {
        addresses: Vec<String>,
    },

    // Storage
    /// Says that the sender's storage node holds these CIDs.
    AnnounceStorage {
        cids: Vec<String>,
    },
    /// Says that it does not hold them any more.
    DropStorage {
        cids: Vec<String>,
    },
    /// Asks a storage node to prove that it holds a CID: it must answer with the `answer` whose SHA-256 is
    /// `answer_hash`, where answer = SHA-256(nonce ‖ content). By the contract's owner.
    OpenAudit {
        cid: String,
        node: u32,
        nonce: Binary,
        answer_hash: Binary,
    },
    /// Answers an audit of the sender's node.
    AnswerAudit {
        cid: String,
        answer: Binary,
    },
    /// Ends an audit without an answer in time: the holding goes, and reputation with it. By anyone.
    ExpireAudit {
        cid: String,
        node: u32,
    },

    // Models
    /// Names a result of a job. By the job's owner; a name belongs to its first registrant.
    RegisterModel {
        name: String,
        version: u32,
        cid: String,
        job: u64,
        parent: Option<String>,
        metrics: Option<String>,
    },
    /// Makes a version the current one of its name. By the name's owner.
    PromoteModel {
        name: String,
        version: u32,
    },
    /// Advises against a version; it is no longer current. By the name's owner.
    DeprecateModel {
        name: String,
        version: u32,
    },

    // Administration, by the contract's owner
    UpdateConfig {
        change: ConfigChange,
    },
    /// Stops all but heartbeats, the ending of leases, stake claims and withdrawals.
    Pause {
        paused: bool,
    },
    WithdrawTreasury {
        to: String,
        amount: Uint128,
    },
}

/// Lists are sorted by key; `limit` is 30 when left out and at most 100.
#[cw_ownable_query]
#[cw_serde]
#[derive(QueryResponses)]
pub enum QueryMsg {
    #[returns(state::Config)]
    Config {},
    #[returns(bool)]
    Paused {},
    #[returns(NodeAnswer)]
    Node { id: u32 },
    #[returns(Option<NodeAnswer>)]
    NodeOf { owner: String },
    #[returns(Vec<NodeAnswer>)]
    Nodes { start_after: Option<u32>, limit: Option<u32> },
    #[returns(JobAnswer)]
    Job { id: u64 },
    #[returns(Option<JobAnswer>)]
    JobOf { owner: String, key: String },
    #[returns(Vec<JobAnswer>)]
    Jobs { start_after: Option<u64>, limit: Option<u32> },
    #[returns(Option<LeaseAnswer>)]
    Lease { job: u64, round: u32, slot: u32 },
    #[returns(Vec<LeaseAnswer>)]
    Leases { job: u64, round: u32, start_after: Option<u32>, limit: Option<u32> },
    /// The active leases of a node; `start_after` is [job, round, slot].
    #[returns(Vec<LeaseAnswer>)]
    LeasesOfNode { node: u32, start_after: Option<(u64, u32, u32)>, limit: Option<u32> },
    #[returns(Option<RoundAnswer>)]
    Round { job: u64, round: u32 },
    #[returns(Vec<RoundAnswer>)]
    Rounds { job: u64, start_after: Option<u32>, limit: Option<u32> },
    #[returns(Option<ChallengeAnswer>)]
    Challenge { job: u64, round: u32, index: u32 },
    #[returns(Vec<ChallengeAnswer>)]
    Challenges { job: u64, round: u32, start_after: Option<u32>, limit: Option<u32> },
    #[returns(Uint128)]
    Credit { address: String },
    #[returns(state::Totals)]
    Totals {},
    /// Who holds a CID, by node.
    #[returns(Vec<HoldingAnswer>)]
    Holders { cid: String, start_after: Option<u32>, limit: Option<u32> },
    /// What a storage node holds, by CID.
    #[returns(Vec<HoldingAnswer>)]
    Holdings { node: u32, start_after: Option<String>, limit: Option<u32> },
    #[returns(state::Model)]
    Model { name: String, version: u32 },
    /// The models, or those of one name; `start_after` is [name, version].
    #[returns(Vec<state::Model>)]
    Models { name: Option<String>, start_after: Option<(String, u32)>, limit: Option<u32> },
    /// The promoted version of a name.
    #[returns(Option<state::Model>)]
    CurrentModel { name: String },
}

#[cw_serde]
pub struct NodeAnswer {
    pub id: u32,
    pub owner: Addr,
    pub kind: state::NodeKind,
    /// How many leases, or held CIDs, it may have at once.
    pub capacity: u32,
    /// How many it has.
    pub used: u32,
    pub stake: Uint128,
    pub unbonding: Vec<state::Unbonding>,
    pub reputation: u32,
    /// Unix seconds.
    pub last_seen: u64,
    pub status: state::NodeStatus,
    /// Unix seconds; 0 when it never was in jail.
    pub jailed_until: u64,
    /// CID of its hardware manifest.
    pub manifest: String,
    pub public_key: Option<Binary>,
}

#[cw_serde]
pub struct JobAnswer {
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
    /// What one completed task brings to its round's pool.
    pub reward: Uint128,
    /// deposited = free + reserved + paid + refunded
    pub deposited: Uint128,
    /// The reward of every active lease and of every completed task that is not settled.
    pub reserved: Uint128,
    pub paid: Uint128,
    pub refunded: Uint128,
    pub lease_seconds: u64,
    pub state: state::JobState,
}

#[cw_serde]
pub struct LeaseAnswer {
    pub job: u64,
    pub round: u32,
    pub slot: u32,
    pub node: u32,
    pub attempt: u32,
    /// Unix seconds.
    pub until: u64,
    /// CID of the list that names the slot's task.
    pub plan: String,
    pub state: state::LeaseState,
    /// Active, not past its deadline, and its node is heard of.
    pub live: bool,
}

#[cw_serde]
pub struct RoundAnswer {
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
    /// Unix seconds: the end of the challenge window.
    pub settle_from: u64,
    /// Unix seconds; null until then.
    pub settled_at: Option<u64>,
    pub open_challenges: u32,
    /// Tasks that upheld challenges have struck, per node: they are not paid.
    pub struck: Vec<(u32, u32)>,
}

#[cw_serde]
pub struct ChallengeAnswer {
    pub job: u64,
    pub round: u32,
    pub index: u32,
    pub slot: u32,
    pub node: u32,
    pub challenger: Addr,
    pub bond: Uint128,
    /// CID of what the challenger found.
    pub evidence: String,
    /// Unix seconds: from then on anyone may dismiss it.
    pub until: u64,
    pub state: state::ChallengeState,
}

#[cw_serde]
pub struct HoldingAnswer {
    pub cid: String,
    pub node: u32,
    /// Unix seconds.
    pub since: u64,
    /// Unix seconds of the last audit that it passed; null before the first.
    pub proven_at: Option<u64>,
    pub audit: Option<state::Audit>,
}
