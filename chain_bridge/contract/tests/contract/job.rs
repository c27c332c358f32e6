//! create_job, close_job, withdraw, and that no other message takes funds.

use atlas::msg::{ExecuteMsg, QueryMsg};
use atlas::state::{Job, JobState, Totals};
use atlas::ContractError;
use cosmwasm_std::{coins, OverflowError, OverflowOperation, Uint128};
use cw_utils::PaymentError;

use crate::messages::{
    assign, complete, create_job, expire, register, register_model, release, settle, submit,
};
use crate::suite::{attribute, Suite, CHALLENGE, DENOM, FUNDS, MIN_STAKE};

#[test]
fn a_job_holds_its_escrow() {
    let mut suite = Suite::new();
    let response = suite.pay("alice", create_job("k", 3, 2, 5), 41);
    assert_eq!(attribute(&response, "action").unwrap(), "create_job");
    assert_eq!(attribute(&response, "job_id").unwrap(), "1");
    let expected = Job {
        id: 1,
        owner: suite.address("alice"),
        key: "k".into(),
        spec: "bafyspec".into(),
        dataset: "bafydataset".into(),
        shards: 3,
        rounds: 2,
        reward: Uint128::new(5),
        deposited: Uint128::new(41),
        reserved: Uint128::zero(),
        paid: Uint128::zero(),
        refunded: Uint128::zero(),
        lease_seconds: 50,
        state: JobState::Open,
    };
    assert_eq!(suite.job(1), expected);
    assert_eq!(suite.ask::<Totals>(QueryMsg::Totals {}).escrow, Uint128::new(41));
}

#[test]
fn an_escrow_covers_every_task() {
    let mut suite = Suite::new();
    // 5 for each of 3 + 1 tasks in 2 rounds
    let error = suite.send("alice", &create_job("k", 3, 2, 5), 39).unwrap_err();
    let text = "an escrow of 39 does not cover 40: 5 for each of 3 + 1 tasks in 2 rounds";
    assert_eq!(error.to_string(), text);
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
}

#[test]
fn a_job_without_escrow_or_in_another_coin_is_refused() {
    let mut suite = Suite::new();
    let message = create_job("k", 1, 1, 1);
    let error = suite.refusal("alice", message.clone());
    assert_eq!(error, ContractError::Payment(PaymentError::NoFunds {}));
    let error = suite.send_coins("alice", &message, &coins(100, "other")).unwrap_err();
    assert_eq!(error, ContractError::Payment(PaymentError::MissingDenom(DENOM.into())));
}

#[test]
fn a_price_beyond_128_bits_is_refused() {
    let mut suite = Suite::new();
    let error = suite.send("alice", &create_job("k", 3, 2, u128::MAX), 40).unwrap_err();
    assert_eq!(error, ContractError::Overflow(OverflowError::new(OverflowOperation::Mul)));
}

#[test]
fn a_job_asks_for_something() {
    let mut suite = Suite::new();
    let mut no_time = create_job("k", 1, 1, 1);
    if let ExecuteMsg::CreateJob { lease_seconds, .. } = &mut no_time {
        *lease_seconds = 0;
    }
    for (field, message) in [
        ("shards", create_job("k", 0, 1, 1)),
        ("rounds", create_job("k", 1, 0, 1)),
        ("reward", create_job("k", 1, 1, 0)),
        ("lease_seconds", no_time),
    ] {
        let error = suite.send("alice", &message, 100).unwrap_err();
        assert_eq!(error, ContractError::Zero { field });
    }
}

#[test]
fn a_job_names_its_content() {
    let mut suite = Suite::new();
    for name in ["key", "spec", "dataset"] {
        let mut message = create_job("k", 1, 1, 1);
        if let ExecuteMsg::CreateJob { key, spec, dataset, .. } = &mut message {
            match name {
                "key" => key.clear(),
                "spec" => spec.clear(),
                _ => dataset.clear(),
            }
        }
        let error = suite.send("alice", &message, 100).unwrap_err();
        assert_eq!(error, ContractError::TextLength { field: name, length: 0, max: 256 });
    }
}

