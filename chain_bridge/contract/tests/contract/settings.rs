//! instantiate, update_config, pause, withdraw_treasury.

use atlas::msg::{ConfigChange, ExecuteMsg, InstantiateMsg, QueryMsg};
use atlas::state::{Config, Totals, TOTALS};
use atlas::ContractError;
use cosmwasm_std::{coins, Addr, Uint128};
use cw_multi_test::{BankSudo, SudoMsg};
use cw_ownable::{Action, OwnershipError};

use crate::corpus;
use crate::messages::create_job;
use crate::suite::{config, Suite, CHALLENGE, DENOM, DISPUTE, FUNDS};

const DAY: u64 = 86_400;

fn least() -> InstantiateMsg {
    InstantiateMsg {
        challenge_bond: None,
        dispute_seconds: None,
        unbonding_seconds: None,
        jail_seconds: None,
        abandon_seconds: None,
        audit_seconds: None,
        slash_bps: None,
        max_batch: None,
        ..config()
    }
}

fn stored(suite: &Suite) -> Config {
    suite.ask(QueryMsg::Config {})
}

#[test]
fn what_is_left_out_has_a_default() {
    let InstantiateMsg { denom, min_stake, heartbeat_seconds, challenge_seconds, .. } = config();
    let expected = Config {
        denom,
        min_stake,
        heartbeat_seconds,
        challenge_seconds,
        challenge_bond: Uint128::zero(),
        dispute_seconds: DAY,
        unbonding_seconds: 7 * DAY,
        jail_seconds: 3600,
        abandon_seconds: 7 * DAY,
        audit_seconds: 3600,
        slash_bps: 1000,
        max_batch: 200,
    };
    assert_eq!(stored(&Suite::with(&least()).unwrap()), expected);
    let slow = InstantiateMsg { challenge_seconds: 9 * DAY, ..least() };
    assert_eq!(stored(&Suite::with(&slow).unwrap()).unbonding_seconds, 10 * DAY);
}

/// Settings that cannot work, and why.
fn impossible() -> Vec<(ConfigChange, ContractError)> {
    let none = ConfigChange::default;
    let range = |found| ContractError::OutOfRange { field: "max_batch", found, max: 200 };
    let expected = CHALLENGE + DISPUTE;
    vec![
        (
            ConfigChange { heartbeat_seconds: Some(0), ..none() },
            ContractError::Zero { field: "heartbeat_seconds" },
        ),
        (ConfigChange { max_batch: Some(0), ..none() }, range(0)),
        (ConfigChange { max_batch: Some(201), ..none() }, range(201)),
        (
            ConfigChange { slash_bps: Some(10_001), ..none() },
            ContractError::TooLarge { field: "slash_bps", found: 10_001, max: 10_000 },
        ),
        (
            ConfigChange { unbonding_seconds: Some(expected - 1), ..none() },
            ContractError::UnbondingTooShort { found: expected - 1, expected },
        ),
        (
            ConfigChange { dispute_seconds: Some(u64::MAX), ..none() },
            ContractError::UnbondingTooShort { found: 150, expected: u64::MAX },
        ),
    ]
}

#[test]
fn a_config_that_cannot_work_is_refused() {
    for (change, expected) in impossible() {
        let message = InstantiateMsg {
            heartbeat_seconds: change.heartbeat_seconds.unwrap_or(1),
            dispute_seconds: change.dispute_seconds.or(config().dispute_seconds),
            unbonding_seconds: change.unbonding_seconds.or(config().unbonding_seconds),
            slash_bps: change.slash_bps,
            max_batch: change.max_batch,
            ..config()
        };
        assert_eq!(Suite::with(&message).err().unwrap(), expected);
    }
    let message = InstantiateMsg { denom: String::new(), ..config() };
    let expected = ContractError::TextLength { field: "denom", length: 0, max: 256 };
    assert_eq!(Suite::with(&message).err().unwrap(), expected);
}

#[test]
fn the_config_changes_in_what_is_named() {
    let mut suite = Suite::new();
    let before = stored(&suite);
    suite.run("admin", ExecuteMsg::UpdateConfig { change: ConfigChange::default() });
    assert_eq!(stored(&suite), before);
    let change = ConfigChange {
        min_stake: Some(Uint128::new(1)),
        heartbeat_seconds: Some(2),
        challenge_seconds: Some(3),
        challenge_bond: Some(Uint128::new(4)),
        dispute_seconds: Some(5),
        unbonding_seconds: Some(8),
        jail_seconds: Some(6),
        abandon_seconds: Some(7),
        audit_seconds: Some(9),
        slash_bps: Some(10_000),
        max_batch: Some(11),
    };
    let sender = ContractError::Ownership(OwnershipError::NotOwner);
    let message = ExecuteMsg::UpdateConfig { change };
    assert_eq!(suite.refusal("alice", message.clone()), sender);
    suite.run("admin", message);
    let expected = Config {
        denom: DENOM.into(),
        min_stake: Uint128::new(1),
        heartbeat_seconds: 2,
        challenge_seconds: 3,
        challenge_bond: Uint128::new(4),
        dispute_seconds: 5,
        unbonding_seconds: 8,
        jail_seconds: 6,
        abandon_seconds: 7,
        audit_seconds: 9,
        slash_bps: 10_000,
        max_batch: 11,
    };
    assert_eq!(stored(&suite), expected);
}

