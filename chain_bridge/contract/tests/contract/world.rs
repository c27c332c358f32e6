//! A chain on which anybody may do anything: what a throw of dice makes of the present state.
//! Zeros make the right choice, so that a failing sequence shrinks to a plain one.

use std::collections::BTreeMap;

use atlas::msg::{ExecuteMsg, JobAnswer, LeaseAnswer, NodeAnswer, RoundAnswer};
use atlas::state::{JobState, LeaseState};
use cosmwasm_std::{coin, Addr};

use crate::suite::{Suite, DENOM, PEOPLE};

/// The next throws; zeros after the last one.
#[derive(Debug, Clone)]
pub struct Dice(pub Vec<u32>);

impl Dice {
    /// Below `sides`.
    pub fn of(&mut self, sides: u32) -> u32 {
        self.0.pop().unwrap_or(0) % sides
    }

    pub fn unlikely(&mut self) -> bool {
        self.of(12) == 11
    }

    pub fn choose<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        let sides = all.len().max(1) as u32;
        all.get(self.of(sides) as usize).cloned()
    }

    /// Of those that fit, or of all when none does.
    pub fn prefer<T: Clone>(&mut self, all: &[T], fits: impl Fn(&T) -> bool) -> Option<T> {
        let fitting: Vec<T> = all.iter().filter(|one| fits(one)).cloned().collect();
        self.choose(if fitting.is_empty() { all } else { &fitting })
    }

    pub fn person(&mut self) -> String {
        PEOPLE[self.of(PEOPLE.len() as u32) as usize].to_string()
    }
}

/// Who sends what with how much.
pub type Order = (String, ExecuteMsg, u128);

pub struct World {
    pub suite: Suite,
    /// The leaves that the newest submission of a round was made of.
    pub trees: BTreeMap<(u64, u32), Vec<Vec<u8>>>,
    /// How many steps were made.
    pub number: usize,
}

impl World {
    pub fn new() -> Self {
        Self { suite: Suite::new(), trees: BTreeMap::new(), number: 0 }
    }

    /// Sends it, now and then as somebody else or with a coin that nobody wants. A refusal is as good an answer:
    /// Suite checks that it changes nothing. Whether it was accepted.
    pub fn send(&mut self, dice: &mut Dice, order: Order) -> bool {
        let (mut sender, message, funds) = order;
        if dice.unlikely() {
            sender = dice.person();
        }
        let mut coins = if funds == 0 { vec![] } else { vec![coin(funds, DENOM)] };
        if dice.of(40) == 39 {
            coins.push(coin(1, "other"));
        }
        self.suite.send_coins(&sender, &message, &coins).is_ok()
    }

    pub fn name(&self, address: &Addr) -> String {
        let is = |name: &&&str| self.suite.address(name) == *address;
        PEOPLE.iter().chain(&["admin"]).find(is).unwrap().to_string()
    }

    pub fn some_job(&self, dice: &mut Dice) -> Option<JobAnswer> {
        dice.prefer(&self.suite.jobs(), |job| job.state == JobState::Open)
    }

    pub fn some_node(&self, dice: &mut Dice) -> Option<NodeAnswer> {
        dice.choose(&self.suite.nodes())
    }

    /// A round that fits, or any when none does.
    pub fn some_round(&self, dice: &mut Dice, fits: impl Fn(&Round) -> bool) -> Option<Round> {
        let jobs = self.suite.jobs();
        let numbers = jobs.iter().flat_map(|job| (1..=job.rounds).map(move |round| (job, round)));
        let rounds: Vec<Round> = numbers
            .map(|(job, number)| Round {
                job: job.clone(),
                number,
                leases: self.suite.leases(job.id, number),
                submitted: self.suite.round(job.id, number),
            })
            .collect();
        dice.prefer(&rounds, fits)
    }
}

/// How far a round is.
#[derive(Clone)]
pub struct Round {
    pub job: JobAnswer,
    pub number: u32,
    pub leases: Vec<LeaseAnswer>,
    pub submitted: Option<RoundAnswer>,
}

impl Round {
    pub fn has(&self, state: LeaseState) -> bool {
        self.leases.iter().any(|lease| lease.state == state)
    }

    pub fn is_open(&self) -> bool {
        self.job.state == JobState::Open && self.submitted.is_none()
    }

    /// Whether it waits for its settlement, which may come from `now` on.
    pub fn is_due(&self, now: u64) -> bool {
        let due = |round: &RoundAnswer| round.settled_at.is_none() && round.settle_from <= now;
        self.submitted.as_ref().is_some_and(due)
    }

    /// The completed leases, by slot.
    pub fn completed(&self) -> Vec<LeaseAnswer> {
        let completed = |lease: &&LeaseAnswer| lease.state == LeaseState::Completed;
        self.leases.iter().filter(completed).cloned().collect()
    }

    /// Slots and attempts of some active leases, or of others when none is active.
    pub fn some_leases(&self, dice: &mut Dice) -> Vec<(u32, u32)> {
        let active = |lease: &LeaseAnswer| lease.state == LeaseState::Active;
        let chosen: Vec<_> =
            (0..=dice.of(4)).filter_map(|_| dice.prefer(&self.leases, active)).collect();
        let chosen: BTreeMap<u32, u32> =
            chosen.iter().map(|l| (l.slot, l.attempt + u32::from(dice.unlikely()))).collect();
        chosen.into_iter().collect()
    }
}
