//! Whatever anybody does in whatever order, the books are right (Suite checks them after each message),
//! and in the end every coin comes out again.

use std::collections::BTreeMap;

use atlas::msg::{ExecuteMsg, LeaseAnswer, QueryMsg};
use atlas::state::{Job, JobState, LeaseState, Node, Totals};
use proptest::prelude::*;
use proptest::sample::{subsequence, Index};

use crate::messages::{assign, complete, create_job, expire, register, release, settle, submit};
use crate::suite::{Suite, CHALLENGE, MAX_BATCH, MIN_STAKE, PEOPLE};

#[derive(Debug, Clone)]
enum Step {
    Register { who: usize, capacity: u32 },
    Resize { who: usize, capacity: u32 },
    Heartbeats { who: Vec<usize> },
    Wait { seconds: u64 },
    Create { who: usize, shards: u32, rounds: u32, reward: u128, surplus: i128 },
    OfJob { job: Index, round: u32, sender: Option<usize>, step: JobStep },
    Withdraw { who: usize },
}

/// Sent by the job's owner unless the step names another sender.
#[derive(Debug, Clone)]
enum JobStep {
    Assign { picks: Vec<(Index, Index)>, attempt_error: u32 },
    Complete { picks: Vec<Index> },
    Release { picks: Vec<Index> },
    Expire { limit: u32 },
    Submit { count_error: u32 },
    Settle,
    Close,
}

fn who() -> impl Strategy<Value = usize> {
    0..PEOPLE.len()
}

/// Mostly zero, so that most messages are right.
fn seldom_one() -> impl Strategy<Value = u32> {
    prop_oneof![12 => Just(0u32), 1 => Just(1u32)]
}