#[test]
fn a_change_that_cannot_work_is_refused_whole() {
    let mut suite = Suite::new();
    for (change, expected) in impossible() {
        let change = ConfigChange { jail_seconds: Some(1), ..change };
        assert_eq!(suite.refusal("admin", ExecuteMsg::UpdateConfig { change }), expected);
    }
}

#[test]
fn a_paused_contract_lets_work_end_and_money_leave() {
    let allowed = [
        "heartbeat",
        "heartbeat_batch",
        "release_batch",
        "expire_leases",
        "claim_stake",
        "withdraw",
        "withdraw_for",
        "update_ownership",
        "pause",
        "update_config",
    ];
    let mut suite = Suite::new();
    suite.run("admin", ExecuteMsg::Pause { paused: true });
    assert!(suite.ask::<bool>(QueryMsg::Paused {}));
    let address = suite.address("alice").into_string();
    let mut seen = 0;
    for value in corpus::executes(&address) {
        let name = value.as_object().unwrap().keys().next().unwrap().clone();
        let message: ExecuteMsg = serde_json::from_value(value).unwrap();
        let takes_funds =
            ["register_node", "add_stake", "unjail", "create_job", "top_up", "challenge"];
        let funds = u128::from(takes_funds.contains(&name.as_str()));
        let is_paused = suite.send("dave", &message, funds).err() == Some(ContractError::Paused);
        assert_eq!(is_paused, !allowed.contains(&name.as_str()), "{name}");
        seen += usize::from(!is_paused);
    }
    assert!(seen >= allowed.len());
}

#[test]
fn the_owner_pauses_and_resumes() {
    let mut suite = Suite::new();
    let not_owner = ContractError::Ownership(OwnershipError::NotOwner);
    for paused in [true, false] {
        assert_eq!(suite.refusal("alice", ExecuteMsg::Pause { paused }), not_owner);
    }
    suite.run("admin", ExecuteMsg::Pause { paused: true });
    let create = create_job("k", 1, 1, 1);
    assert_eq!(suite.send("alice", &create, 2).unwrap_err(), ContractError::Paused);
    suite.run("admin", ExecuteMsg::Pause { paused: false });
    suite.pay("alice", create, 2);
}

#[test]
fn the_treasury_belongs_to_the_owner() {
    let mut suite = Suite::new();
    let contract = suite.contract.clone();
    let mint = BankSudo::Mint { to_address: contract.to_string(), amount: coins(30, DENOM) };
    suite.app.sudo(SudoMsg::Bank(mint)).unwrap();
    let totals = Totals { treasury: Uint128::new(30), ..Totals::default() };
    TOTALS.save(&mut *suite.app.contract_storage_mut(&contract), &totals).unwrap();

    let withdraw = |to: &Addr, amount: u128| ExecuteMsg::WithdrawTreasury {
        to: to.to_string(),
        amount: amount.into(),
    };
    let dave = suite.address("dave");
    let not_owner = ContractError::Ownership(OwnershipError::NotOwner);
    assert_eq!(suite.refusal("dave", withdraw(&dave, 1)), not_owner);
    let (found, expected) = (Uint128::new(30), Uint128::new(31));
    let too_much = ContractError::TreasuryTooSmall { found, expected };
    assert_eq!(suite.refusal("admin", withdraw(&dave, 31)), too_much);
    assert_eq!(suite.refusal("admin", withdraw(&dave, 0)), ContractError::Zero { field: "amount" });
    let nobody = withdraw(&Addr::unchecked("nobody"), 1);
    assert!(matches!(suite.refusal("admin", nobody), ContractError::Std(_)));
    suite.run("admin", withdraw(&dave, 29));
    assert_eq!(suite.balance(&dave), FUNDS + 29);

    suite.run("admin", ExecuteMsg::UpdateOwnership(Action::RenounceOwnership));
    let no_owner = ContractError::Ownership(OwnershipError::NoOwner);
    assert_eq!(suite.refusal("admin", withdraw(&dave, 1)), no_owner);
}