#[test]
fn a_key_opens_one_job_of_each_owner() {
    let mut suite = Suite::new();
    suite.pay("alice", create_job("k", 1, 1, 1), 2);
    let error = suite.send("alice", &create_job("k", 1, 1, 1), 2).unwrap_err();
    assert_eq!(error.to_string(), "job key k is already used by job 1");
    let response = suite.pay("bob", create_job("k", 1, 1, 1), 2);
    assert_eq!(attribute(&response, "job_id").unwrap(), "2");
}

#[test]
fn closing_refunds_what_is_free() {
    let mut suite = Suite::new();
    suite.pay("bob", register(4), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 41);
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    suite.run("alice", submit(1, 1, 1, &[(1, 1)]));

    let error = suite.refusal("alice", ExecuteMsg::CloseJob { job: 1 });
    assert_eq!(error, ContractError::JobUnsettled { job: 1, reserved: Uint128::new(5) });
    suite.wait(CHALLENGE);
    suite.run("dave", settle(1, 1));
    let response = suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    assert_eq!(attribute(&response, "refunded").unwrap(), "36");
    let job = suite.job(1);
    assert_eq!((job.state, job.paid.u128(), job.refunded.u128()), (JobState::Closed, 5, 36));
    assert_eq!((suite.credit("alice"), suite.credit("bob")), (36, 5));

    // The lease that was left over ends as any other.
    let response = suite.run("dave", expire(1, 1, 10));
    assert_eq!(attribute(&response, "expired").unwrap(), "1");
}

#[test]
fn a_closed_job_takes_no_more_work() {
    let mut suite = Suite::new();
    suite.pay("bob", register(4), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1)]));
    suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    for message in [
        assign(1, 1, &[(2, 1, 1)]),
        complete(1, 1, &[(0, 1)]),
        submit(1, 1, 1, &[(1, 1)]),
        ExecuteMsg::CloseJob { job: 1 },
    ] {
        assert_eq!(suite.refusal("alice", message), ContractError::JobClosed { job: 1 });
    }
    suite.run("bob", release(1, 1, &[(0, 1)]));
    suite.run("alice", release(1, 1, &[(1, 1)]));
}

#[test]
fn a_job_obeys_its_owner() {
    let mut suite = Suite::new();
    suite.pay("bob", register(4), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    suite.run("alice", assign(1, 1, &[(0, 1, 1)]));
    let messages = |job| {
        [
            assign(job, 1, &[(2, 1, 1)]),
            complete(job, 1, &[(0, 1)]),
            submit(job, 1, 1, &[(1, 1)]),
            ExecuteMsg::CloseJob { job },
            register_model("m", 1, job),
        ]
    };
    let sender = suite.address("bob");
    for message in messages(1) {
        let expected = ContractError::NotJobOwner { sender: sender.clone(), job: 1 };
        assert_eq!(suite.refusal("bob", message), expected);
    }
    let unowned = [release(2, 1, &[(0, 1)]), expire(2, 1, 1), settle(2, 1)];
    for message in messages(2).into_iter().chain(unowned) {
        assert_eq!(suite.refusal("alice", message), ContractError::JobNotFound { job: 2 });
    }
}

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

#[test]
fn no_other_message_takes_funds() {
    let mut suite = Suite::new();
    suite.pay("alice", register(4), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    for message in [
        ExecuteMsg::UpdateNode { capacity: None, manifest: None },
        ExecuteMsg::Heartbeat {},
        assign(1, 1, &[(0, 1, 1)]),
        complete(1, 1, &[(0, 1)]),
        release(1, 1, &[(0, 1)]),
        expire(1, 1, 1),
        submit(1, 1, 1, &[(1, 1)]),
        settle(1, 1),
        ExecuteMsg::CloseJob { job: 1 },
        ExecuteMsg::Withdraw {},
        register_model("m", 1, 1),
        ExecuteMsg::UpdateOwnership(cw_ownable::Action::RenounceOwnership),
    ] {
        let error = suite.send("alice", &message, 1).unwrap_err();
        assert_eq!(error, ContractError::Payment(PaymentError::NonPayable {}), "{message:?}");
    }
}
