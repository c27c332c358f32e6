//! Results of jobs get names, and one version of a name is the current one.

use cosmwasm_std::{Addr, DepsMut, MessageInfo, Response, Storage};

use crate::checks;
use crate::error::ContractError;
use crate::state::{Model, ModelStatus, MODELS, MODEL_OWNER, PROMOTED};

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
    if let Some(metrics) = &model.metrics {
        checks::text("metrics", metrics)?;
    }
    checks::job_of_owner(deps.storage, model.job, &info.sender)?;
    match MODEL_OWNER.may_load(deps.storage, &model.name)? {
        None => MODEL_OWNER.save(deps.storage, &model.name, &info.sender)?,
        Some(owner) => same_owner(&model.name, owner, &info.sender)?,
    }
    let key = (model.name.as_str(), model.version);
    if MODELS.has(deps.storage, key) {
        return Err(ContractError::ModelExists { version: model.version, name: model.name });
    }
    MODELS.save(deps.storage, key, &model)?;
    Ok(response("register_model", &model).add_attribute("cid", model.cid))
}

/// Promoting the current version again changes nothing.
pub fn promote_model(
    deps: DepsMut,
    info: MessageInfo,
    name: String,
    version: u32,
) -> Result<Response, ContractError> {
    let mut model = own_model(deps.storage, &info.sender, name, version)?;
    if let Some(earlier) = PROMOTED.may_load(deps.storage, &model.name)? {
        let key = (model.name.as_str(), earlier);
        let mut replaced = MODELS.load(deps.storage, key)?;
        replaced.status = ModelStatus::Registered;
        MODELS.save(deps.storage, key, &replaced)?;
    }
    model.status = ModelStatus::Promoted;
    MODELS.save(deps.storage, (&model.name, version), &model)?;
    PROMOTED.save(deps.storage, &model.name, &version)?;
    Ok(response("promote_model", &model))
}

pub fn deprecate_model(
    deps: DepsMut,
    info: MessageInfo,
    name: String,
    version: u32,
) -> Result<Response, ContractError> {
    let mut model = own_model(deps.storage, &info.sender, name, version)?;
    if model.status == ModelStatus::Promoted {
        PROMOTED.remove(deps.storage, &model.name);
    }
    model.status = ModelStatus::Deprecated;
    MODELS.save(deps.storage, (&model.name, version), &model)?;
    Ok(response("deprecate_model", &model))
}

/// A version of a name that the sender owns.
/// Errors: TextLength, ModelNotFound, NotModelOwner, ModelDeprecated.
fn own_model(
    storage: &dyn Storage,
    sender: &Addr,
    name: String,
    version: u32,
) -> Result<Model, ContractError> {
    checks::text("name", &name)?;
    let Some(model) = MODELS.may_load(storage, (&name, version))? else {
        return Err(ContractError::ModelNotFound { name, version });
    };
    same_owner(&name, MODEL_OWNER.load(storage, &name)?, sender)?;
    if model.status == ModelStatus::Deprecated {
        return Err(ContractError::ModelDeprecated { name, version });
    }
    Ok(model)
}

fn same_owner(name: &str, owner: Addr, sender: &Addr) -> Result<(), ContractError> {
    if owner != *sender {
        let (name, sender) = (name.to_string(), sender.clone());
        return Err(ContractError::NotModelOwner { name, owner, sender });
    }
    Ok(())
}

fn response(action: &str, model: &Model) -> Response {
    Response::new()
        .add_attribute("action", action)
        .add_attribute("job_id", model.job.to_string())
        .add_attribute("name", &model.name)
        .add_attribute("version", model.version.to_string())
}
