//! register_node, update_node, heartbeat.

use atlas::msg::{ExecuteMsg, NodeAnswer, QueryMsg};
use atlas::state::{NodeKind, NodeStatus, Totals};
use atlas::ContractError;
use cosmwasm_std::{coins, Uint128};
use cw_utils::PaymentError;

use crate::messages::register;
use crate::suite::{attribute, config, Suite, DENOM, MIN_STAKE};

fn update(capacity: Option<u32>, manifest: Option<&str>) -> ExecuteMsg {
    ExecuteMsg::UpdateNode { capacity, manifest: manifest.map(String::from), public_key: None }
}

#[test]
fn a_registered_node_is_active_and_heard_of() {
    let mut suite = Suite::new();
    let response = suite.pay("alice", register(3), MIN_STAKE + 5);
    assert_eq!(attribute(&response, "action").unwrap(), "register_node");
    assert_eq!(attribute(&response, "node_id").unwrap(), "1");
    let expected = NodeAnswer {
        id: 1,
        owner: suite.address("alice"),
        kind: NodeKind::Compute,
        capacity: 3,
        used: 0,
        stake: Uint128::new(MIN_STAKE + 5),
        unbonding: vec![],
        reputation: 100,
        last_seen: suite.now(),
        status: NodeStatus::Active,
        jailed_until: 0,
        manifest: "bafymanifest".into(),
        public_key: None,
    };
    assert_eq!(suite.node(1), expected);
    assert_eq!(suite.ask::<Totals>(QueryMsg::Totals {}).stake, Uint128::new(MIN_STAKE + 5));
}

#[test]
fn ids_count_up() {
    let mut suite = Suite::new();
    suite.pay("alice", register(1), MIN_STAKE);
    let response = suite.pay("bob", register(1), MIN_STAKE);
    assert_eq!(attribute(&response, "node_id").unwrap(), "2");
}

#[test]
fn an_address_registers_once() {
    let mut suite = Suite::new();
    suite.pay("alice", register(1), MIN_STAKE);
    let error = suite.send("alice", &register(2), MIN_STAKE).unwrap_err();
    let owner = suite.address("alice");
    assert!(error.to_string().ends_with("already has node 1: use update_node to change it"));
    assert_eq!(error, ContractError::NodeExists { owner, node: 1 });
}

#[test]
fn a_stake_below_the_least_is_refused() {
    let mut suite = Suite::new();
    let error = suite.send("alice", &register(1), MIN_STAKE - 1).unwrap_err();
    let (found, expected) = (Uint128::new(MIN_STAKE - 1), Uint128::new(MIN_STAKE));
    assert_eq!(error, ContractError::StakeTooSmall { found, expected });
    assert_eq!(
        suite.refusal("alice", register(1)),
        ContractError::Payment(PaymentError::NoFunds {})
    );
}

#[test]
fn a_stake_in_another_coin_is_refused() {
    let mut suite = Suite::new();
    let error = suite.send_coins("alice", &register(1), &coins(MIN_STAKE, "other")).unwrap_err();
    assert_eq!(error, ContractError::Payment(PaymentError::MissingDenom(DENOM.into())));
}

#[test]
fn no_stake_is_taken_where_none_is_asked() {
    let mut free = config();
    free.min_stake = Uint128::zero();
    let mut suite = Suite::with(&free).unwrap();
    let error = suite.send("alice", &register(1), 1).unwrap_err();
    assert_eq!(error, ContractError::Payment(PaymentError::NonPayable {}));
    suite.run("alice", register(1));
    assert_eq!(suite.node(1).stake, Uint128::zero());
}

#[test]
fn a_capacity_is_between_1_and_1000() {
    let mut suite = Suite::new();
    for capacity in [0, 1001] {
        let error = suite.send("alice", &register(capacity), MIN_STAKE).unwrap_err();
        let expected = ContractError::OutOfRange { field: "capacity", found: capacity, max: 1000 };
        assert_eq!(error, expected);
    }
    suite.pay("alice", register(1000), MIN_STAKE);
}

#[test]
fn a_manifest_is_not_empty_and_not_long() {
    let mut suite = Suite::new();
    for (length, accepted) in [(0, false), (1, true), (256, true), (257, false)] {
        let manifest = "m".repeat(length);
        let kind = NodeKind::Storage;
        let message = ExecuteMsg::RegisterNode { kind, capacity: 1, manifest, public_key: None };
        let sender = if length == 1 { "alice" } else { "bob" };
        let result = suite.send(sender, &message, MIN_STAKE);
        let refusal = ContractError::TextLength { field: "manifest", length, max: 256 };
        assert_eq!(result.err(), (!accepted).then_some(refusal));
    }
}

#[test]
fn a_node_changes_what_it_names() {
    let mut suite = Suite::new();
    suite.pay("alice", register(3), MIN_STAKE);
    suite.run("alice", update(Some(8), None));
    suite.run("alice", update(None, Some("bafynew")));
    let node = suite.node(1);
    assert_eq!((node.capacity, node.manifest.as_str()), (8, "bafynew"));

    let error = suite.refusal("alice", update(Some(0), None));
    assert_eq!(error, ContractError::OutOfRange { field: "capacity", found: 0, max: 1000 });
    let expected = ContractError::TextLength { field: "manifest", length: 0, max: 256 };
    assert_eq!(suite.refusal("alice", update(Some(2), Some(""))), expected);
}

#[test]
fn a_heartbeat_moves_last_seen() {
    let mut suite = Suite::new();
    suite.pay("alice", register(1), MIN_STAKE);
    suite.wait(17);
    let response = suite.run("alice", ExecuteMsg::Heartbeat {});
    assert_eq!(attribute(&response, "node_id").unwrap(), "1");
    assert_eq!(suite.node(1).last_seen, suite.now());
}

#[test]
fn who_has_no_node_cannot_speak_for_one() {
    let mut suite = Suite::new();
    suite.pay("alice", register(1), MIN_STAKE);
    let owner = suite.address("bob");
    for message in [
        ExecuteMsg::Heartbeat {},
        update(Some(1), None),
        ExecuteMsg::WithdrawStake { amount: Uint128::one() },
        ExecuteMsg::ClaimStake {},
        ExecuteMsg::DeregisterNode {},
        ExecuteMsg::Unjail {},
    ] {
        let expected = ContractError::NoNode { owner: owner.clone() };
        assert_eq!(suite.refusal("bob", message), expected);
    }
}
