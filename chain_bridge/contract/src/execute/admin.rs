//! The contract's owner sets it up, stops it, and empties the treasury.

use cosmwasm_std::{DepsMut, MessageInfo, Response, Uint128};

use crate::books::{self, Pot};
use crate::checks;
use crate::error::ContractError;
use crate::msg::{ConfigChange, InstantiateMsg};
use crate::state::{Config, CONFIG, PAUSED, TOTALS, WHOLE_BPS};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const DEFAULT_SLASH_BPS: u32 = 1000;
const MAX_BATCH: u32 = 200;

/// The settings of a new contract.
pub fn first_config(msg: InstantiateMsg) -> Result<Config, ContractError> {
    let dispute_seconds = msg.dispute_seconds.unwrap_or(DAY);
    let least_unbonding = msg.challenge_seconds.saturating_add(dispute_seconds);
    let config = Config {
        denom: msg.denom,
        min_stake: msg.min_stake,
        heartbeat_seconds: msg.heartbeat_seconds,
        challenge_seconds: msg.challenge_seconds,
        challenge_bond: msg.challenge_bond.unwrap_or_default(),
        dispute_seconds,
        unbonding_seconds: msg.unbonding_seconds.unwrap_or(least_unbonding.max(7 * DAY)),
        jail_seconds: msg.jail_seconds.unwrap_or(HOUR),
        abandon_seconds: msg.abandon_seconds.unwrap_or(7 * DAY),
        audit_seconds: msg.audit_seconds.unwrap_or(HOUR),
        slash_bps: msg.slash_bps.unwrap_or(DEFAULT_SLASH_BPS),
        max_batch: msg.max_batch.unwrap_or(MAX_BATCH),
    };
    check_config(&config)?;
    Ok(config)
}

fn check_config(config: &Config) -> Result<(), ContractError> {
    checks::text("denom", &config.denom)?;
    checks::at_least_one("heartbeat_seconds", config.heartbeat_seconds == 0)?;
    checks::range("max_batch", config.max_batch, MAX_BATCH)?;
    if config.slash_bps > WHOLE_BPS {
        let (field, found, max) = ("slash_bps", config.slash_bps, WHOLE_BPS);
        return Err(ContractError::TooLarge { field, found, max });
    }
    let (found, expected) =
        (config.unbonding_seconds, config.challenge_seconds.saturating_add(config.dispute_seconds));
    if found < expected {
        return Err(ContractError::UnbondingTooShort { found, expected });
    }
    Ok(())
}

pub fn update_config(
    deps: DepsMut,
    info: MessageInfo,
    change: ConfigChange,
) -> Result<Response, ContractError> {
    cw_ownable::assert_owner(deps.storage, &info.sender)?;
    let old = CONFIG.load(deps.storage)?;
    let config = Config {
        denom: old.denom,
        min_stake: change.min_stake.unwrap_or(old.min_stake),
        heartbeat_seconds: change.heartbeat_seconds.unwrap_or(old.heartbeat_seconds),
        challenge_seconds: change.challenge_seconds.unwrap_or(old.challenge_seconds),
        challenge_bond: change.challenge_bond.unwrap_or(old.challenge_bond),
        dispute_seconds: change.dispute_seconds.unwrap_or(old.dispute_seconds),
        unbonding_seconds: change.unbonding_seconds.unwrap_or(old.unbonding_seconds),
        jail_seconds: change.jail_seconds.unwrap_or(old.jail_seconds),
        abandon_seconds: change.abandon_seconds.unwrap_or(old.abandon_seconds),
        audit_seconds: change.audit_seconds.unwrap_or(old.audit_seconds),
        slash_bps: change.slash_bps.unwrap_or(old.slash_bps),
        max_batch: change.max_batch.unwrap_or(old.max_batch),
    };
    check_config(&config)?;
    CONFIG.save(deps.storage, &config)?;
    Ok(Response::new().add_attribute("action", "update_config"))
}

pub fn pause(deps: DepsMut, info: MessageInfo, paused: bool) -> Result<Response, ContractError> {
    cw_ownable::assert_owner(deps.storage, &info.sender)?;
    PAUSED.save(deps.storage, &paused)?;
    Ok(Response::new().add_attribute("action", "pause").add_attribute("paused", paused.to_string()))
}

pub fn withdraw_treasury(
    deps: DepsMut,
    info: MessageInfo,
    to: String,
    amount: Uint128,
) -> Result<Response, ContractError> {
    cw_ownable::assert_owner(deps.storage, &info.sender)?;
    checks::at_least_one("amount", amount.is_zero())?;
    let to = deps.api.addr_validate(&to)?;
    let found = TOTALS.load(deps.storage)?.treasury;
    if amount > found {
        return Err(ContractError::TreasuryTooSmall { found, expected: amount });
    }
    let payment = books::pay(deps.storage, Pot::Treasury, to.clone(), amount)?;
    Ok(Response::new()
        .add_attribute("action", "withdraw_treasury")
        .add_attribute("address", to)
        .add_attribute("amount", amount)
        .add_message(payment))
}
