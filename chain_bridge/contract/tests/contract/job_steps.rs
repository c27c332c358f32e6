//! The steps of a random story that are of a job or a round.

use std::collections::BTreeMap;

use atlas::msg::{ExecuteMsg, NodeAnswer};
use atlas::state::{ChallengeState, LeaseState, NodeKind, NodeStatus};

use crate::messages;
use crate::proofs;
use crate::steps::Step;
use crate::suite::{BOND, HEARTBEAT};
use crate::world::{Dice, Order, Round, World};

impl World {
    pub fn of_job(&self, step: Step, dice: &mut Dice) -> Option<Order> {
        if step == Step::CreateJob {
            let (shards, rounds) = (1 + dice.of(4), 1 + dice.of(2));
            let (reward, more) = (u128::from(1 + dice.of(30)), u128::from(dice.of(50)));
            let price = reward * u128::from((shards + 1) * rounds);
            let key = format!("job-{}", if dice.unlikely() { 0 } else { self.number });
            let funds = price + more - u128::from(dice.unlikely());
            return Some((
                dice.person(),
                messages::create_job(&key, shards, rounds, reward),
                funds,
            ));
        }
        if step == Step::TopUp || step == Step::EndJob {
            let job = self.some_job(dice)?;
            let (owner, job) = (self.name(&job.owner), job.id);
            let key = format!("top-up-{}", if dice.unlikely() { 0 } else { self.number });
            let funds = u128::from(dice.of(40));
            return Some(match dice.of(4) {
                _ if step == Step::TopUp => (owner, ExecuteMsg::TopUp { job, key }, funds),
                0 => (owner, ExecuteMsg::CancelJob { job }, 0),
                _ => (owner, ExecuteMsg::CloseJob { job }, 0),
            });
        }
        let now = self.suite.now();
        let found = self.some_round(dice, |round| match step {
            Step::Assign => round.is_open(),
            Step::Reassign => round.is_open() && round.has(LeaseState::Active),
            Step::Complete => round.submitted.is_none() && round.has(LeaseState::Active),
            Step::Release | Step::Expire => round.has(LeaseState::Active),
            Step::Claim => round.submitted.is_none() && round.has(LeaseState::Completed),
            _ => round.is_due(now),
        });
        let found = found?;
        let (job, round) = (found.job.id, found.number);
        let message = match step {
            Step::Assign => messages::assign(job, round, &self.places(dice, &found, false)),
            Step::Reassign => messages::reassign(job, round, &self.places(dice, &found, true)),
            Step::Complete => messages::complete(job, round, &found.some_leases(dice)),
            Step::Release => messages::release(job, round, &found.some_leases(dice)),
            Step::Expire => messages::expire(job, round, 1 + dice.of(3)),
            Step::Rollback => ExecuteMsg::RollbackRound { job, round },
            Step::Settle => messages::settle(job, round),
            Step::Claim => {
                let holder = dice.choose(&found.completed());
                let holder = holder.map(|lease| self.suite.node(lease.node).owner);
                let who = holder.map_or(dice.person(), |owner| self.name(&owner));
                return Some((who, ExecuteMsg::ClaimAbandoned { job, round }, 0));
            }
            _ => return None,
        };
        Some((self.name(&found.job.owner), message, 0))
    }

