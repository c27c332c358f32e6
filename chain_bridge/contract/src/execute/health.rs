//! Nodes are heard of.

use cosmwasm_std::{Api, DepsMut, Env, MessageInfo, Response, Storage};
use sha2::{Digest, Sha256};

use super::compute::own_id;
use crate::checks;
use crate::error::ContractError;
use crate::fleet::Fleet;
use crate::msg::SignedBeat;
use crate::state::{NodeStatus, CONFIG};

pub fn heartbeat(deps: DepsMut, env: Env, info: MessageInfo) -> Result<Response, ContractError> {
    let now = env.block.time.seconds();
    let id = own_id(deps.storage, &info.sender)?;
    let mut fleet = Fleet::new(&CONFIG.load(deps.storage)?, now);
    serving(&mut fleet, deps.storage, id)?;
    fleet.standing_mut(deps.storage, id)?.last_seen = now;
    fleet.save(deps.storage)?;
    Ok(Response::new()
        .add_attribute("action", "heartbeat")
        .add_attribute("node_id", id.to_string()))
}

pub fn heartbeat_batch(
    deps: DepsMut,
    env: Env,
    beats: Vec<SignedBeat>,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    checks::batch(&beats, &config)?;
    let now = env.block.time.seconds();
    // A node's clock may be as far ahead as a heartbeat lasts.
    let latest = now.saturating_add(config.heartbeat_seconds);
    let mut fleet = Fleet::new(&config, now);
    for beat in &beats {
        let &SignedBeat { node, at, .. } = beat;
        serving(&mut fleet, deps.storage, node)?;
        if at > latest {
            return Err(ContractError::FutureBeat { node, at, latest });
        }
        let last_seen = fleet.standing(deps.storage, node)?.last_seen;
        if at <= last_seen {
            return Err(ContractError::StaleBeat { node, at, last_seen });
        }
        check_signature(deps.api, deps.storage, &env, &mut fleet, beat)?;
        fleet.standing_mut(deps.storage, node)?.last_seen = at.min(now);
    }
    fleet.save(deps.storage)?;
    Ok(Response::new()
        .add_attribute("action", "heartbeat_batch")
        .add_attribute("items", beats.len().to_string()))
}

fn serving(fleet: &mut Fleet, storage: &dyn Storage, node: u32) -> Result<(), ContractError> {
    match fleet.standing(storage, node)?.status {
        NodeStatus::Retired => Err(ContractError::NodeRetired { node }),
        NodeStatus::Active | NodeStatus::Jailed => Ok(()),
    }
}

fn check_signature(
    api: &dyn Api,
    storage: &dyn Storage,
    env: &Env,
    fleet: &mut Fleet,
    beat: &SignedBeat,
) -> Result<(), ContractError> {
    let SignedBeat { node, at, signature } = beat;
    let (node, at) = (*node, *at);
    let public_key = fleet.node(storage, node)?.public_key.as_ref();
    let public_key = public_key.ok_or(ContractError::NoPublicKey { node })?;
    let text = format!("atlas-heartbeat:{}:{node}:{at}", env.contract.address);
    // What cannot be read as a signature or a key is none, too.
    match api.secp256k1_verify(&Sha256::digest(text), signature, public_key) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(ContractError::BadSignature { node, at }),
    }
}
