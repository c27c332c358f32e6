//! Results of jobs get names.

use cosmwasm_std::{DepsMut, MessageInfo, Response};

use crate::checks;
use crate::error::ContractError;
use crate::state::{Model, MODELS, MODEL_OWNER};

pub fn register_model(
    deps: DepsMut,
    info: MessageInfo,
    model: Model,
) -> Result<Response, ContractError> {
    checks::text("name", &model.name)?;
    checks::text("cid", &model.cid)?;
    if let Some(parent) = &model.parent {
        checks::text("parent", parent)?;
    }
    checks::job_of_owner(deps.storage, model.job, &info.sender)?;
    match MODEL_OWNER.may_load(deps.storage, &model.name)? {
        None => MODEL_OWNER.save(deps.storage, &model.name, &info.sender)?,
        Some(owner) if owner == info.sender => {}
        Some(owner) => {
            return Err(ContractError::NotModelOwner {
                name: model.name,
                owner,
                sender: info.sender,
            })
        }
    }
    let key = (model.name.as_str(), model.version);
    if MODELS.has(deps.storage, key) {
        return Err(ContractError::ModelExists { version: model.version, name: model.name });
    }
    MODELS.save(deps.storage, key, &model)?;
    Ok(Response::new()
        .add_attribute("action", "register_model")
        .add_attribute("job_id", model.job.to_string())
        .add_attribute("name", model.name)
        .add_attribute("version", model.version.to_string())
        .add_attribute("cid", model.cid))
}
