//! What must hold of money and leases after every message: at any time, and from one message to the next.

use std::collections::BTreeMap;

use atlas::msg::{
    ChallengeAnswer, ExecuteMsg, HoldingAnswer, JobAnswer, LeaseAnswer, NodeAnswer, QueryMsg,
    RoundAnswer, Share,
};
use atlas::state::{
    ChallengeState, Config, JobState, LeaseState, NodeKind, NodeStatus, Totals, MAX_REPUTATION,
};
use cosmwasm_std::{Addr, Uint128};

use crate::moves;
use crate::suite::Suite;

/// All that queries tell.
pub struct Books {
    pub config: Config,
    pub totals: Totals,
    pub bank: u128,
    pub nodes: Vec<NodeAnswer>,
    pub jobs: Vec<JobAnswer>,
    pub leases: Vec<LeaseAnswer>,
    pub rounds: Vec<RoundAnswer>,
    pub challenges: Vec<ChallengeAnswer>,
    pub holdings: Vec<HoldingAnswer>,
    pub credit: BTreeMap<Addr, u128>,
    pub balance: BTreeMap<Addr, u128>,
}

impl Suite {
    pub fn books(&self) -> Books {
        let (nodes, jobs) = (self.nodes(), self.jobs());
        let numbers: Vec<_> =
            jobs.iter().flat_map(|job| (1..=job.rounds).map(|round| (job.id, round))).collect();
        let credit = |address: Addr| {
            let query = QueryMsg::Credit { address: address.to_string() };
            (address, self.ask::<Uint128>(query).u128())
        };
        Books {
            config: self.ask(QueryMsg::Config {}),
            totals: self.ask(QueryMsg::Totals {}),
            bank: self.balance(&self.contract),
            leases: numbers.iter().flat_map(|&(job, round)| self.leases(job, round)).collect(),
            rounds: jobs.iter().flat_map(|job| self.rounds(job.id)).collect(),
            challenges: numbers
                .iter()
                .flat_map(|&(job, round)| self.challenges(job, round))
                .collect(),
            holdings: nodes.iter().flat_map(|node| self.holdings(node.id)).collect(),
            credit: self.people().into_iter().map(credit).collect(),
            balance: self
                .people()
                .into_iter()
                .map(|who| (who.clone(), self.balance(&who)))
                .collect(),
            nodes,
            jobs,
        }
    }

    /// Whether the books are right now, and follow from what they were and the message that was accepted.
    pub fn check_books(&mut self, before: &Books, sender: &Addr, message: &ExecuteMsg) {
        let claimed = self.claimed.clone();
        if let ExecuteMsg::ClaimAbandoned { job, round } = message {
            let node = before.nodes.iter().find(|node| node.owner == *sender).unwrap();
            let tasks = before.unpaid(&self.claimed, *job, *round, node.id);
            *self.claimed.entry((*job, *round, node.id)).or_default() += tasks;
        }
        let after = self.books();
        after.check_totals();
        after.jobs.iter().for_each(|job| after.check_job(job, &self.claimed));
        after.rounds.iter().for_each(|round| after.check_round(round));
        after.nodes.iter().for_each(|node| after.check_node(node, self.leases_of_node(node.id)));
        moves::check(before, &after, sender, message, &claimed);
    }
}

pub type Claimed = BTreeMap<(u64, u32, u32), u32>;

impl Books {
    pub fn round(&self, job: u64, round: u32) -> Option<&RoundAnswer> {
        self.rounds.iter().find(|found| (found.job, found.round) == (job, round))
    }

    pub fn job(&self, id: u64) -> &JobAnswer {
        self.jobs.iter().find(|job| job.id == id).unwrap()
    }

    pub fn node(&self, id: u32) -> &NodeAnswer {
        self.nodes.iter().find(|node| node.id == id).unwrap()
    }

    fn count(&self, job: u64, round: u32, state: LeaseState, node: Option<u32>) -> u32 {
        let counts = |lease: &&LeaseAnswer| {
            (lease.job, lease.round, lease.state) == (job, round, state)
                && node.is_none_or(|node| lease.node == node)
        };
        self.leases.iter().filter(counts).count() as u32
    }

