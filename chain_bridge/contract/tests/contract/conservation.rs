//! Whatever anybody does in whatever order, the books are right (Suite checks them after each message),
//! and in the end every coin comes out again.

use atlas::msg::{ExecuteMsg, QueryMsg};
use atlas::state::{ChallengeState, JobState, LeaseState, NodeKind, NodeStatus, Totals};
use cosmwasm_std::Uint128;
use proptest::prelude::*;

use crate::messages::{assign, create_job, expire, settle, submit};
use crate::steps::{registration, Step, WEIGHTS};
use crate::suite::{Suite, HEARTBEAT, MAX_BATCH, MIN_STAKE, PEOPLE};
use crate::world::{Dice, World};

/// Longer than any time that a message may have to wait for.
const LONG: u64 = 100_000;

fn step() -> impl Strategy<Value = (Step, Dice)> {
    let times = |&(weight, step): &(u32, Step)| vec![step; weight as usize];
    let steps: Vec<Step> = WEIGHTS.iter().flat_map(times).collect();
    let dice = prop::collection::vec(any::<u32>(), 32).prop_map(Dice);
    (prop::sample::select(steps), dice)
}

/// Two compute nodes, the first of which is near jail, a storage node, and a job.
fn begin() -> World {
    let mut world = World::new();
    let suite = &mut world.suite;
    let (compute, storage) = (NodeKind::Compute, NodeKind::Storage);
    suite.pay("bob", registration("bob", compute, 3), MIN_STAKE + 20);
    suite.run("bob", ExecuteMsg::WithdrawStake { amount: Uint128::new(20) });
    suite.pay("carol", registration("carol", compute, 2), MIN_STAKE + 3);
    suite.pay("dave", registration("dave", storage, 3), MIN_STAKE);
    suite.pay("alice", create_job("first", 3, 2, 7), 60);
    for attempt in 1..=6 {
        suite.run("bob", ExecuteMsg::Heartbeat {});
        suite.run("alice", assign(1, 1, &[0, 1, 2].map(|slot| (slot, 1, attempt))));
        suite.wait(HEARTBEAT + 1);
        suite.run("dave", expire(1, 1, 3));
    }
    world
}

/// Ends all there is and takes out every coin: none of it may be refused.
fn wind_up(suite: &mut Suite) {
    suite.run("admin", ExecuteMsg::Pause { paused: false });
    suite.wait(LONG);
    for job in suite.jobs() {
        let owner = name(suite, job.owner.as_str());
        for round in 1..=job.rounds {
            end_challenges(suite, job.id, round);
            end_leases(suite, job.id, round);
            pay_round(suite, &owner, job.id, round);
        }
        if job.state != JobState::Closed {
            suite.run(&owner, ExecuteMsg::CloseJob { job: job.id });
        }
    }
    for node in suite.nodes() {
        let owner = name(suite, node.owner.as_str());
        end_node(suite, &owner, node.id);
    }
    for name in PEOPLE.iter().chain(&["admin"]) {
        if suite.credit(name) > 0 {
            suite.run(name, ExecuteMsg::Withdraw {});
        }
    }
    let amount = suite.ask::<Totals>(QueryMsg::Totals {}).treasury;
    if !amount.is_zero() {
        let to = suite.address("admin").into_string();
        suite.run("admin", ExecuteMsg::WithdrawTreasury { to, amount });
    }
}

fn name(suite: &Suite, address: &str) -> String {
    let is = |name: &&&str| suite.address(name).as_str() == address;
    PEOPLE.iter().chain(&["admin"]).find(is).unwrap().to_string()
}

fn end_challenges(suite: &mut Suite, job: u64, round: u32) {
    for found in suite.challenges(job, round) {
        if found.state == ChallengeState::Open {
            let index = found.index;
            suite.run("dave", ExecuteMsg::DismissChallenge { job, round, index });
        }
    }
}

fn end_leases(suite: &mut Suite, job: u64, round: u32) {
    suite.run("dave", expire(job, round, MAX_BATCH));
    let leases = suite.leases(job, round);
    assert!(leases.iter().all(|lease| lease.state != LeaseState::Active));
}

/// By its submission or, when its nodes have begun to claim, by their claims.
fn pay_round(suite: &mut Suite, owner: &str, job: u64, round: u32) {
    let books = suite.books();
    let unpaid = |node: u32| books.unpaid(&suite.claimed, job, round, node);
    let due: Vec<_> = books.nodes.iter().map(|node| (node.id, unpaid(node.id))).collect();
    let due: Vec<_> = due.into_iter().filter(|(_, count)| *count > 0).collect();
    let claimed = suite.claimed.keys().any(|key| (key.0, key.1) == (job, round));
    match suite.round(job, round) {
        Some(found) if found.settled_at.is_some() => {}
        Some(_) => drop(suite.run("dave", settle(job, round))),
        None if claimed => {
            for (node, _) in due {
                let owner = name(suite, books.node(node).owner.as_str());
                suite.run(&owner, ExecuteMsg::ClaimAbandoned { job, round });
            }
        }
        None if due.is_empty() => {}
        None => {
            let leaf_count = due.iter().map(|(_, count)| count).sum();
            suite.run(owner, submit(job, round, leaf_count, &due));
            suite.wait(LONG);
            suite.run("dave", settle(job, round));
        }
    }
}

fn end_node(suite: &mut Suite, owner: &str, id: u32) {
    for held in suite.holdings(id) {
        let cid = held.cid;
        match held.audit {
            Some(_) => suite.run("alice", ExecuteMsg::ExpireAudit { cid, node: id }),
            None => suite.run(owner, ExecuteMsg::DropStorage { cids: vec![cid] }),
        };
    }
    if !suite.node(id).unbonding.is_empty() {
        suite.run(owner, ExecuteMsg::ClaimStake {});
    }
    if suite.node(id).status != NodeStatus::Retired {
        suite.run(owner, ExecuteMsg::DeregisterNode {});
    }
    if !suite.node(id).unbonding.is_empty() {
        suite.wait(LONG);
        suite.run(owner, ExecuteMsg::ClaimStake {});
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_books_are_right_after_any_sequence(steps in prop::collection::vec(step(), 20..140)) {
        let mut world = begin();
        for (step, mut dice) in steps {
            world.step(step, &mut dice);
        }
        let suite = &mut world.suite;
        wind_up(suite);
        let totals: Totals = suite.ask(QueryMsg::Totals {});
        let Totals { escrow, stake, credit, treasury, .. } = totals;
        prop_assert_eq!([escrow, stake, credit, treasury], [Uint128::zero(); 4]);
        prop_assert_eq!(suite.balance(&suite.contract), 0);
        prop_assert!(suite.nodes().iter().all(|node| node.used == 0));
    }
}
