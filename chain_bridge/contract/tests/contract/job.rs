//! create_job, top_up, cancel_job, close_job, and that no other message takes funds.

use atlas::msg::{ExecuteMsg, JobAnswer, QueryMsg};
use atlas::state::{JobState, Totals};
use atlas::ContractError;
use cosmwasm_std::{coins, OverflowError, OverflowOperation, Uint128};
use cw_utils::PaymentError;

use crate::messages::{
    assign, complete, create_job, expire, register, register_model, release, settle, submit,
};
use crate::suite::{attribute, Suite, DENOM, MIN_STAKE};

#[test]
fn a_job_holds_its_escrow() {
    let mut suite = Suite::new();
    let response = suite.pay("alice", create_job("k", 3, 2, 5), 41);
    assert_eq!(attribute(&response, "action").unwrap(), "create_job");
    assert_eq!(attribute(&response, "job_id").unwrap(), "1");
    let expected = JobAnswer {
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
        ("rounds", create_job("k", 1, 0, 1)),
        ("reward", create_job("k", 1, 1, 0)),
        ("lease_seconds", no_time),
    ] {
        let error = suite.send("alice", &message, 100).unwrap_err();
        assert_eq!(error, ContractError::Zero { field });
    }
    for found in [0, 10_001] {
        let error = suite.send("alice", &create_job("k", found, 1, 1), 20_000).unwrap_err();
        let expected = ContractError::OutOfRange { field: "shards", found, max: 10_000 };
        assert_eq!(error, expected);
    }
    suite.pay("alice", create_job("k", 10_000, 1, 1), 10_001);
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

pub fn top_up(job: u64, key: &str) -> ExecuteMsg {
    ExecuteMsg::TopUp { job, key: key.into() }
}

#[test]
fn a_key_tops_up_once() {
    let mut suite = Suite::new();
    suite.pay("alice", create_job("k", 1, 1, 1), 2);
    suite.pay("alice", create_job("l", 1, 1, 1), 2);
    let response = suite.pay("alice", top_up(1, "k"), 7);
    assert_eq!(attribute(&response, "amount").unwrap(), "7");
    assert_eq!(suite.job(1).deposited.u128(), 9);
    for job in [1, 2] {
        let error = suite.send("alice", &top_up(job, "k"), 7).unwrap_err();
        assert_eq!(error, ContractError::TopUpKeyUsed { key: "k".into(), job: 1 });
    }
    suite.pay("alice", top_up(2, "l"), 1);

    let error = suite.send("alice", &top_up(1, ""), 1).unwrap_err();
    assert_eq!(error, ContractError::TextLength { field: "key", length: 0, max: 256 });
    let no_funds = ContractError::Payment(PaymentError::NoFunds {});
    assert_eq!(suite.refusal("alice", top_up(1, "m")), no_funds);
    let error = suite.send_coins("alice", &top_up(1, "m"), &coins(1, "other")).unwrap_err();
    assert_eq!(error, ContractError::Payment(PaymentError::MissingDenom(DENOM.into())));
    let error = suite.send("bob", &top_up(1, "m"), 1).unwrap_err();
    assert_eq!(error, ContractError::NotJobOwner { sender: suite.address("bob"), job: 1 });
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
            ExecuteMsg::CancelJob { job },
            ExecuteMsg::CloseJob { job },
            ExecuteMsg::RollbackRound { job, round: 1 },
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
fn no_other_message_takes_funds() {
    let mut suite = Suite::new();
    suite.pay("alice", register(4), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    for message in [
        ExecuteMsg::UpdateNode { capacity: None, manifest: None, public_key: None },
        ExecuteMsg::WithdrawStake { amount: Uint128::one() },
        ExecuteMsg::ClaimStake {},
        ExecuteMsg::DeregisterNode {},
        ExecuteMsg::Heartbeat {},
        ExecuteMsg::HeartbeatBatch { beats: vec![] },
        ExecuteMsg::CancelJob { job: 1 },
        assign(1, 1, &[(0, 1, 1)]),
        complete(1, 1, &[(0, 1)]),
        release(1, 1, &[(0, 1)]),
        expire(1, 1, 1),
        submit(1, 1, 1, &[(1, 1)]),
        settle(1, 1),
        ExecuteMsg::RollbackRound { job: 1, round: 1 },
        ExecuteMsg::ResolveChallenge { job: 1, round: 1, index: 0, upheld: true },
        ExecuteMsg::DismissChallenge { job: 1, round: 1, index: 0 },
        ExecuteMsg::ClaimAbandoned { job: 1, round: 1 },
        ExecuteMsg::CloseJob { job: 1 },
        ExecuteMsg::Withdraw {},
        ExecuteMsg::WithdrawFor { addresses: vec![] },
        ExecuteMsg::AnnounceStorage { cids: vec![] },
        register_model("m", 1, 1),
        ExecuteMsg::Pause { paused: true },
        ExecuteMsg::UpdateConfig { change: Default::default() },
        ExecuteMsg::UpdateOwnership(cw_ownable::Action::RenounceOwnership),
    ] {
        let error = suite.send("alice", &message, 1).unwrap_err();
        assert_eq!(error, ContractError::Payment(PaymentError::NonPayable {}), "{message:?}");
    }
}
