//! Credit of nodes is announced, and credit leaves the contract.

use std::collections::BTreeSet;

use cosmwasm_std::{Addr, BankMsg, DepsMut, Event, MessageInfo, Response, Storage, Uint128};

use crate::books::{self, Pot};
use crate::checks;
use crate::error::ContractError;
use crate::state::{CONFIG, CREDIT};

pub fn withdraw(deps: DepsMut, info: MessageInfo) -> Result<Response, ContractError> {
    let (amount, payment) = pay_out(deps.storage, info.sender.clone())?;
    Ok(Response::new()
        .add_attribute("action", "withdraw")
        .add_attribute("address", info.sender)
        .add_attribute("amount", amount)
        .add_message(payment))
}

pub fn withdraw_for(deps: DepsMut, addresses: Vec<String>) -> Result<Response, ContractError> {
    checks::batch(&addresses, &CONFIG.load(deps.storage)?)?;
    let mut seen = BTreeSet::new();
    let mut payments = Vec::with_capacity(addresses.len());
    let mut sum = Uint128::zero();
    for address in &addresses {
        let address = deps.api.addr_validate(address)?;
        if !seen.insert(address.clone()) {
            return Err(ContractError::AddressListedTwice { address });
        }
        let (amount, payment) = pay_out(deps.storage, address)?;
        sum = sum.checked_add(amount)?;
        payments.push(payment);
    }
    Ok(Response::new()
        .add_attribute("action", "withdraw_for")
        .add_attribute("items", payments.len().to_string())
        .add_attribute("amount", sum)
        .add_messages(payments))
}

/// Empties the credit of an address. Errors: NoCredit.
fn pay_out(storage: &mut dyn Storage, address: Addr) -> Result<(Uint128, BankMsg), ContractError> {
    let amount = CREDIT.may_load(storage, &address)?.unwrap_or_default();
    if amount.is_zero() {
        return Err(ContractError::NoCredit { address });
    }
    CREDIT.remove(storage, &address);
    Ok((amount, books::pay(storage, Pot::Credit, address, amount)?))
}

/// What a node earned in a round.
pub fn credit_event(node: u32, owner: &Addr, job: u64, round: u32, amount: Uint128) -> Event {
    Event::new("credit")
        .add_attribute("node_id", node.to_string())
        .add_attribute("owner", owner)
        .add_attribute("job_id", job.to_string())
        .add_attribute("round", round.to_string())
        .add_attribute("amount", amount)
}