fn job_step() -> impl Strategy<Value = JobStep> {
    let picks = || prop::collection::vec(any::<Index>(), 1..4);
    let pairs = prop::collection::vec(any::<(Index, Index)>(), 1..4);
    prop_oneof![
        8 => (pairs, seldom_one())
            .prop_map(|(picks, attempt_error)| JobStep::Assign { picks, attempt_error }),
        8 => picks().prop_map(|picks| JobStep::Complete { picks }),
        2 => picks().prop_map(|picks| JobStep::Release { picks }),
        3 => (1..4u32).prop_map(|limit| JobStep::Expire { limit }),
        3 => seldom_one().prop_map(|count_error| JobStep::Submit { count_error }),
        6 => Just(JobStep::Settle),
        1 => Just(JobStep::Close),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let sender = prop_oneof![8 => Just(None), 1 => who().prop_map(Some)];
    let surplus = prop_oneof![4 => 0..5i128, 1 => Just(-1i128)];
    let seconds = prop_oneof![4 => 1..30u64, 1 => Just(CHALLENGE)];
    let crowd = subsequence((0..PEOPLE.len()).collect::<Vec<_>>(), 1..=PEOPLE.len());
    prop_oneof![
        1 => (who(), 0..4u32).prop_map(|(who, capacity)| Step::Register { who, capacity }),
        1 => (who(), 0..4u32).prop_map(|(who, capacity)| Step::Resize { who, capacity }),
        8 => crowd.prop_map(|who| Step::Heartbeats { who }),
        6 => seconds.prop_map(|seconds| Step::Wait { seconds }),
        1 => (who(), 1..4u32, 1..3u32, 1..50u128, surplus).prop_map(
            |(who, shards, rounds, reward, surplus)| {
                Step::Create { who, shards, rounds, reward, surplus }
            }
        ),
        32 => (any::<Index>(), 1..3u32, sender, job_step())
            .prop_map(|(job, round, sender, step)| Step::OfJob { job, round, sender, step }),
        1 => who().prop_map(|who| Step::Withdraw { who }),
    ]
}

/// What a step sends: sender, message, funds. Some of it is right and some is not.
fn messages(suite: &Suite, number: usize, step: Step) -> Vec<(usize, ExecuteMsg, u128)> {
    match step {
        Step::Register { who, capacity } => vec![(who, register(capacity), MIN_STAKE)],
        Step::Resize { who, capacity } => {
            let message = ExecuteMsg::UpdateNode { capacity: Some(capacity), manifest: None };
            vec![(who, message, 0)]
        }
        Step::Heartbeats { who } => {
            who.into_iter().map(|who| (who, ExecuteMsg::Heartbeat {}, 0)).collect()
        }
        Step::Wait { .. } => vec![],
        Step::Create { who, shards, rounds, reward, surplus } => {
            let price = reward * u128::from((shards + 1) * rounds);
            let message = create_job(&format!("key-{number}"), shards, rounds, reward);
            vec![(who, message, price.saturating_add_signed(surplus))]
        }
        Step::OfJob { job, round, sender, step } => {
            let jobs = preferred(suite.jobs(), |job| job.state == JobState::Open);
            let job = job.get(&jobs);
            let sender = sender.unwrap_or_else(|| owner(suite, job));
            vec![(sender, job_message(suite, job, round, step), 0)]
        }
        Step::Withdraw { who } => vec![(who, ExecuteMsg::Withdraw {}, 0)],
    }
}

fn owner(suite: &Suite, job: &Job) -> usize {
    PEOPLE.iter().position(|name| suite.address(name) == job.owner).unwrap()
}

fn job_message(suite: &Suite, job: &Job, round: u32, step: JobStep) -> ExecuteMsg {
    let leases = suite.leases(job.id, round);
    match step {
        JobStep::Assign { picks, attempt_error } => {
            let slots = (0..=job.shards).collect();
            let slots = preferred(slots, |slot| !leases.iter().any(|l| l.slot == *slot && l.live));
            let nodes = preferred(suite.nodes(), |node| node.used < node.capacity);
            let item = |(slot, node): (Index, Index)| {
                let (slot, node): (u32, &Node) = (*slot.get(&slots), node.get(&nodes));
                let previous = leases.iter().find(|lease| lease.slot == slot);
                let attempt = previous.map_or(0, |lease| lease.attempt) + 1 + attempt_error;
                (slot, node.id, attempt)
            };
            assign(job.id, round, &picks.into_iter().map(item).collect::<Vec<_>>())
        }
        JobStep::Complete { picks } => complete(job.id, round, &ends(leases, picks)),
        JobStep::Release { picks } => release(job.id, round, &ends(leases, picks)),
        JobStep::Expire { limit } => expire(job.id, round, limit),
        JobStep::Submit { count_error } => {
            let mut done: BTreeMap<u32, u32> = BTreeMap::new();
            for lease in leases.iter().filter(|lease| lease.state == LeaseState::Completed) {
                *done.entry(lease.node).or_insert(count_error) += 1;
            }
            let shares: Vec<_> = done.into_iter().collect();
            let leaf_count = shares.iter().map(|(_, count)| count).sum();
            submit(job.id, round, leaf_count, &shares)
        }
        JobStep::Settle => settle(job.id, round),
        JobStep::Close => ExecuteMsg::CloseJob { job: job.id },
    }
}

/// Slots and attempts of active leases, or of any when none is active.
fn ends(leases: Vec<LeaseAnswer>, picks: Vec<Index>) -> Vec<(u32, u32)> {
    let leases = preferred(leases, |lease| lease.state == LeaseState::Active);
    if leases.is_empty() {
        return vec![(0, 1)];
    }
    let chosen: BTreeMap<u32, u32> =
        picks.iter().map(|pick| pick.get(&leases)).map(|l| (l.slot, l.attempt)).collect();
    chosen.into_iter().collect()
}

/// Those that fit, or all when none does.
fn preferred<T>(all: Vec<T>, fits: impl Fn(&T) -> bool) -> Vec<T> {
    if all.iter().any(&fits) {
        all.into_iter().filter(fits).collect()
    } else {
        all
    }
}

/// Settles, expires, closes and withdraws all there is: none of it may be refused.
fn wind_up(suite: &mut Suite) {
    suite.wait(CHALLENGE);
    for job in suite.jobs() {
        for round in 1..=job.rounds {
            if suite.round(job.id, round).is_some_and(|round| round.settled_at.is_none()) {
                suite.run("dave", settle(job.id, round));
            }
            suite.run("dave", expire(job.id, round, MAX_BATCH));
        }
        if job.state == JobState::Open {
            let owner = owner(suite, &job);
            suite.run(PEOPLE[owner], ExecuteMsg::CloseJob { job: job.id });
        }
    }
    for name in PEOPLE {
        if suite.credit(name) > 0 {
            suite.run(name, ExecuteMsg::Withdraw {});
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_books_are_right_after_any_sequence(steps in prop::collection::vec(step(), 20..120)) {
        let mut suite = Suite::new();
        suite.pay("bob", register(3), MIN_STAKE);
        suite.pay("carol", register(2), MIN_STAKE);
        suite.pay("alice", create_job("first", 3, 2, 7), 60);
        for (number, step) in steps.into_iter().enumerate() {
            if let Step::Wait { seconds } = &step {
                suite.wait(*seconds);
            }
            for (sender, message, funds) in messages(&suite, number, step) {
                // A refusal is as good an answer; Suite checks that it changed nothing.
                let _ = suite.send(PEOPLE[sender], &message, funds);
            }
        }

        wind_up(&mut suite);
        let totals: Totals = suite.ask(QueryMsg::Totals {});
        prop_assert_eq!((totals.escrow.u128(), totals.credit.u128()), (0, 0));
        prop_assert_eq!(suite.balance(&suite.contract), totals.stake.u128());
        prop_assert!(suite.nodes().iter().all(|node| node.used == 0));
    }
}
