//! challenge, and rollback_round where there are challenges.

use atlas::msg::{ChallengeAnswer, ConfigChange, ExecuteMsg};
use atlas::state::ChallengeState;
use atlas::ContractError;
use cosmwasm_std::{coins, Binary, Uint128};
use cw_utils::PaymentError;

use crate::messages::{assign, release, settle};
use crate::proofs::proof;
use crate::submitted::{completed, dismiss, resolve, rollback, true_leaves, Submitted};
use crate::suite::{BOND, CHALLENGE, DENOM, DISPUTE};

#[test]
fn a_challenge_is_kept_and_blocks_the_settlement() {
    let mut round = Submitted::new();
    let until = round.suite.now() + DISPUTE;
    round.challenge(2);
    let expected = ChallengeAnswer {
        job: 1,
        round: 1,
        index: 2,
        slot: 2,
        node: 1,
        challenger: round.suite.address("dave"),
        bond: Uint128::new(BOND),
        evidence: "bafyfound".into(),
        until,
        state: ChallengeState::Open,
    };
    assert_eq!(round.found(2), Some(expected));
    round.challenge(0);
    let indices: Vec<u32> =
        round.suite.challenges(1, 1).iter().map(|challenge| challenge.index).collect();
    assert_eq!(indices, [0, 2]);
    assert_eq!(round.suite.round(1, 1).unwrap().open_challenges, 2);
    round.suite.wait(CHALLENGE);
    let open = ContractError::RoundChallenged { job: 1, round: 1, open: 2 };
    assert_eq!(round.suite.refusal("dave", settle(1, 1)), open);
    assert_eq!(round.suite.refusal("alice", rollback()), open);
}

#[test]
fn a_result_is_challenged_once_in_the_window() {
    let mut round = Submitted::new();
    round.challenge(0);
    let again = ContractError::AlreadyChallenged { job: 1, round: 1, index: 0 };
    let message = round.message(0);
    assert_eq!(round.suite.send("bob", &message, BOND).unwrap_err(), again);
    round.suite.run("admin", resolve(0, false));
    assert_eq!(round.suite.send("bob", &message, BOND).unwrap_err(), again);

    let until = round.suite.round(1, 1).unwrap().settle_from;
    round.suite.wait(CHALLENGE);
    let over = ContractError::WindowOver { job: 1, round: 1, until, now: until };
    let message = round.message(1);
    assert_eq!(round.suite.send("dave", &message, BOND).unwrap_err(), over);
    round.suite.run("dave", settle(1, 1));
    let settled = ContractError::RoundSettled { job: 1, round: 1, at: until };
    assert_eq!(round.suite.send("dave", &message, BOND).unwrap_err(), settled);
    assert_eq!(round.suite.refusal("admin", resolve(0, true)), settled);
    assert_eq!(round.suite.refusal("alice", rollback()), settled);
}

#[test]
fn a_challenge_costs_exactly_its_bond() {
    let mut round = Submitted::new();
    let message = round.message(0);
    let expected = Uint128::new(BOND);
    for found in [BOND - 1, BOND + 1] {
        let error = round.suite.send("dave", &message, found).unwrap_err();
        assert_eq!(error, ContractError::WrongBond { found: found.into(), expected });
    }
    let none = ContractError::Payment(PaymentError::NoFunds {});
    assert_eq!(round.suite.refusal("dave", message.clone()), none);
    let error = round.suite.send_coins("dave", &message, &coins(BOND, "other")).unwrap_err();
    assert_eq!(error, ContractError::Payment(PaymentError::MissingDenom(DENOM.into())));

    let change = ConfigChange { challenge_bond: Some(Uint128::zero()), ..Default::default() };
    round.suite.run("admin", ExecuteMsg::UpdateConfig { change });
    let error = round.suite.send("dave", &message, 1).unwrap_err();
    assert_eq!(error, ContractError::Payment(PaymentError::NonPayable {}));
    round.suite.run("dave", message);
}

#[test]
fn what_is_not_proven_is_no_challenge() {
    let mut round = Submitted::new();
    let invalid = ContractError::InvalidProof { index: 0 };
    let forged = [
        |leaf: &mut Binary, _: &mut Vec<Binary>| *leaf = b"other".into(),
        |_: &mut Binary, proof: &mut Vec<Binary>| proof.truncate(1),
        |_: &mut Binary, proof: &mut Vec<Binary>| proof.push([0; 32].into()),
        |_: &mut Binary, proof: &mut Vec<Binary>| proof.reverse(),
    ];
    for forge in forged {
        let mut message = round.message(0);
        if let ExecuteMsg::Challenge { leaf, proof, .. } = &mut message {
            forge(leaf, proof);
        }
        assert_eq!(round.suite.send("dave", &message, BOND).unwrap_err(), invalid);
    }
    let mut elsewhere = round.message(0);
    if let ExecuteMsg::Challenge { index, .. } = &mut elsewhere {
        *index = 1;
    }
    let expected = ContractError::InvalidProof { index: 1 };
    assert_eq!(round.suite.send("dave", &elsewhere, BOND).unwrap_err(), expected);
    if let ExecuteMsg::Challenge { index, .. } = &mut elsewhere {
        *index = 4;
    }
    let expected = ContractError::NoSuchLeaf { index: 4, leaf_count: 4 };
    assert_eq!(round.suite.send("dave", &elsewhere, BOND).unwrap_err(), expected);
    let mut silent = round.message(0);
    if let ExecuteMsg::Challenge { evidence, .. } = &mut silent {
        evidence.clear();
    }
    let expected = ContractError::TextLength { field: "evidence", length: 0, max: 256 };
    assert_eq!(round.suite.send("dave", &silent, BOND).unwrap_err(), expected);
}

#[test]
fn only_a_submitted_round_is_challenged() {
    let mut suite = completed();
    let leaves = true_leaves(&suite);
    let message = ExecuteMsg::Challenge {
        job: 1,
        round: 1,
        index: 0,
        leaf: leaves[0].clone().into(),
        proof: proof(&leaves, 0),
        evidence: "bafyfound".into(),
    };
    let missing = ContractError::RoundNotSubmitted { job: 1, round: 1 };
    assert_eq!(suite.send("dave", &message, BOND).unwrap_err(), missing);
    assert_eq!(suite.refusal("admin", resolve(0, true)), missing);
    assert_eq!(suite.refusal("dave", dismiss(0)), missing);
    assert_eq!(suite.refusal("alice", rollback()), missing);
}

#[test]
fn a_rollback_forgets_the_submission_and_its_challenges() {
    let mut round = Submitted::new();
    round.challenge(0);
    round.suite.run("admin", resolve(0, true));
    let sender = round.suite.address("bob");
    let stranger = ContractError::NotJobOwner { sender, job: 1 };
    assert_eq!(round.suite.refusal("bob", rollback()), stranger);
    let reserved = round.suite.job(1).reserved;
    round.suite.run("alice", rollback());
    assert_eq!((round.suite.round(1, 1), round.found(0)), (None, None));
    assert_eq!(round.suite.job(1).reserved, reserved);

    // What was not completed may be leased again, and the round submitted anew.
    round.suite.run("alice", assign(1, 1, &[(4, 2, 2)]));
    round.suite.run("carol", release(1, 1, &[(4, 2)]));
    round.submit();
    assert!(round.suite.round(1, 1).unwrap().struck.is_empty());
    round.challenge(0);
}
