//! What anybody may ask of leases.

use cosmwasm_std::{Deps, Env, Order};
use cw_storage_plus::Bound;

use super::page;
use crate::error::ContractError;
use crate::lease::Leases;
use crate::msg::LeaseAnswer;
use crate::state::{Batch, Lease, LeaseState, CONFIG, JOBS, PAGES, PAGE_SLOTS, WORK};

pub fn lease(
    deps: Deps,
    env: Env,
    job: u64,
    round: u32,
    slot: u32,
) -> Result<Option<LeaseAnswer>, ContractError> {
    let Some(mut leases) = leases_of(deps, &env, job, round)? else { return Ok(None) };
    let found = leases.find(deps.storage, slot)?;
    found.map(|found| answer(deps, &mut leases, slot, found)).transpose()
}

pub fn leases(
    deps: Deps,
    env: Env,
    job: u64,
    round: u32,
    start_after: Option<u32>,
    limit: Option<u32>,
) -> Result<Vec<LeaseAnswer>, ContractError> {
    let Some(mut leases) = leases_of(deps, &env, job, round)? else { return Ok(vec![]) };
    let mut answers = vec![];
    collect(deps, &mut leases, start_after, page(limit), &mut answers, |_| true)?;
    Ok(answers)
}

/// The active ones.
pub fn leases_of_node(
    deps: Deps,
    env: Env,
    node: u32,
    start_after: Option<(u64, u32, u32)>,
    limit: Option<u32>,
) -> Result<Vec<LeaseAnswer>, ContractError> {
    let limit = page(limit);
    let from = start_after.map(|(job, round, _)| Bound::inclusive((job, round)));
    let mut answers = vec![];
    for entry in WORK.prefix(node).range(deps.storage, from, None, Order::Ascending) {
        let ((job, round), work) = entry?;
        if answers.len() >= limit {
            break;
        }
        if work.active == 0 {
            continue;
        }
        let Some(mut leases) = leases_of(deps, &env, job, round)? else { continue };
        let after = start_after.filter(|last| (last.0, last.1) == (job, round)).map(|last| last.2);
        collect(deps, &mut leases, after, limit, &mut answers, |lease| {
            lease.node == node && lease.state == LeaseState::Active
        })?;
    }
    Ok(answers)
}

fn leases_of(deps: Deps, env: &Env, job: u64, round: u32) -> Result<Option<Leases>, ContractError> {
    if !JOBS.has(deps.storage, job) {
        return Ok(None);
    }
    let config = CONFIG.load(deps.storage)?;
    Leases::load(deps.storage, env, &config, job, round).map(Some)
}

/// Adds the leases of a round that are wanted, in slot order, until there are `limit` answers.
fn collect(
    deps: Deps,
    leases: &mut Leases,
    start_after: Option<u32>,
    limit: usize,
    answers: &mut Vec<LeaseAnswer>,
    is_wanted: impl Fn(&Lease) -> bool,
) -> Result<(), ContractError> {
    let first = start_after.map_or(0, |slot| slot.saturating_add(1));
    let from = Some(Bound::inclusive(first / PAGE_SLOTS));
    let pages = PAGES.prefix((leases.id, leases.round));
    for number in pages.keys(deps.storage, from, None, Order::Ascending) {
        let start = number?.saturating_mul(PAGE_SLOTS);
        for slot in start.max(first)..start.saturating_add(PAGE_SLOTS) {
            if answers.len() >= limit {
                return Ok(());
            }
            if let Some(found) = leases.find(deps.storage, slot)?.filter(&is_wanted) {
                answers.push(answer(deps, leases, slot, found)?);
            }
        }
    }
    Ok(())
}

fn answer(
    deps: Deps,
    leases: &mut Leases,
    slot: u32,
    found: Lease,
) -> Result<LeaseAnswer, ContractError> {
    let live = leases.is_live(deps.storage, &found)?;
    let Batch { plan, until } = leases.batch(deps.storage, found.batch)?.clone();
    let Lease { node, attempt, state, .. } = found;
    let (job, round) = (leases.id, leases.round);
    Ok(LeaseAnswer { job, round, slot, node, attempt, until, plan, state, live })
}
