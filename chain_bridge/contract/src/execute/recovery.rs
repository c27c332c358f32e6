//! What went wrong is undone: leases run out, and submissions are taken back.

use cosmwasm_std::{DepsMut, Env, MessageInfo, Order, Response, StdResult, Storage, Uint128};
use cw_storage_plus::Bound;

use super::compute::own_id;
use super::reward::credit_event;
use crate::books::{self, Pot};
use crate::checks;
use crate::error::ContractError;
use crate::lease::{self, Leases};
use crate::state::{LeaseState, ACCOUNTS, CONFIG, PAGES, PAGE_SLOTS, PROGRESS, ROUNDS, WORK};

/// The most pages of leases that one expire_leases looks at, whatever its limit.
const MAX_PAGES: usize = 20;

/// Looks at leases in slot order until `limit` have expired or MAX_PAGES are seen. If it stopped early, the
/// attribute `last_slot` tells from where to go on.
pub fn expire_leases(
    deps: DepsMut,
    env: Env,
    job: u64,
    round: u32,
    limit: u32,
    start_after_slot: Option<u32>,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    checks::at_least_one("limit", limit == 0)?;
    let limit = limit.min(config.max_batch);
    let mut leases = Leases::load(deps.storage, &env, &config, job, round)?;
    let first = start_after_slot.map_or(0, |slot| slot.saturating_add(1));
    let pages = leased_pages(deps.storage, job, round, first / PAGE_SLOTS)?;

    let mut expired = 0;
    let mut last_slot = None;
    for slot in pages.iter().flat_map(|page| page_slots(*page)).filter(|slot| *slot >= first) {
        let Some(lease) = leases.find(deps.storage, slot)? else { continue };
        if lease.state != LeaseState::Active || leases.is_live(deps.storage, &lease)? {
            continue;
        }
        leases.end(deps.storage, slot, lease, LeaseState::Expired)?;
        expired += 1;
        if expired == limit {
            last_slot = Some(slot);
            break;
        }
    }
    if last_slot.is_none() && pages.len() == MAX_PAGES {
        last_slot = pages.last().and_then(|page| page_slots(*page).last());
    }
    leases.save(deps.storage)?;

    let response = Response::new()
        .add_attribute("action", "expire_leases")
        .add_attribute("job_id", job.to_string())
        .add_attribute("round", round.to_string())
        .add_attribute("expired", expired.to_string());
    Ok(match last_slot {
        Some(slot) => response.add_attribute("last_slot", slot.to_string()),
        None => response,
    })
}

fn leased_pages(storage: &dyn Storage, job: u64, round: u32, first: u32) -> StdResult<Vec<u32>> {
    PAGES
        .prefix((job, round))
        .keys(storage, Some(Bound::inclusive(first)), None, Order::Ascending)
        .take(MAX_PAGES)
        .collect()
}

fn page_slots(page: u32) -> std::ops::Range<u32> {
    let first = page.saturating_mul(PAGE_SLOTS);
    first..first.saturating_add(PAGE_SLOTS)
}

/// The completed tasks stay completed and reserved: the round may be submitted anew.
pub fn rollback_round(
    deps: DepsMut,
    info: MessageInfo,
    job: u64,
    round: u32,
) -> Result<Response, ContractError> {
    checks::job_of_owner(deps.storage, job, &info.sender)?;
    let submitted = checks::unsettled(deps.storage, job, round)?;
    if !submitted.open.is_empty() {
        return Err(ContractError::RoundChallenged { job, round, open: submitted.open.len() });
    }
    ROUNDS.remove(deps.storage, (job, round));
    // The decided challenges of this submission are of the past with it.
    let mut progress = PROGRESS.load(deps.storage, (job, round))?;
    progress.submission += 1;
    PROGRESS.save(deps.storage, (job, round), &progress)?;
    Ok(Response::new()
        .add_attribute("action", "rollback_round")
        .add_attribute("job_id", job.to_string())
        .add_attribute("round", round.to_string()))
}

/// Pays the sender's node from what its job reserves. The round can never be submitted after that.
pub fn claim_abandoned(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    job: u64,
    round: u32,
) -> Result<Response, ContractError> {
    let reward = checks::load_job(deps.storage, job)?.reward;
    let node = own_id(deps.storage, &info.sender)?;
    checks::not_submitted(deps.storage, job, round)?;
    let mut work = WORK.may_load(deps.storage, (node, (job, round)))?.unwrap_or_default();
    if work.completed == 0 {
        return Err(ContractError::NothingToClaim { node, job, round });
    }
    let mut progress = PROGRESS.load(deps.storage, (job, round))?;
    let now = env.block.time.seconds();
    let abandon_seconds = CONFIG.load(deps.storage)?.abandon_seconds;
    let after = progress.completed_at.saturating_add(abandon_seconds);
    if now <= after {
        return Err(ContractError::NotAbandoned { job, round, after, now });
    }

    let amount = reward.checked_mul(Uint128::from(work.completed))?;
    work.completed = 0;
    lease::save_work(deps.storage, node, job, round, &work)?;
    progress.claimed = true;
    progress.nodes = progress.nodes.saturating_sub(1);
    PROGRESS.save(deps.storage, (job, round), &progress)?;
    let mut account = ACCOUNTS.load(deps.storage, job)?;
    account.spend(amount, amount)?;
    ACCOUNTS.save(deps.storage, job, &account)?;
    books::credit(deps.storage, Pot::Escrow, &[(info.sender.clone(), amount)])?;
    Ok(Response::new()
        .add_attribute("action", "claim_abandoned")
        .add_attribute("job_id", job.to_string())
        .add_attribute("round", round.to_string())
        .add_attribute("node_id", node.to_string())
        .add_attribute("amount", amount)
        .add_event(credit_event(node, &info.sender, job, round, amount)))
}
