//! Storage nodes say what they hold, and prove it when asked.

use cosmwasm_std::{Binary, DepsMut, Empty, Env, MessageInfo, Response, Storage};
use sha2::{Digest, Sha256};

use super::compute::own_id;
use crate::checks;
use crate::error::ContractError;
use crate::fleet::{Fleet, NEGLECT};
use crate::state::{
    Audit, Config, Holding, NodeKind, NodeStatus, Standing, AUDITS, CONFIG, HOLDINGS, HOLDINGS_OF,
};

const LEAST_NONCE: usize = 16;
const MOST_NONCE: usize = 64;
const HASH_BYTES: usize = 32;

pub fn announce_storage(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    cids: Vec<String>,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    check_cids(&cids, &config)?;
    let now = env.block.time.seconds();
    let id = own_id(deps.storage, &info.sender)?;
    let mut fleet = Fleet::new(&config, now);
    let kind = fleet.node(deps.storage, id)?.kind;
    if kind != NodeKind::Storage {
        return Err(ContractError::NotStorage { node: id, kind });
    }
    take_places(fleet.standing_mut(deps.storage, id)?, id, cids.len())?;
    fleet.save(deps.storage)?;

    for cid in &cids {
        if HOLDINGS.has(deps.storage, (cid, id)) {
            return Err(ContractError::AlreadyHeld { node: id, cid: cid.clone() });
        }
        let holding = Holding { since: now, proven_at: None };
        HOLDINGS.save(deps.storage, (cid, id), &holding)?;
        HOLDINGS_OF.save(deps.storage, (id, cid), &Empty {})?;
    }
    Ok(of_node("announce_storage", id).add_attribute("items", cids.len().to_string()))
}

fn take_places(standing: &mut Standing, id: u32, found: usize) -> Result<(), ContractError> {
    let &mut Standing { used, capacity, status, .. } = standing;
    if status != NodeStatus::Active {
        return Err(ContractError::NodeNotActive { node: id, status });
    }
    if found > capacity.saturating_sub(used) as usize {
        return Err(ContractError::StorageFull { node: id, found, used, capacity });
    }
    standing.used = used.saturating_add(found as u32);
    Ok(())
}

pub fn drop_storage(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    cids: Vec<String>,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    check_cids(&cids, &config)?;
    let id = own_id(deps.storage, &info.sender)?;
    let mut fleet = Fleet::new(&config, env.block.time.seconds());
    for cid in &cids {
        load_holding(deps.storage, cid, id)?;
        no_audit(deps.storage, cid, id)?;
        remove_holding(deps.storage, cid, id);
        fleet.free_place(deps.storage, id)?;
    }
    fleet.save(deps.storage)?;
    Ok(of_node("drop_storage", id).add_attribute("items", cids.len().to_string()))
}

pub fn open_audit(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    cid: String,
    node: u32,
    nonce: Binary,
    answer_hash: Binary,
) -> Result<Response, ContractError> {
    cw_ownable::assert_owner(deps.storage, &info.sender)?;
    checks::bytes("nonce", &nonce, LEAST_NONCE, MOST_NONCE)?;
    checks::bytes("answer_hash", &answer_hash, HASH_BYTES, HASH_BYTES)?;
    checks::text("cid", &cid)?;
    load_holding(deps.storage, &cid, node)?;
    no_audit(deps.storage, &cid, node)?;
    let answer_time = CONFIG.load(deps.storage)?.audit_seconds;
    let until = env.block.time.seconds().saturating_add(answer_time);
    AUDITS.save(deps.storage, (&cid, node), &Audit { nonce, answer_hash, until })?;
    Ok(of_holding("open_audit", node, cid).add_attribute("until", until.to_string()))
}

pub fn answer_audit(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    cid: String,
    answer: Binary,
) -> Result<Response, ContractError> {
    checks::text("cid", &cid)?;
    let id = own_id(deps.storage, &info.sender)?;
    let audit = load_audit(deps.storage, &cid, id)?;
    let now = env.block.time.seconds();
    if now >= audit.until {
        return Err(ContractError::AuditOver { node: id, cid, until: audit.until, now });
    }
    if Sha256::digest(&answer).as_slice() != audit.answer_hash.as_slice() {
        return Err(ContractError::WrongAnswer { node: id, cid });
    }
    let mut holding = load_holding(deps.storage, &cid, id)?;
    holding.proven_at = Some(now);
    HOLDINGS.save(deps.storage, (&cid, id), &holding)?;
    AUDITS.remove(deps.storage, (&cid, id));
    Ok(of_holding("answer_audit", id, cid))
}

pub fn expire_audit(
    deps: DepsMut,
    env: Env,
    cid: String,
    node: u32,
) -> Result<Response, ContractError> {
    checks::text("cid", &cid)?;
    let audit = load_audit(deps.storage, &cid, node)?;
    let now = env.block.time.seconds();
    if now < audit.until {
        return Err(ContractError::AuditOpen { node, cid, until: audit.until });
    }
    remove_holding(deps.storage, &cid, node);
    AUDITS.remove(deps.storage, (&cid, node));
    let mut fleet = Fleet::new(&CONFIG.load(deps.storage)?, now);
    fleet.free_place(deps.storage, node)?;
    fleet.blame(deps.storage, node, NEGLECT)?;
    fleet.save(deps.storage)?;
    Ok(of_holding("expire_audit", node, cid))
}

fn check_cids(cids: &[String], config: &Config) -> Result<(), ContractError> {
    checks::batch(cids, config)?;
    cids.iter().try_for_each(|cid| checks::text("cid", cid))
}

fn load_holding(storage: &dyn Storage, cid: &str, node: u32) -> Result<Holding, ContractError> {
    HOLDINGS
        .may_load(storage, (cid, node))?
        .ok_or_else(|| ContractError::NotHeld { node, cid: cid.to_string() })
}

fn remove_holding(storage: &mut dyn Storage, cid: &str, node: u32) {
    HOLDINGS.remove(storage, (cid, node));
    HOLDINGS_OF.remove(storage, (node, cid));
}

fn load_audit(storage: &dyn Storage, cid: &str, node: u32) -> Result<Audit, ContractError> {
    AUDITS
        .may_load(storage, (cid, node))?
        .ok_or_else(|| ContractError::NoAudit { node, cid: cid.to_string() })
}

fn no_audit(storage: &dyn Storage, cid: &str, node: u32) -> Result<(), ContractError> {
    match AUDITS.may_load(storage, (cid, node))? {
        Some(Audit { until, .. }) => {
            Err(ContractError::AuditOpen { node, cid: cid.to_string(), until })
        }
        None => Ok(()),
    }
}

fn of_node(action: &str, node: u32) -> Response {
    Response::new().add_attribute("action", action).add_attribute("node_id", node.to_string())
}

fn of_holding(action: &str, node: u32, cid: String) -> Response {
    of_node(action, node).add_attribute("cid", cid)
}
