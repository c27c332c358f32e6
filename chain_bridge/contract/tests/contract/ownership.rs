//! instantiate, update_ownership, migrate.

use atlas::contract::{CONTRACT_NAME, CONTRACT_VERSION};
use atlas::msg::{ExecuteMsg, QueryMsg};
use atlas::state::Config;
use atlas::ContractError;
use cosmwasm_std::{coins, Uint128};
use cw_ownable::{Action, Ownership, OwnershipError};
use cw_utils::PaymentError;

use crate::suite::{config, Suite, CHALLENGE, DENOM, HEARTBEAT, MIN_STAKE};

#[test]
fn a_batch_is_200_when_the_config_does_not_say() {
    let mut message = config();
    message.max_batch = None;
    let suite = Suite::with(&message).unwrap();
    let expected = Config {
        denom: DENOM.into(),
        min_stake: Uint128::new(MIN_STAKE),
        heartbeat_seconds: HEARTBEAT,
        challenge_seconds: CHALLENGE,
        max_batch: 200,
    };
    assert_eq!(suite.ask::<Config>(QueryMsg::Config {}), expected);
}

#[test]
fn a_config_that_cannot_work_is_refused() {
    let refusal = |message| Suite::with(&message).err().unwrap();
    let mut message = config();
    message.denom.clear();
    let expected = ContractError::TextLength { field: "denom", length: 0, max: 256 };
    assert_eq!(refusal(message), expected);
    let mut message = config();
    message.heartbeat_seconds = 0;
    assert_eq!(refusal(message), ContractError::Zero { field: "heartbeat_seconds" });
    for found in [0, 1001] {
        let mut message = config();
        message.max_batch = Some(found);
        let expected = ContractError::OutOfRange { field: "max_batch", found, max: 1000 };
        assert_eq!(refusal(message), expected);
    }
}

#[test]
fn instantiation_takes_no_funds() {
    let error = Suite::funded(&config(), &coins(1, DENOM)).err().unwrap();
    assert_eq!(error, ContractError::Payment(PaymentError::NonPayable {}));
}

#[test]
fn ownership_passes_in_two_steps() {
    let mut suite = Suite::new();
    let (admin, alice) = (suite.address("admin"), suite.address("alice"));
    let offer = Action::TransferOwnership { new_owner: alice.to_string(), expiry: None };
    let error = suite.refusal("alice", ExecuteMsg::UpdateOwnership(offer.clone()));
    assert_eq!(error, ContractError::Ownership(OwnershipError::NotOwner));

    suite.run("admin", ExecuteMsg::UpdateOwnership(offer));
    let ownership: Ownership<String> = suite.ask(QueryMsg::Ownership {});
    assert_eq!(ownership.owner, Some(admin.into_string()));
    assert_eq!(ownership.pending_owner, Some(alice.to_string()));
    let error = suite.refusal("bob", ExecuteMsg::UpdateOwnership(Action::AcceptOwnership));
    assert_eq!(error, ContractError::Ownership(OwnershipError::NotPendingOwner));

    suite.run("alice", ExecuteMsg::UpdateOwnership(Action::AcceptOwnership));
    let ownership: Ownership<String> = suite.ask(QueryMsg::Ownership {});
    assert_eq!(ownership.owner, Some(alice.into_string()));
}

fn stored_as(name: &str, version: &str) -> Suite {
    let mut suite = Suite::new();
    let contract = suite.contract.clone();
    let mut storage = suite.app.contract_storage_mut(&contract);
    cw2::set_contract_version(&mut *storage, name, version).unwrap();
    drop(storage);
    suite
}

#[test]
fn a_migration_rises() {
    let mut suite = stored_as(CONTRACT_NAME, "0.0.9");
    suite.migrate().unwrap();
    let stored = cw2::query_contract_info(&suite.app.wrap(), suite.contract.clone()).unwrap();
    assert_eq!(
        (stored.contract.as_str(), stored.version.as_str()),
        (CONTRACT_NAME, CONTRACT_VERSION)
    );
}

#[test]
fn a_migration_that_does_not_rise_is_refused() {
    for version in [CONTRACT_VERSION, "999.0.0"] {
        let expected = ContractError::NotNewer { stored: version.into(), new: CONTRACT_VERSION };
        assert_eq!(stored_as(CONTRACT_NAME, version).migrate().unwrap_err(), expected);
    }
    let error = stored_as(CONTRACT_NAME, "one").migrate().unwrap_err();
    assert!(matches!(error, ContractError::BadVersion { version, .. } if version == "one"));
}

#[test]
fn a_migration_from_another_contract_is_refused() {
    let expected = ContractError::WrongContract { expected: CONTRACT_NAME, found: "other".into() };
    assert_eq!(stored_as("other", "0.0.1").migrate().unwrap_err(), expected);
}
