//! A job and two nodes, for the tests of leases.

use atlas::msg::ExecuteMsg;
use atlas::{AssignRefusal, ContractError};

use crate::messages::{create_job, register};
use crate::suite::{Suite, MIN_STAKE};

pub const LEASE: u64 = 50;

/// alice owns job 1 (3 shards, 2 rounds); bob has node 1 and carol node 2, each with room for 3.
pub fn suite() -> Suite {
    let mut suite = Suite::new();
    suite.pay("bob", register(3), MIN_STAKE);
    suite.pay("carol", register(3), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    suite
}

pub fn heartbeats(suite: &mut Suite) {
    for name in ["bob", "carol"] {
        suite.run(name, ExecuteMsg::Heartbeat {});
    }
}

pub fn refused(slot: u32, node: u32, reason: AssignRefusal) -> ContractError {
    ContractError::Assign { slot, node, reason }
}
