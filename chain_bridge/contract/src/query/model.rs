//! What anybody may ask of models.

use cosmwasm_std::{Deps, Order, StdResult};
use cw_storage_plus::Bound;

use super::page;
use crate::checks;
use crate::error::ContractError;
use crate::state::{Model, MODELS, PROMOTED};

pub fn model(deps: Deps, name: String, version: u32) -> Result<Model, ContractError> {
    checks::text("name", &name)?;
    MODELS
        .may_load(deps.storage, (&name, version))?
        .ok_or(ContractError::ModelNotFound { name, version })
}

pub fn models(
    deps: Deps,
    name: Option<String>,
    start_after: Option<(String, u32)>,
    limit: Option<u32>,
) -> Result<Vec<Model>, ContractError> {
    if let Some((name, _)) = &start_after {
        checks::text("start_after", name)?;
    }
    let limit = page(limit);
    let models: StdResult<_> = match name {
        Some(name) => {
            checks::text("name", &name)?;
            let after = start_after.map(|(_, version)| Bound::exclusive(version));
            MODELS
                .prefix(&name)
                .range(deps.storage, after, None, Order::Ascending)
                .take(limit)
                .map(|entry| entry.map(|(_, model)| model))
                .collect()
        }
        None => {
            let after = start_after.as_ref().map(|(name, version)| (name.as_str(), *version));
            MODELS
                .range(deps.storage, after.map(Bound::exclusive), None, Order::Ascending)
                .take(limit)
                .map(|entry| entry.map(|(_, model)| model))
                .collect()
        }
    };
    Ok(models?)
}

/// The promoted version of a name, if there is one.
pub fn current_model(deps: Deps, name: String) -> Result<Option<Model>, ContractError> {
    checks::text("name", &name)?;
    match PROMOTED.may_load(deps.storage, &name)? {
        Some(version) => Ok(MODELS.may_load(deps.storage, (&name, version))?),
        None => Ok(None),
    }
}
