//! The contract's money: it comes in by deposit, moves between pots, and leaves as payment.

use cosmwasm_std::{coins, Addr, BankMsg, OverflowError, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{Account, Totals, CONFIG, CREDIT, TOTALS};

/// The parts of the contract's bank balance.
#[derive(Clone, Copy)]
pub enum Pot {
    Escrow,
    Stake,
    Credit,
    Treasury,
}

impl Totals {
    fn pot(&mut self, pot: Pot) -> &mut Uint128 {
        match pot {
            Pot::Escrow => &mut self.escrow,
            Pot::Stake => &mut self.stake,
            Pot::Credit => &mut self.credit,
            Pot::Treasury => &mut self.treasury,
        }
    }

    fn add(&mut self, pot: Pot, amount: Uint128) -> Result<(), OverflowError> {
        let found = self.pot(pot);
        *found = found.checked_add(amount)?;
        Ok(())
    }

    fn take(&mut self, pot: Pot, amount: Uint128) -> Result<(), OverflowError> {
        let found = self.pot(pot);
        *found = found.checked_sub(amount)?;
        Ok(())
    }
}

/// Counts funds that came with a message.
pub fn deposit(storage: &mut dyn Storage, pot: Pot, amount: Uint128) -> Result<(), ContractError> {
    if amount.is_zero() {
        return Ok(());
    }
    let mut totals = TOTALS.load(storage)?;
    totals.add(pot, amount)?;
    Ok(TOTALS.save(storage, &totals)?)
}

/// Moves an amount from one pot to the treasury.
pub fn forfeit(storage: &mut dyn Storage, from: Pot, amount: Uint128) -> Result<(), ContractError> {
    if amount.is_zero() {
        return Ok(());
    }
    let mut totals = TOTALS.load(storage)?;
    totals.take(from, amount)?;
    totals.add(Pot::Treasury, amount)?;
    Ok(TOTALS.save(storage, &totals)?)
}

/// Moves amounts out of a pot into the credit of addresses.
pub fn credit(
    storage: &mut dyn Storage,
    from: Pot,
    amounts: &[(Addr, Uint128)],
) -> Result<(), ContractError> {
    let mut totals = TOTALS.load(storage)?;
    for (address, amount) in amounts.iter().filter(|(_, amount)| !amount.is_zero()) {
        let before = CREDIT.may_load(storage, address)?.unwrap_or_default();
        CREDIT.save(storage, address, &before.checked_add(*amount)?)?;
        totals.take(from, *amount)?;
        totals.add(Pot::Credit, *amount)?;
    }
    Ok(TOTALS.save(storage, &totals)?)
}

/// Lets an amount leave the contract.
pub fn pay(
    storage: &mut dyn Storage,
    from: Pot,
    to: Addr,
    amount: Uint128,
) -> Result<BankMsg, ContractError> {
    let mut totals = TOTALS.load(storage)?;
    totals.take(from, amount)?;
    totals.withdrawn = totals.withdrawn.checked_add(amount)?;
    TOTALS.save(storage, &totals)?;
    let denom = CONFIG.load(storage)?.denom;
    Ok(BankMsg::Send { to_address: to.into_string(), amount: coins(amount.u128(), denom) })
}

impl Account {
    /// What of the deposit is neither reserved, paid nor refunded.
    pub fn free(&self) -> Result<Uint128, OverflowError> {
        self.deposited
            .checked_sub(self.reserved)?
            .checked_sub(self.paid)?
            .checked_sub(self.refunded)
    }

    /// Sets an amount aside, if it is free.
    pub fn reserve(&mut self, job: u64, amount: Uint128) -> Result<(), ContractError> {
        let free = self.free()?;
        if amount > free {
            return Err(ContractError::EscrowSpent { job, found: free, expected: amount });
        }
        self.reserved = self.reserved.checked_add(amount)?;
        Ok(())
    }

    /// Frees what was reserved.
    pub fn release(&mut self, amount: Uint128) -> Result<(), OverflowError> {
        self.reserved = self.reserved.checked_sub(amount)?;
        Ok(())
    }

    /// Counts as refunded what is free, and returns it.
    pub fn refund(&mut self) -> Result<Uint128, OverflowError> {
        let free = self.free()?;
        self.refunded = self.refunded.checked_add(free)?;
        Ok(free)
    }

    /// Turns a part of a reserve into pay and frees the rest of it.
    pub fn spend(&mut self, reserve: Uint128, paid: Uint128) -> Result<(), OverflowError> {
        self.release(reserve)?;
        self.paid = self.paid.checked_add(paid)?;
        Ok(())
    }
}
