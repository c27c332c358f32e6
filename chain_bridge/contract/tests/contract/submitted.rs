//! A submitted round whose leaves are known, for the tests of challenges.

use atlas::msg::{ChallengeAnswer, ExecuteMsg, LeaseAnswer, QueryMsg, Share};
use atlas::state::ChallengeState;

use crate::messages::{assign, complete, create_job, register, release};
use crate::proofs::{leaf, proof, root, CHECKPOINT};
use crate::suite::{attribute, Suite, BOND};

pub const REWARD: u128 = 7;
pub const STAKE: u128 = 100;

pub struct Submitted {
    pub suite: Suite,
    pub leaves: Vec<Vec<u8>>,
}

pub fn completed() -> Suite {
    let mut suite = Suite::new();
    suite.pay("bob", register(9), STAKE);
    suite.pay("carol", register(9), STAKE);
    suite.pay("alice", create_job("k", 5, 1, REWARD), 6 * REWARD);
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 1, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1), (1, 1), (2, 1), (3, 1)]));
    suite.run("bob", release(1, 1, &[(4, 1)]));
    suite
}

pub fn true_leaves(suite: &Suite) -> Vec<Vec<u8>> {
    let leases: Vec<LeaseAnswer> = suite.leases(1, 1).into_iter().take(4).collect();
    (0..).zip(&leases).map(|(index, lease)| leaf(&suite.contract, lease, index, 4)).collect()
}

impl Submitted {
    pub fn new() -> Self {
        let suite = completed();
        let leaves = true_leaves(&suite);
        Self::of(suite, leaves)
    }

    pub fn of(suite: Suite, leaves: Vec<Vec<u8>>) -> Self {
        let mut submitted = Self { suite, leaves };
        submitted.submit();
        submitted
    }

    pub fn submit(&mut self) {
        let share = |node, count, bps| Share { node, count, bps };
        self.suite.run(
            "alice",
            ExecuteMsg::SubmitRound {
                job: 1,
                round: 1,
                root: root(&self.leaves),
                leaf_count: 4,
                checkpoint: CHECKPOINT.into(),
                evidence: "bafyevidence".into(),
                per_node: vec![share(1, 3, 7500), share(2, 1, 2500)],
            },
        );
    }

    pub fn message(&self, index: u32) -> ExecuteMsg {
        ExecuteMsg::Challenge {
            job: 1,
            round: 1,
            index,
            leaf: self.leaves[index as usize].clone().into(),
            proof: proof(&self.leaves, index as usize),
            evidence: "bafyfound".into(),
        }
    }

    pub fn challenge(&mut self, index: u32) {
        let message = self.message(index);
        let response = self.suite.pay("dave", message, BOND);
        assert_eq!(attribute(&response, "verdict").unwrap(), "open");
    }

    pub fn found(&self, index: u32) -> Option<ChallengeAnswer> {
        self.suite.ask(QueryMsg::Challenge { job: 1, round: 1, index })
    }

    pub fn state(&self, index: u32) -> ChallengeState {
        self.found(index).unwrap().state
    }
}

pub fn resolve(index: u32, upheld: bool) -> ExecuteMsg {
    ExecuteMsg::ResolveChallenge { job: 1, round: 1, index, upheld }
}

pub fn dismiss(index: u32) -> ExecuteMsg {
    ExecuteMsg::DismissChallenge { job: 1, round: 1, index }
}

pub fn rollback() -> ExecuteMsg {
    ExecuteMsg::RollbackRound { job: 1, round: 1 }
}
