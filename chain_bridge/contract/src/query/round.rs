//! What anybody may ask of rounds and challenges.

use cosmwasm_std::{Deps, Order, StdResult};
use cw_storage_plus::Bound;

use super::page;
use crate::msg::{ChallengeAnswer, RoundAnswer, Share};
use crate::state::{Challenge, Round, CHALLENGES, PROGRESS, ROUNDS};

pub fn round(deps: Deps, job: u64, round: u32) -> StdResult<Option<RoundAnswer>> {
    Ok(ROUNDS.may_load(deps.storage, (job, round))?.map(|found| round_answer(job, round, found)))
}

pub fn rounds(
    deps: Deps,
    job: u64,
    start_after: Option<u32>,
    limit: Option<u32>,
) -> StdResult<Vec<RoundAnswer>> {
    ROUNDS
        .prefix(job)
        .range(deps.storage, start_after.map(Bound::exclusive), None, Order::Ascending)
        .take(page(limit))
        .map(|entry| entry.map(|(round, found)| round_answer(job, round, found)))
        .collect()
}

fn round_answer(job: u64, round: u32, found: Round) -> RoundAnswer {
    let share = |(node, count, bps)| Share { node, count, bps };
    RoundAnswer {
        job,
        round,
        root: found.root,
        leaf_count: found.leaf_count,
        checkpoint: found.checkpoint,
        evidence: found.evidence,
        per_node: found.per_node.into_iter().map(share).collect(),
        submitted_at: found.submitted_at,
        settle_from: found.settle_from,
        settled_at: found.settled_at,
        open_challenges: found.open.len() as u32,
        struck: found.struck,
    }
}

pub fn challenge(
    deps: Deps,
    job: u64,
    round: u32,
    index: u32,
) -> StdResult<Option<ChallengeAnswer>> {
    let submission = last_submission(deps, job, round)?;
    let found = CHALLENGES.may_load(deps.storage, (job, round, index))?;
    Ok(found
        .filter(|found| found.submission == submission)
        .map(|found| challenge_answer(job, round, index, found)))
}

/// Those of the last submission of a round, unless that was rolled back.
pub fn challenges(
    deps: Deps,
    job: u64,
    round: u32,
    start_after: Option<u32>,
    limit: Option<u32>,
) -> StdResult<Vec<ChallengeAnswer>> {
    let submission = last_submission(deps, job, round)?;
    let is_current = |entry: &StdResult<(u32, Challenge)>| match entry {
        Ok((_, found)) => found.submission == submission,
        Err(_) => true,
    };
    CHALLENGES
        .prefix((job, round))
        .range(deps.storage, start_after.map(Bound::exclusive), None, Order::Ascending)
        .filter(is_current)
        .take(page(limit))
        .map(|entry| entry.map(|(index, found)| challenge_answer(job, round, index, found)))
        .collect()
}

fn last_submission(deps: Deps, job: u64, round: u32) -> StdResult<u32> {
    Ok(PROGRESS.may_load(deps.storage, (job, round))?.unwrap_or_default().submission)
}

fn challenge_answer(job: u64, round: u32, index: u32, found: Challenge) -> ChallengeAnswer {
    let Challenge { slot, node, challenger, bond, evidence, until, state, .. } = found;
    ChallengeAnswer { job, round, index, slot, node, challenger, bond, evidence, until, state }
}