    /// Slots, nodes and attempts, most of which fit.
    fn places(&self, dice: &mut Dice, round: &Round, again: bool) -> Vec<(u32, u32, u32)> {
        let lease = |slot: u32| round.leases.iter().find(|lease| lease.slot == slot);
        let slots: Vec<u32> = (0..=round.job.shards).collect();
        let slot_fits = |slot: &u32| match lease(*slot) {
            Some(lease) => lease.state != LeaseState::Completed && lease.live == again,
            None => !again,
        };
        let nodes = self.suite.nodes();
        let node_fits = |node: &NodeAnswer| {
            let is_heard_of = node.last_seen + HEARTBEAT >= self.suite.now();
            let is_active = node.status == NodeStatus::Active && node.kind == NodeKind::Compute;
            is_active && is_heard_of && node.used < node.capacity
        };
        let place = |dice: &mut Dice| {
            let slot = dice.prefer(&slots, slot_fits)? + u32::from(dice.of(40) == 39);
            let node = match dice.of(20) {
                19 => dice.choose(&nodes)?,
                _ => dice.prefer(&nodes, node_fits)?,
            };
            let attempt = lease(slot).map_or(1, |lease| lease.attempt + 1);
            Some((slot, node.id, attempt + u32::from(dice.of(40) == 39)))
        };
        let places = (0..=dice.of(3)).filter_map(|_| place(dice));
        let places: BTreeMap<u32, (u32, u32, u32)> = places.map(|place| (place.0, place)).collect();
        places.into_values().collect()
    }

    pub fn submit(&mut self, dice: &mut Dice) {
        let fits = |round: &Round| round.submitted.is_none() && round.has(LeaseState::Completed);
        let Some(found) = self.some_round(dice, fits) else { return };
        let (job, round, completed) = (found.job.id, found.number, found.completed());
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        completed.iter().for_each(|lease| *counts.entry(lease.node).or_default() += 1);
        let weights: Vec<u32> = counts.iter().map(|_| 1 + dice.of(5)).collect();
        let parts = counts.into_iter().zip(messages::basis_points(&weights));
        let parts: Vec<_> = parts
            .map(|((node, count), bps)| (node, count + u32::from(dice.of(40) == 39), bps))
            .collect();
        let leaf_count = completed.len() as u32;
        let leaf = |(index, lease)| proofs::leaf(&self.suite.contract, lease, index, leaf_count);
        let mut leaves: Vec<Vec<u8>> = (0..).zip(&completed).map(leaf).collect();
        if leaves.is_empty() || dice.of(6) == 5 {
            leaves = vec![b"{\"checkpoint\":\"another\"}".to_vec(); leaves.len().max(1)];
        }
        let mut message = messages::submit_shares(job, round, leaf_count, &parts);
        if let ExecuteMsg::SubmitRound { root, .. } = &mut message {
            *root = proofs::root(&leaves);
        }
        if self.send(dice, (self.name(&found.job.owner), message, 0)) {
            self.trees.insert((job, round), leaves);
        }
    }

    pub fn of_round(&self, step: Step, dice: &mut Dice) -> Option<Order> {
        match step {
            Step::Challenge => {
                let now = self.suite.now();
                let is_open = |round: &Round| round.submitted.is_some() && !round.is_due(now);
                let found = self.some_round(dice, is_open)?;
                let (job, round) = (found.job.id, found.number);
                let leaves = self.trees.get(&(job, round))?;
                let index = dice.of(leaves.len() as u32) as usize;
                let wrong = usize::from(dice.unlikely());
                let message = ExecuteMsg::Challenge {
                    job,
                    round,
                    index: index as u32,
                    leaf: leaves[(index + wrong) % leaves.len()].clone().into(),
                    proof: proofs::proof(leaves, index),
                    evidence: "bafydoubt".into(),
                };
                Some((dice.person(), message, BOND - u128::from(dice.unlikely())))
            }
            Step::Decide => {
                let numbers = self.trees.keys();
                let all: Vec<_> =
                    numbers.flat_map(|&(job, round)| self.suite.challenges(job, round)).collect();
                let found = dice.prefer(&all, |found| found.state == ChallengeState::Open)?;
                let (job, round, index) = (found.job, found.round, found.index);
                let message = match dice.of(3) {
                    2 => ExecuteMsg::DismissChallenge { job, round, index },
                    way => ExecuteMsg::ResolveChallenge { job, round, index, upheld: way == 0 },
                };
                Some(("admin".into(), message, 0))
            }
            _ => None,
        }
    }
}
