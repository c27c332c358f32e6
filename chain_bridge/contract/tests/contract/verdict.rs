//! resolve_challenge, dismiss_challenge, and what they mean for the settlement.

use atlas::msg::{ConfigChange, ExecuteMsg, QueryMsg};
use atlas::state::{ChallengeState, NodeStatus, Totals};
use atlas::ContractError;
use cosmwasm_std::Uint128;
use cw_ownable::OwnershipError;

use crate::messages::settle;
use crate::submitted::{dismiss, resolve, Submitted, REWARD};
use crate::suite::{attribute, Suite, BOND, CHALLENGE, DISPUTE, UNBONDING};

#[test]
fn an_upheld_challenge_slashes_and_strikes() {
    let mut round = Submitted::new();
    round.challenge(0);
    let not_owner = ContractError::Ownership(OwnershipError::NotOwner);
    assert_eq!(round.suite.refusal("alice", resolve(0, true)), not_owner);
    let response = round.suite.run("admin", resolve(0, true));
    assert_eq!(attribute(&response, "verdict").unwrap(), "upheld");
    let slash = response.events.iter().find(|event| event.ty == "wasm-slash").unwrap();
    let value =
        |key: &str| slash.attributes.iter().find(|found| found.key == key).unwrap().value.clone();
    // A quarter of 100; the owner of the job gets the reward of the task, the treasury the rest.
    let values = ["node_id", "amount", "to_owner", "to_treasury"].map(value);
    assert_eq!(values, ["1", "25", "7", "18"]);
    let node = round.suite.node(1);
    assert_eq!((node.reputation, node.stake.u128()), (53, 75));
    assert_eq!((round.suite.credit("alice"), round.suite.credit("dave")), (REWARD, BOND));
    assert_eq!(round.state(0), ChallengeState::Upheld);

    round.suite.wait(CHALLENGE);
    round.suite.run("dave", settle(1, 1));
    // 28 · 75 % is 21, of which two of three tasks are paid.
    assert_eq!((round.suite.credit("bob"), round.suite.credit("carol")), (14, 7));
    assert_eq!(round.suite.round(1, 1).unwrap().struck, [(1, 1)]);
    let job = round.suite.job(1);
    assert_eq!((job.reserved.u128(), job.paid.u128()), (0, 21));
    round.suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    assert_eq!(round.suite.credit("alice"), REWARD + 6 * REWARD - 21);
}

#[test]
fn what_unbonds_is_slashed_after_the_stake() {
    let mut round = Submitted::new();
    for amount in [60, 30] {
        round.suite.run("bob", ExecuteMsg::WithdrawStake { amount: Uint128::new(amount) });
    }
    let parts = |suite: &Suite| -> (u128, Vec<u128>) {
        let node = suite.node(1);
        (node.stake.u128(), node.unbonding.iter().map(|part| part.amount.u128()).collect())
    };
    round.challenge(0);
    round.suite.run("admin", resolve(0, true));
    assert_eq!(parts(&round.suite), (0, vec![45, 30]));
    for index in [1, 2] {
        round.challenge(index);
        round.suite.run("admin", resolve(index, true));
    }
    // A quarter of 75 is 18, of 57 is 14.
    assert_eq!(parts(&round.suite), (0, vec![13, 30]));
    // No reputation is left of 103.
    let node = round.suite.node(1);
    assert_eq!((node.reputation, node.status), (0, NodeStatus::Jailed));
    round.suite.wait(UNBONDING);
    round.suite.run("bob", ExecuteMsg::ClaimStake {});
    assert_eq!(round.suite.credit("bob"), 43);
    round.suite.run("dave", settle(1, 1));
    // All three tasks are struck.
    assert_eq!((round.suite.credit("bob"), round.suite.credit("carol")), (43, 7));
}

#[test]
fn a_node_that_left_is_slashed_too() {
    let mut round = Submitted::new();
    round.suite.run("carol", ExecuteMsg::DeregisterNode {});
    round.challenge(3);
    round.suite.run("admin", resolve(3, true));
    let node = round.suite.node(2);
    assert_eq!((node.status, node.reputation), (NodeStatus::Retired, 51));
    assert_eq!(node.unbonding[0].amount.u128(), 75);
}

#[test]
fn a_small_slash_goes_to_the_owner_of_the_job_alone() {
    let mut round = Submitted::new();
    let change = ConfigChange { slash_bps: Some(300), ..Default::default() };
    round.suite.run("admin", ExecuteMsg::UpdateConfig { change });
    round.challenge(3);
    round.suite.run("admin", resolve(3, true));
    let totals: Totals = round.suite.ask(QueryMsg::Totals {});
    assert_eq!((round.suite.credit("alice"), totals.treasury.u128()), (3, 0));
}

#[test]
fn a_rejected_challenge_costs_its_bond() {
    let mut round = Submitted::new();
    round.challenge(0);
    round.suite.run("admin", resolve(0, false));
    assert_eq!(round.state(0), ChallengeState::Rejected);
    let totals: Totals = round.suite.ask(QueryMsg::Totals {});
    assert_eq!((totals.treasury.u128(), round.suite.credit("dave")), (BOND, 0));
    assert_eq!(round.suite.node(1).reputation, 103);
    round.suite.wait(CHALLENGE);
    round.suite.run("dave", settle(1, 1));
    assert_eq!(round.suite.credit("bob"), 21);
}

#[test]
fn nobody_decides_a_challenge_after_its_time() {
    let mut round = Submitted::new();
    round.challenge(0);
    let until = round.suite.now() + DISPUTE;
    round.suite.wait(DISPUTE - 1);
    let pending = ContractError::ChallengePending { index: 0, from: until, now: until - 1 };
    assert_eq!(round.suite.refusal("bob", dismiss(0)), pending);
    round.suite.wait(1);
    let lapsed = ContractError::ChallengeLapsed { index: 0, until, now: until };
    assert_eq!(round.suite.refusal("admin", resolve(0, true)), lapsed);
    round.suite.run("bob", dismiss(0));
    assert_eq!((round.state(0), round.suite.credit("dave")), (ChallengeState::Dismissed, BOND));

    let decided = ContractError::ChallengeDecided { index: 0, state: ChallengeState::Dismissed };
    assert_eq!(round.suite.refusal("bob", dismiss(0)), decided);
    assert_eq!(round.suite.refusal("admin", resolve(0, true)), decided);
    let missing = ContractError::ChallengeNotFound { job: 1, round: 1, index: 1 };
    assert_eq!(round.suite.refusal("bob", dismiss(1)), missing);
    assert_eq!(round.suite.refusal("admin", resolve(1, true)), missing);
    round.suite.wait(CHALLENGE);
    round.suite.run("dave", settle(1, 1));
}