    /// How many completed tasks of a round that was never submitted a node was not paid for.
    pub fn unpaid(&self, claimed: &Claimed, job: u64, round: u32, node: u32) -> u32 {
        let completed = self.count(job, round, LeaseState::Completed, Some(node));
        completed - claimed.get(&(job, round, node)).copied().unwrap_or(0)
    }

    fn check_totals(&self) {
        let Totals { escrow, stake, credit, treasury, .. } = self.totals;
        assert_eq!(self.bank, (escrow + stake + credit + treasury).u128(), "bank");
        let in_jobs: u128 = self.jobs.iter().map(put_in).sum();
        assert_eq!(escrow.u128(), in_jobs, "escrow");
        let bonds = self.challenges.iter().filter(|found| found.state == ChallengeState::Open);
        let bonds: u128 = bonds.map(|found| found.bond.u128()).sum();
        assert_eq!(stake.u128(), self.nodes.iter().map(staked).sum::<u128>() + bonds, "stake");
        assert_eq!(credit.u128(), self.credit.values().sum::<u128>(), "credit");
    }

    fn check_job(&self, job: &JobAnswer, claimed: &Claimed) {
        let mut reserved = 0;
        let mut paid = 0;
        for round in 1..=job.rounds {
            reserved += self.count(job.id, round, LeaseState::Active, None);
            match self.round(job.id, round) {
                Some(found) if found.settled_at.is_some() => {
                    paid += moves::shares(found, job).values().sum::<u128>();
                }
                _ => reserved += self.count(job.id, round, LeaseState::Completed, None),
            }
        }
        let of_job = claimed.iter().filter(|((of, _, _), _)| *of == job.id);
        let claimed: u32 = of_job.map(|(_, tasks)| tasks).sum();
        let reward = job.reward.u128();
        let reserved = reward * u128::from(reserved - claimed);
        assert_eq!(job.reserved.u128(), reserved, "reserved of job {}", job.id);
        assert_eq!(job.paid.u128(), paid + reward * u128::from(claimed), "paid of job {}", job.id);
        let spent = reserved + job.paid.u128() + job.refunded.u128();
        let free = job.deposited.u128().checked_sub(spent).expect("more is spent than deposited");
        match job.state {
            JobState::Open => assert!(job.refunded.is_zero()),
            JobState::Cancelled => {}
            JobState::Closed => assert_eq!((free, reserved), (0, 0), "job {} is closed", job.id),
        }
    }

    fn check_round(&self, round: &RoundAnswer) {
        let (job, number) = (round.job, round.round);
        for share in &round.per_node {
            let completed = self.count(job, number, LeaseState::Completed, Some(share.node));
            assert_eq!(share.count, completed, "share of node {}", share.node);
        }
        let sum = |part: fn(&Share) -> u32| round.per_node.iter().map(part).sum::<u32>();
        assert_eq!((sum(|share| share.count), sum(|share| share.bps)), (round.leaf_count, 10_000));
        assert_eq!(round.leaf_count, self.count(job, number, LeaseState::Completed, None));
        let open = self.challenges.iter().filter(|found| {
            (found.job, found.round, found.state) == (job, number, ChallengeState::Open)
        });
        assert_eq!(round.open_challenges, open.count() as u32, "open challenges");
    }

    fn check_node(&self, node: &NodeAnswer, index: Vec<LeaseAnswer>) {
        let of_node =
            |lease: &&LeaseAnswer| lease.node == node.id && lease.state == LeaseState::Active;
        let active: Vec<_> = self.leases.iter().filter(of_node).cloned().collect();
        assert_eq!(index, active, "the leases of node {}", node.id);
        let used = match node.kind {
            NodeKind::Compute => active.len(),
            NodeKind::Storage => self.holdings.iter().filter(|held| held.node == node.id).count(),
        };
        assert_eq!(node.used as usize, used, "used of node {}", node.id);
        assert!(node.reputation <= MAX_REPUTATION);
        assert!(
            node.reputation > 0 || node.status != NodeStatus::Active,
            "node {} is free",
            node.id
        );
    }
}

/// What of an owner's coins is in a job.
pub fn put_in(job: &JobAnswer) -> u128 {
    (job.deposited - job.paid - job.refunded).u128()
}

pub fn staked(node: &NodeAnswer) -> u128 {
    let unbonding: u128 = node.unbonding.iter().map(|part| part.amount.u128()).sum();
    node.stake.u128() + unbonding
}
