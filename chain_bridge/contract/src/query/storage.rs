//! What anybody may ask of stored content.

use cosmwasm_std::{Deps, Order, StdResult};
use cw_storage_plus::Bound;

use super::page;
use crate::checks;
use crate::error::ContractError;
use crate::msg::HoldingAnswer;
use crate::state::{Holding, AUDITS, HOLDINGS, HOLDINGS_OF};

pub fn holders(
    deps: Deps,
    cid: String,
    start_after: Option<u32>,
    limit: Option<u32>,
) -> Result<Vec<HoldingAnswer>, ContractError> {
    checks::text("cid", &cid)?;
    let answers: StdResult<_> = HOLDINGS
        .prefix(&cid)
        .range(deps.storage, start_after.map(Bound::exclusive), None, Order::Ascending)
        .take(page(limit))
        .map(|entry| {
            let (node, holding) = entry?;
            answer(deps, cid.clone(), node, holding)
        })
        .collect();
    Ok(answers?)
}

pub fn holdings(
    deps: Deps,
    node: u32,
    start_after: Option<String>,
    limit: Option<u32>,
) -> Result<Vec<HoldingAnswer>, ContractError> {
    if let Some(cid) = &start_after {
        checks::text("start_after", cid)?;
    }
    let answers: StdResult<_> = HOLDINGS_OF
        .prefix(node)
        .keys(deps.storage, start_after.as_deref().map(Bound::exclusive), None, Order::Ascending)
        .take(page(limit))
        .map(|cid| {
            let cid = cid?;
            let holding = HOLDINGS.load(deps.storage, (&cid, node))?;
            answer(deps, cid, node, holding)
        })
        .collect();
    Ok(answers?)
}

fn answer(deps: Deps, cid: String, node: u32, holding: Holding) -> StdResult<HoldingAnswer> {
    let audit = AUDITS.may_load(deps.storage, (&cid, node))?;
    let Holding { since, proven_at } = holding;
    Ok(HoldingAnswer { cid, node, since, proven_at, audit })
}
