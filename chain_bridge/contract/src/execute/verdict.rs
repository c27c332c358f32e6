//! Challenges are decided, and bad results cost their nodes.

use cosmwasm_std::{DepsMut, Env, Event, MessageInfo, Response, Storage, Uint128};

use super::challenge::response;
use crate::books::{self, Pot};
use crate::checks;
use crate::division::scale;
use crate::error::ContractError;
use crate::fleet::{Fleet, FRAUD};
use crate::state::{Challenge, ChallengeState, Node, Round, CHALLENGES, CONFIG, ROUNDS, WHOLE_BPS};

pub fn resolve_challenge(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    job: u64,
    round: u32,
    index: u32,
    upheld: bool,
) -> Result<Response, ContractError> {
    cw_ownable::assert_owner(deps.storage, &info.sender)?;
    let (mut submitted, challenge) = open_challenge(deps.storage, job, round, index)?;
    let now = env.block.time.seconds();
    if now >= challenge.until {
        return Err(ContractError::ChallengeLapsed { index, until: challenge.until, now });
    }
    let response = response("resolve_challenge", job, round, index);
    if !upheld {
        books::forfeit(deps.storage, Pot::Stake, challenge.bond)?;
        close(deps.storage, (job, round, index), submitted, challenge, ChallengeState::Rejected)?;
        return Ok(response.add_attribute("verdict", "rejected"));
    }
    let node = challenge.node;
    let slashed = punish(deps.storage, now, job, node)?;
    strike(&mut submitted, node);
    let bond = [(challenge.challenger.clone(), challenge.bond)];
    books::credit(deps.storage, Pot::Stake, &bond)?;
    close(deps.storage, (job, round, index), submitted, challenge, ChallengeState::Upheld)?;
    Ok(response
        .add_attribute("verdict", "upheld")
        .add_attribute("node_id", node.to_string())
        .add_event(slashed))
}

pub fn dismiss_challenge(
    deps: DepsMut,
    env: Env,
    job: u64,
    round: u32,
    index: u32,
) -> Result<Response, ContractError> {
    let (submitted, challenge) = open_challenge(deps.storage, job, round, index)?;
    let (now, from) = (env.block.time.seconds(), challenge.until);
    if now < from {
        return Err(ContractError::ChallengePending { index, from, now });
    }
    let bond = [(challenge.challenger.clone(), challenge.bond)];
    books::credit(deps.storage, Pot::Stake, &bond)?;
    close(deps.storage, (job, round, index), submitted, challenge, ChallengeState::Dismissed)?;
    Ok(response("dismiss_challenge", job, round, index).add_attribute("verdict", "dismissed"))
}

fn open_challenge(
    storage: &dyn Storage,
    job: u64,
    round: u32,
    index: u32,
) -> Result<(Round, Challenge), ContractError> {
    let submitted = checks::unsettled(storage, job, round)?;
    let challenge = CHALLENGES
        .may_load(storage, (job, round, index))?
        .filter(|challenge| challenge.submission == submitted.submission)
        .ok_or(ContractError::ChallengeNotFound { job, round, index })?;
    if challenge.state != ChallengeState::Open {
        return Err(ContractError::ChallengeDecided { index, state: challenge.state });
    }
    Ok((submitted, challenge))
}

fn close(
    storage: &mut dyn Storage,
    (job, round, index): (u64, u32, u32),
    mut submitted: Round,
    mut challenge: Challenge,
    state: ChallengeState,
) -> Result<(), ContractError> {
    challenge.state = state;
    CHALLENGES.save(storage, (job, round, index), &challenge)?;
    submitted.open.retain(|open| *open != index);
    Ok(ROUNDS.save(storage, (job, round), &submitted)?)
}

/// Takes reputation and stake of a node. The owner of the job gets up to what the task was to cost.
fn punish(
    storage: &mut dyn Storage,
    now: u64,
    job: u64,
    node: u32,
) -> Result<Event, ContractError> {
    let config = CONFIG.load(storage)?;
    let job = checks::load_job(storage, job)?;
    let mut fleet = Fleet::new(&config, now);
    fleet.blame(storage, node, FRAUD)?;
    let amount = slash(fleet.node_mut(storage, node)?, config.slash_bps)?;
    fleet.save(storage)?;
    let to_owner = amount.min(job.reward);
    let to_treasury = amount.checked_sub(to_owner)?;
    books::credit(storage, Pot::Stake, &[(job.owner, to_owner)])?;
    books::forfeit(storage, Pot::Stake, to_treasury)?;
    Ok(Event::new("slash")
        .add_attribute("node_id", node.to_string())
        .add_attribute("amount", amount)
        .add_attribute("to_owner", to_owner)
        .add_attribute("to_treasury", to_treasury))
}

/// Takes a part of what a node has at stake, first what it stakes now, then what unbonds, the oldest first.
fn slash(node: &mut Node, bps: u32) -> Result<Uint128, ContractError> {
    let mut whole = node.stake;
    for part in &node.unbonding {
        whole = whole.checked_add(part.amount)?;
    }
    let amount = scale(whole, bps, WHOLE_BPS);
    let mut left = amount;
    let places = node.unbonding.iter_mut().map(|part| &mut part.amount);
    for place in std::iter::once(&mut node.stake).chain(places) {
        let taken = left.min(*place);
        *place = place.checked_sub(taken)?;
        left = left.checked_sub(taken)?;
    }
    node.unbonding.retain(|part| !part.amount.is_zero());
    Ok(amount)
}

fn strike(submitted: &mut Round, node: u32) {
    match submitted.struck.iter_mut().find(|struck| struck.0 == node) {
        Some(struck) => struck.1 = struck.1.saturating_add(1),
        None => submitted.struck.push((node, 1)),
    }
}
