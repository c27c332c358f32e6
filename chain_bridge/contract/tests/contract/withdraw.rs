//! withdraw, withdraw_for.

use atlas::msg::{ExecuteMsg, QueryMsg};
use atlas::state::Totals;
use atlas::ContractError;
use cosmwasm_std::Uint128;

use crate::messages::create_job;
use crate::suite::{attribute, Suite, FUNDS, MAX_BATCH};

#[test]
fn credit_is_withdrawn_once() {
    let mut suite = Suite::new();
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    let address = suite.address("alice");
    let nothing = ContractError::NoCredit { address: address.clone() };
    assert_eq!(suite.refusal("alice", ExecuteMsg::Withdraw {}), nothing);
    suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    assert_eq!(suite.balance(&address), FUNDS - 40);

    let response = suite.run("alice", ExecuteMsg::Withdraw {});
    assert_eq!(attribute(&response, "amount").unwrap(), "40");
    assert_eq!(suite.balance(&address), FUNDS);
    assert_eq!(suite.credit("alice"), 0);
    let totals: Totals = suite.ask(QueryMsg::Totals {});
    assert_eq!(totals, Totals { withdrawn: Uint128::new(40), ..Totals::default() });
    assert_eq!(suite.refusal("alice", ExecuteMsg::Withdraw {}), nothing);
}

/// alice and bob have credit of 40 and 2.
fn credited() -> Suite {
    let mut suite = Suite::new();
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    suite.pay("bob", create_job("k", 1, 1, 1), 2);
    suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    suite.run("bob", ExecuteMsg::CloseJob { job: 2 });
    suite
}

fn withdraw_for(suite: &Suite, names: &[&str]) -> ExecuteMsg {
    let addresses = names.iter().map(|name| suite.address(name).into_string()).collect();
    ExecuteMsg::WithdrawFor { addresses }
}

#[test]
fn anybody_sends_others_their_credit() {
    let mut suite = credited();
    let message = withdraw_for(&suite, &["bob", "alice"]);
    let response = suite.run("dave", message);
    assert_eq!(attribute(&response, "items").unwrap(), "2");
    assert_eq!(attribute(&response, "amount").unwrap(), "42");
    for name in ["alice", "bob"] {
        assert_eq!((suite.credit(name), suite.balance(&suite.address(name))), (0, FUNDS));
    }
    let totals: Totals = suite.ask(QueryMsg::Totals {});
    assert_eq!(totals, Totals { withdrawn: Uint128::new(42), ..Totals::default() });
}

#[test]
fn each_of_them_has_credit_and_is_listed_once() {
    let mut suite = credited();
    let twice = withdraw_for(&suite, &["alice", "bob", "alice"]);
    let address = suite.address("alice");
    assert_eq!(suite.refusal("dave", twice), ContractError::AddressListedTwice { address });
    let none = withdraw_for(&suite, &["alice", "carol"]);
    let address = suite.address("carol");
    assert_eq!(suite.refusal("dave", none), ContractError::NoCredit { address });
    for found in [0, MAX_BATCH as usize + 1] {
        let message = withdraw_for(&suite, &vec!["alice"; found]);
        let expected = ContractError::BatchSize { found, max: MAX_BATCH };
        assert_eq!(suite.refusal("dave", message), expected);
    }
    let malformed = ExecuteMsg::WithdrawFor { addresses: vec!["nobody".into()] };
    assert!(matches!(suite.refusal("dave", malformed), ContractError::Std(_)));
}
