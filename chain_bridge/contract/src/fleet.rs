//! The nodes that one message touches: each is loaded once, and saved once if it changed.

use std::collections::btree_map::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};

use cosmwasm_std::{OverflowError, OverflowOperation, Storage};

use crate::error::ContractError;
use crate::state::{Config, Node, NodeStatus, Standing, MAX_REPUTATION, NODES, STANDING};

/// What an expired lease or a failed audit costs of a reputation.
pub const NEGLECT: u32 = 5;
/// What an upheld challenge costs.
pub const FRAUD: u32 = 50;

pub struct Fleet {
    now: u64,
    heartbeat_seconds: u64,
    jail_seconds: u64,
    members: BTreeMap<u32, Member>,
}

struct Member {
    standing: Standing,
    standing_changed: bool,
    node: Option<Node>,
    node_changed: bool,
}

impl Fleet {
    pub fn new(config: &Config, now: u64) -> Self {
        let &Config { heartbeat_seconds, jail_seconds, .. } = config;
        Self { now, heartbeat_seconds, jail_seconds, members: BTreeMap::new() }
    }

    /// The standing as this message has left it so far. Errors: NodeNotFound.
    pub fn standing(&mut self, storage: &dyn Storage, id: u32) -> Result<&Standing, ContractError> {
        Ok(&self.member(storage, id)?.standing)
    }

    /// The same, to be changed and saved.
    pub fn standing_mut(
        &mut self,
        storage: &dyn Storage,
        id: u32,
    ) -> Result<&mut Standing, ContractError> {
        let member = self.member(storage, id)?;
        member.standing_changed = true;
        Ok(&mut member.standing)
    }

    /// What of the node changes seldom. Errors: NodeNotFound.
    pub fn node(&mut self, storage: &dyn Storage, id: u32) -> Result<&Node, ContractError> {
        Ok(self.loaded_node(storage, id)?)
    }

    /// The same, to be changed and saved.
    pub fn node_mut(&mut self, storage: &dyn Storage, id: u32) -> Result<&mut Node, ContractError> {
        self.member(storage, id)?.node_changed = true;
        self.loaded_node(storage, id)
    }

    /// Whether the node's last heartbeat is recent enough.
    pub fn is_heard_of(&mut self, storage: &dyn Storage, id: u32) -> Result<bool, ContractError> {
        let (now, heartbeat_seconds) = (self.now, self.heartbeat_seconds);
        Ok(now <= self.standing(storage, id)?.last_seen.saturating_add(heartbeat_seconds))
    }

    /// Gives back one of the places that a node uses.
    pub fn free_place(&mut self, storage: &dyn Storage, id: u32) -> Result<(), ContractError> {
        let standing = self.standing_mut(storage, id)?;
        standing.used =
            standing.used.checked_sub(1).ok_or(OverflowError::new(OverflowOperation::Sub))?;
        Ok(())
    }

    /// One more completed task.
    pub fn praise(&mut self, storage: &dyn Storage, id: u32) -> Result<(), ContractError> {
        let standing = self.standing_mut(storage, id)?;
        standing.reputation = MAX_REPUTATION.min(standing.reputation.saturating_add(1));
        Ok(())
    }

    /// Takes reputation; the node whose reputation that spends goes to jail.
    pub fn blame(
        &mut self,
        storage: &dyn Storage,
        id: u32,
        penalty: u32,
    ) -> Result<(), ContractError> {
        let standing = self.standing_mut(storage, id)?;
        let before = standing.reputation;
        standing.reputation = before.saturating_sub(penalty);
        if before == 0 || standing.reputation > 0 {
            return Ok(());
        }
        if standing.status == NodeStatus::Active {
            standing.status = NodeStatus::Jailed;
        }
        let until = self.now.saturating_add(self.jail_seconds);
        self.node_mut(storage, id)?.jailed_until = until;
        Ok(())
    }

    pub fn save(self, storage: &mut dyn Storage) -> Result<(), ContractError> {
        for (id, member) in self.members {
            if member.standing_changed {
                STANDING.save(storage, id, &member.standing)?;
            }
            if let (true, Some(node)) = (member.node_changed, member.node) {
                NODES.save(storage, id, &node)?;
            }
        }
        Ok(())
    }

    fn member(&mut self, storage: &dyn Storage, id: u32) -> Result<&mut Member, ContractError> {
        match self.members.entry(id) {
            Occupied(known) => Ok(known.into_mut()),
            Vacant(place) => {
                let standing = STANDING
                    .may_load(storage, id)?
                    .ok_or(ContractError::NodeNotFound { node: id })?;
                Ok(place.insert(Member {
                    standing,
                    standing_changed: false,
                    node: None,
                    node_changed: false,
                }))
            }
        }
    }

    fn loaded_node(&mut self, storage: &dyn Storage, id: u32) -> Result<&mut Node, ContractError> {
        let member = self.member(storage, id)?;
        let node = match member.node.take() {
            Some(node) => node,
            None => NODES.load(storage, id)?,
        };
        Ok(member.node.insert(node))
    }
}
