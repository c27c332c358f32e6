//! instantiate, update_ownership, migrate.

use atlas::contract::{CONTRACT_NAME, CONTRACT_VERSION};
use atlas::msg::{ExecuteMsg, QueryMsg};
use atlas::ContractError;
use cosmwasm_std::coins;
use cw_ownable::{Action, Ownership, OwnershipError};
use cw_utils::PaymentError;

use crate::suite::{config, Suite, DENOM};

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
fn what_has_another_layout_is_not_migrated() {
    for stored in ["0.0.9", "0.1.0", "0.1.9", "0.2.0-rc.1"] {
        let expected = ContractError::OldLayout { stored: stored.into() };
        assert_eq!(stored_as(CONTRACT_NAME, stored).migrate().unwrap_err(), expected);
    }
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
