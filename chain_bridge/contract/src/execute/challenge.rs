//! Results of a submitted round are disputed.

use cosmwasm_schema::serde::Deserialize;
use cosmwasm_std::{from_json, Binary, DepsMut, Env, MessageInfo, Response, Storage, Uint128};
use cw_utils::{must_pay, nonpayable};

use crate::books::{self, Pot};
use crate::checks;
use crate::error::ContractError;
use crate::lease::Leases;
use crate::merkle;
use crate::state::{
    Challenge, ChallengeState, Config, LeaseState, Round, CHALLENGES, CONFIG, ROUNDS,
};

const MAX_OPEN: usize = 20;

/// What somebody holds against a result.
pub struct Dispute {
    pub job: u64,
    pub round: u32,
    pub index: u32,
    pub leaf: Binary,
    pub proof: Vec<Binary>,
    pub evidence: String,
}

/// A leaf of a round's tree. Fields that the contract does not judge are passed over.
#[derive(Deserialize)]
#[serde(crate = "cosmwasm_schema::serde")]
struct Leaf {
    checkpoint: String,
    contract: String,
    index: u32,
    job_id: u64,
    leaf_count: u32,
    record: Record,
    round: u32,
}

#[derive(Deserialize)]
#[serde(crate = "cosmwasm_schema::serde")]
struct Record {
    attempt: u32,
    node_id: u32,
    slot: u32,
}

pub fn challenge(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    dispute: Dispute,
) -> Result<Response, ContractError> {
    let Dispute { job, round, index, leaf, proof, evidence } = dispute;
    let config = CONFIG.load(deps.storage)?;
    let bond = paid_bond(&info, &config)?;
    checks::text("evidence", &evidence)?;
    let mut submitted = checks::unsettled(deps.storage, job, round)?;
    let (now, until) = (env.block.time.seconds(), submitted.settle_from);
    if now >= until {
        return Err(ContractError::WindowOver { job, round, until, now });
    }
    let leaf_count = submitted.leaf_count;
    if index >= leaf_count {
        return Err(ContractError::NoSuchLeaf { index, leaf_count });
    }
    let earlier = CHALLENGES.may_load(deps.storage, (job, round, index))?;
    if earlier.is_some_and(|earlier| earlier.submission == submitted.submission) {
        return Err(ContractError::AlreadyChallenged { job, round, index });
    }
    if !merkle::is_proven(&submitted.root, &leaf, index, leaf_count, &proof) {
        return Err(ContractError::InvalidProof { index });
    }

    let response = response("challenge", job, round, index).add_attribute("evidence", &evidence);
    books::deposit(deps.storage, Pot::Stake, bond)?;
    let mut leases = Leases::load(deps.storage, &env, &config, job, round)?;
    let Some(Record { slot, node_id: node, .. }) =
        true_record(deps.storage, &env, &mut leases, &submitted, index, &leaf)?
    else {
        books::credit(deps.storage, Pot::Stake, &[(info.sender, bond)])?;
        let dismissed = void(deps.storage, job, round, &submitted)?;
        return Ok(response
            .add_attribute("verdict", "void")
            .add_attribute("dismissed", dismissed.to_string()));
    };
    if submitted.open.len() >= MAX_OPEN {
        return Err(ContractError::TooManyChallenges { job, round, max: MAX_OPEN });
    }
    let until = now.saturating_add(config.dispute_seconds);
    let challenge = Challenge {
        submission: submitted.submission,
        slot,
        node,
        challenger: info.sender,
        bond,
        evidence,
        until,
        state: ChallengeState::Open,
    };
    CHALLENGES.save(deps.storage, (job, round, index), &challenge)?;
    submitted.open.push(index);
    ROUNDS.save(deps.storage, (job, round), &submitted)?;
    Ok(response
        .add_attribute("verdict", "open")
        .add_attribute("node_id", node.to_string())
        .add_attribute("slot", slot.to_string())
        .add_attribute("until", until.to_string()))
}

fn paid_bond(info: &MessageInfo, config: &Config) -> Result<Uint128, ContractError> {
    let expected = config.challenge_bond;
    if expected.is_zero() {
        nonpayable(info)?;
        return Ok(expected);
    }
    let found = must_pay(info, &config.denom)?;
    if found != expected {
        return Err(ContractError::WrongBond { found, expected });
    }
    Ok(found)
}

/// The record of a leaf, if the leaf has the form of one and agrees with what the chain knows.
fn true_record(
    storage: &dyn Storage,
    env: &Env,
    leases: &mut Leases,
    submitted: &Round,
    index: u32,
    leaf: &[u8],
) -> Result<Option<Record>, ContractError> {
    let Ok(leaf) = from_json::<Leaf>(leaf) else { return Ok(None) };
    let is_of_round = leaf.contract == env.contract.address.as_str()
        && (leaf.job_id, leaf.round) == (leases.id, leases.round)
        && (leaf.index, leaf.leaf_count) == (index, submitted.leaf_count)
        && leaf.checkpoint == submitted.checkpoint;
    if !is_of_round {
        return Ok(None);
    }
    let record = leaf.record;
    let is_completed = leases.find(storage, record.slot)?.is_some_and(|lease| {
        lease.state == LeaseState::Completed
            && (lease.node, lease.attempt) == (record.node_id, record.attempt)
    });
    Ok(is_completed.then_some(record))
}

/// Removes a submission that contradicts the chain. Its open challenges, whose number it returns, end with it.
fn void(
    storage: &mut dyn Storage,
    job: u64,
    round: u32,
    submitted: &Round,
) -> Result<usize, ContractError> {
    for &index in &submitted.open {
        let mut challenge = CHALLENGES.load(storage, (job, round, index))?;
        challenge.state = ChallengeState::Dismissed;
        CHALLENGES.save(storage, (job, round, index), &challenge)?;
        books::credit(storage, Pot::Stake, &[(challenge.challenger, challenge.bond)])?;
    }
    ROUNDS.remove(storage, (job, round));
    Ok(submitted.open.len())
}

pub fn response(action: &str, job: u64, round: u32, index: u32) -> Response {
    Response::new()
        .add_attribute("action", action)
        .add_attribute("job_id", job.to_string())
        .add_attribute("round", round.to_string())
        .add_attribute("index", index.to_string())
}
