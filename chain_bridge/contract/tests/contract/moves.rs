//! What a message may change: whose coins, which leases, which rounds.

use std::collections::BTreeMap;

use atlas::msg::{AssignItem, ExecuteMsg, JobAnswer, LeaseAnswer, RoundAnswer};
use atlas::state::{ChallengeState, LeaseState, NodeKind, NodeStatus, WHOLE_BPS};
use cosmwasm_std::Addr;

use crate::books::{put_in, staked, Books, Claimed};

/// What everybody has, wherever it lies; the treasury stands under no address.
type Wealth = BTreeMap<Option<Addr>, u128>;

/// `claimed` is what was claimed before the message.
pub fn check(
    before: &Books,
    after: &Books,
    sender: &Addr,
    message: &ExecuteMsg,
    claimed: &Claimed,
) {
    let mut expected = wealth(before);
    for (from, to, amount) in transfers(before, sender, message, claimed) {
        expected.entry(from).and_modify(|has| *has -= amount);
        expected.entry(to).and_modify(|has| *has += amount);
    }
    assert_eq!(wealth(after), expected, "who has what after {message:?}");
    check_settled(before, after);
    check_leases(before, after, message);
    if let ExecuteMsg::AssignBatch { items, .. } | ExecuteMsg::ReassignBatch { items, .. } = message
    {
        check_holders(after, items);
    }
}

fn wealth(books: &Books) -> Wealth {
    let mut wealth = Wealth::from([(None, books.totals.treasury.u128())]);
    for (who, balance) in &books.balance {
        wealth.insert(Some(who.clone()), balance + books.credit[who]);
    }
    let open = books.challenges.iter().filter(|found| found.state == ChallengeState::Open);
    let bonds = open.map(|found| (&found.challenger, found.bond.u128()));
    let stakes = books.nodes.iter().map(|node| (&node.owner, staked(node)));
    let jobs = books.jobs.iter().map(|job| (&job.owner, put_in(job)));
    for (owner, amount) in bonds.chain(stakes).chain(jobs) {
        wealth.entry(Some(owner.clone())).and_modify(|has| *has += amount);
    }
    wealth
}

/// From whom to whom a message moves coins: only these do.
fn transfers(
    before: &Books,
    sender: &Addr,
    message: &ExecuteMsg,
    claimed: &Claimed,
) -> Vec<(Option<Addr>, Option<Addr>, u128)> {
    match message {
        ExecuteMsg::Settle { job, round } => {
            let payer = before.job(*job);
            let shares = shares(before.round(*job, *round).unwrap(), payer).into_iter();
            let node = |id| Some(before.node(id).owner.clone());
            shares.map(|(id, amount)| (Some(payer.owner.clone()), node(id), amount)).collect()
        }
        ExecuteMsg::ClaimAbandoned { job, round } => {
            let node = before.nodes.iter().find(|node| node.owner == *sender).unwrap();
            let tasks = before.unpaid(claimed, *job, *round, node.id);
            let payer = before.job(*job);
            let amount = payer.reward.u128() * u128::from(tasks);
            vec![(Some(payer.owner.clone()), Some(sender.clone()), amount)]
        }
        ExecuteMsg::ResolveChallenge { job, round, index, upheld } => {
            let found = before.challenges.iter().find(|found| {
                (found.job, found.round, found.index) == (*job, *round, *index)
                    && found.state == ChallengeState::Open
            });
            let found = found.unwrap();
            if !upheld {
                return vec![(Some(found.challenger.clone()), None, found.bond.u128())];
            }
            let (node, job) = (before.node(found.node), before.job(*job));
            let slash = staked(node) * u128::from(before.config.slash_bps) / 10_000;
            let to_owner = slash.min(job.reward.u128());
            vec![
                (Some(node.owner.clone()), Some(job.owner.clone()), to_owner),
                (Some(node.owner.clone()), None, slash - to_owner),
            ]
        }
        ExecuteMsg::WithdrawTreasury { to, amount } => {
            vec![(None, Some(Addr::unchecked(to)), amount.u128())]
        }
        _ => vec![],
    }
}

/// What a round's nodes are due: their parts of the pool by largest remainder, less what was struck.
pub fn shares(round: &RoundAnswer, job: &JobAnswer) -> BTreeMap<u32, u128> {
    let pool = job.reward.u128() * u128::from(round.leaf_count);
    let whole = u128::from(WHOLE_BPS);
    let mut parts: Vec<_> = round
        .per_node
        .iter()
        .map(|share| (share.node, pool * u128::from(share.bps)))
        .map(|(node, exact)| (node, exact / whole, exact % whole))
        .collect();
    let floors: u128 = parts.iter().map(|(_, floor, _)| floor).sum();
    parts.sort_by_key(|&(node, _, rest)| (std::cmp::Reverse(rest), node));
    let mut due = BTreeMap::new();
    for (place, (node, floor, _)) in (0..).zip(parts) {
        let count = round.per_node.iter().find(|share| share.node == node).unwrap().count;
        let struck = round.struck.iter().find(|(of, _)| *of == node).map_or(0, |(_, tasks)| *tasks);
        let amount = floor + u128::from(place < pool - floors);
        due.insert(node, amount * u128::from(count - struck) / u128::from(count));
    }
    due
}

/// A round is settled once, and stays as it was settled.
fn check_settled(before: &Books, after: &Books) {
    for round in before.rounds.iter().filter(|round| round.settled_at.is_some()) {
        assert_eq!(after.round(round.job, round.round), Some(round));
    }
}

/// Nobody takes a slot from a live lease but by reassignment, and what has ended stays as it ended.
fn check_leases(before: &Books, after: &Books, message: &ExecuteMsg) {
    let key = |lease: &LeaseAnswer| (lease.job, lease.round, lease.slot);
    assert!(after.leases.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])), "a slot twice");
    for old in &before.leases {
        let new =
            after.leases.iter().find(|lease| key(lease) == key(old)).expect("a lease is gone");
        if new.attempt == old.attempt {
            let same = |lease: &LeaseAnswer| (lease.node, lease.until, lease.plan.clone());
            assert_eq!(same(new), same(old));
            assert!(old.state == LeaseState::Active || old.state == new.state, "{old:?}, {new:?}");
        } else {
            assert_eq!((new.attempt, new.state), (old.attempt + 1, LeaseState::Active));
            assert_ne!(old.state, LeaseState::Completed);
            assert!(!old.live || matches!(message, ExecuteMsg::ReassignBatch { .. }), "{old:?}");
        }
    }
}

fn check_holders(after: &Books, items: &[AssignItem]) {
    for item in items {
        let node = after.node(item.node);
        assert!(node.used <= node.capacity, "node {} has more than it can hold", node.id);
        assert_eq!((node.status, node.kind), (NodeStatus::Active, NodeKind::Compute));
        assert!(node.reputation > 0);
    }
}
