//! The nodes that one message touches: each is loaded once, and saved once if it changed.

use std::collections::btree_map::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};

use cosmwasm_std::Storage;

use crate::error::ContractError;
use crate::state::{Node, NodeStatus, MAX_REPUTATION, NODES};

const EXPIRY_PENALTY: u32 = 5;

#[derive(Default)]
pub struct Fleet {
    nodes: BTreeMap<u32, Entry>,
}

struct Entry {
    node: Node,
    changed: bool,
}

impl Fleet {
    /// The node as this message has left it so far. Errors: NodeNotFound.
    pub fn node(&mut self, storage: &dyn Storage, id: u32) -> Result<&Node, ContractError> {
        Ok(&self.entry(storage, id)?.node)
    }

    /// The same, to be changed and saved.
    pub fn node_mut(&mut self, storage: &dyn Storage, id: u32) -> Result<&mut Node, ContractError> {
        let entry = self.entry(storage, id)?;
        entry.changed = true;
        Ok(&mut entry.node)
    }

    fn entry(&mut self, storage: &dyn Storage, id: u32) -> Result<&mut Entry, ContractError> {
        match self.nodes.entry(id) {
            Occupied(known) => Ok(known.into_mut()),
            Vacant(place) => {
                let node =
                    NODES.may_load(storage, id)?.ok_or(ContractError::NodeNotFound { node: id })?;
                Ok(place.insert(Entry { node, changed: false }))
            }
        }
    }

    pub fn save(self, storage: &mut dyn Storage) -> Result<(), ContractError> {
        for (id, entry) in self.nodes {
            if entry.changed {
                NODES.save(storage, id, &entry.node)?;
            }
        }
        Ok(())
    }
}

impl Node {
    /// Whether its last heartbeat is recent enough.
    pub fn is_heard_of(&self, now: u64, heartbeat_seconds: u64) -> bool {
        now <= self.last_seen.saturating_add(heartbeat_seconds)
    }

    /// One more accepted task.
    pub fn praise(&mut self) {
        self.reputation = MAX_REPUTATION.min(self.reputation + 1);
        if self.status == NodeStatus::Jailed {
            self.status = NodeStatus::Active;
        }
    }

    /// One more lease that ran out.
    pub fn blame(&mut self) {
        self.reputation = self.reputation.saturating_sub(EXPIRY_PENALTY);
        if self.reputation == 0 && self.status == NodeStatus::Active {
            self.status = NodeStatus::Jailed;
        }
    }
}
