//! Credit is earned by settlement and refund, and leaves the contract by withdrawal alone.

use cosmwasm_std::{coins, Addr, BankMsg, DepsMut, MessageInfo, Response, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{CONFIG, CREDIT, TOTALS};

/// Moves amounts out of the escrow into the credit of addresses.
pub fn credit_from_escrow(
    storage: &mut dyn Storage,
    amounts: &[(Addr, Uint128)],
) -> Result<(), ContractError> {
    let mut totals = TOTALS.load(storage)?;
    for (address, amount) in amounts {
        if amount.is_zero() {
            continue;
        }
        let credit = CREDIT.may_load(storage, address)?.unwrap_or_default();
        CREDIT.save(storage, address, &credit.checked_add(*amount)?)?;
        totals.escrow = totals.escrow.checked_sub(*amount)?;
        totals.credit = totals.credit.checked_add(*amount)?;
    }
    TOTALS.save(storage, &totals)?;
    Ok(())
}

pub fn withdraw(deps: DepsMut, info: MessageInfo) -> Result<Response, ContractError> {
    let amount = CREDIT.may_load(deps.storage, &info.sender)?.unwrap_or_default();
    if amount.is_zero() {
        return Err(ContractError::NoCredit { address: info.sender });
    }
    CREDIT.remove(deps.storage, &info.sender);
    let mut totals = TOTALS.load(deps.storage)?;
    totals.credit = totals.credit.checked_sub(amount)?;
    totals.withdrawn = totals.withdrawn.checked_add(amount)?;
    TOTALS.save(deps.storage, &totals)?;

    let denom = CONFIG.load(deps.storage)?.denom;
    Ok(Response::new()
        .add_attribute("action", "withdraw")
        .add_attribute("address", &info.sender)
        .add_attribute("amount", amount)
        .add_message(BankMsg::Send {
            to_address: info.sender.into_string(),
            amount: coins(amount.u128(), denom),
        }))
}
