//! What must hold of money and leases after every message.

use std::collections::BTreeMap;

use atlas::msg::QueryMsg;
use atlas::state::{Job, JobState, LeaseState, Node, NodeStatus, Round, Totals};
use cosmwasm_std::Uint128;

use crate::suite::{Suite, FUNDS, PEOPLE};

impl Suite {
    pub fn check_books(&self) {
        let nodes = self.nodes();
        let jobs = self.jobs();
        self.check_totals(&nodes, &jobs);
        self.check_leases(&nodes, &jobs);
        jobs.iter().for_each(|job| self.check_job(job));
        PEOPLE.iter().for_each(|name| self.check_person(name, &nodes, &jobs));
    }

    fn check_totals(&self, nodes: &[Node], jobs: &[Job]) {
        let totals: Totals = self.ask(QueryMsg::Totals {});
        let held = totals.escrow + totals.stake + totals.credit + totals.treasury;
        assert_eq!(self.balance(&self.contract), held.u128(), "the bank against the totals");
        let escrow: Uint128 = jobs.iter().map(|job| job.deposited - job.paid - job.refunded).sum();
        assert_eq!(totals.escrow, escrow, "escrow");
        let stake: Uint128 = nodes.iter().map(|node| node.stake).sum();
        assert_eq!(totals.stake, stake, "stake");
        let credit: u128 = PEOPLE.iter().map(|name| self.credit(name)).sum();
        assert_eq!(totals.credit.u128(), credit, "credit");
    }

    fn check_leases(&self, nodes: &[Node], jobs: &[Job]) {
        let mut active: BTreeMap<u32, u32> = BTreeMap::new();
        for job in jobs {
            for round in 1..=job.rounds {
                let leases = self.leases(job.id, round);
                for lease in leases.iter().filter(|lease| lease.state == LeaseState::Active) {
                    *active.entry(lease.node).or_default() += 1;
                }
            }
        }
        for node in nodes {
            let used = active.get(&node.id).copied().unwrap_or(0);
            assert_eq!(node.used, used, "used of node {}", node.id);
            let held = self.leases_of_node(node.id);
            assert!(held.iter().all(|lease| lease.state == LeaseState::Active));
            assert_eq!(held.len(), used as usize, "index of node {}", node.id);
            assert!(node.reputation <= 1000);
            assert_eq!(node.reputation == 0, node.status == NodeStatus::Jailed);
        }
    }

    fn check_job(&self, job: &Job) {
        let rounds = self.rounds_of(job);
        let pay = |settled: bool| -> Uint128 {
            let leaves = rounds
                .iter()
                .filter(|round| round.settled_at.is_some() == settled)
                .map(|round| round.leaf_count);
            job.reward * Uint128::from(leaves.sum::<u32>())
        };
        assert_eq!(job.reserved, pay(false), "reserved of job {}", job.id);
        assert_eq!(job.paid, pay(true), "paid of job {}", job.id);
        let free = job.deposited - job.reserved - job.paid - job.refunded;
        if job.state == JobState::Closed {
            assert!(free.is_zero(), "job {} is closed with {free} left", job.id);
        } else {
            assert!(job.refunded.is_zero());
        }
        for round in rounds {
            let leases = self.leases(job.id, round.round);
            for share in &round.per_node {
                let completed = leases
                    .iter()
                    .filter(|lease| lease.state == LeaseState::Completed)
                    .filter(|lease| lease.node == share.node);
                assert_eq!(completed.count(), share.count as usize, "share of {}", share.node);
            }
            let sum: u32 = round.per_node.iter().map(|share| share.count).sum();
            assert_eq!(sum, round.leaf_count);
        }
    }

    /// A person has what it began with, less what it put in, plus what its node earned: once.
    fn check_person(&self, name: &str, nodes: &[Node], jobs: &[Job]) {
        let address = self.address(name);
        let node = nodes.iter().find(|node| node.owner == address);
        let stake = node.map_or(0, |node| node.stake.u128());
        let put_in: u128 = jobs
            .iter()
            .filter(|job| job.owner == address)
            .map(|job| (job.deposited - job.refunded).u128())
            .sum();
        let mut earned = 0;
        for job in jobs {
            for round in self.rounds_of(job) {
                let shares = round.per_node.iter().filter(|_| round.settled_at.is_some());
                for share in shares.filter(|share| Some(share.node) == node.map(|node| node.id)) {
                    earned += job.reward.u128() * u128::from(share.count);
                }
            }
        }
        let has = self.balance(&address) + self.credit(name) + stake + put_in;
        assert_eq!(has, FUNDS + earned, "what {name} has");
    }

    fn rounds_of(&self, job: &Job) -> Vec<Round> {
        (1..=job.rounds).filter_map(|round| self.round(job.id, round)).collect()
    }
}
