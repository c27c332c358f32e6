//! What is stored as a JSON array of its fields, because it is stored often or in great number.

use cosmwasm_schema::serde::de::Error;
use cosmwasm_schema::serde::{Deserialize, Deserializer, Serialize, Serializer};
use cosmwasm_std::{Binary, Uint128};

use crate::state::{LeaseState, NodeStatus};

macro_rules! row {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        pub struct $name {
            $($(#[$what])* pub $field: $type,)*
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                ($(&self.$field,)*).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let ($($field,)*) = Deserialize::deserialize(deserializer)?;
                Ok(Self { $($field,)* })
            }
        }
    };
}

row! {
    /// A job's money: deposited = free + reserved + paid + refunded.
    #[derive(Clone, Debug, Default, PartialEq)]
    Account {
        deposited: Uint128,
        reserved: Uint128,
        paid: Uint128,
        refunded: Uint128,
    }
}

row! {
    /// What the leases of one assignment share.
    #[derive(Clone, Debug, PartialEq)]
    Batch {
        /// CID of the list of its tasks.
        plan: String,
        /// Unix seconds.
        until: u64,
    }
}

row! {
    /// A node's part in a round: its active leases, and its completed tasks that are not paid.
    #[derive(Clone, Debug, Default, PartialEq)]
    Work {
        active: u32,
        completed: u32,
    }
}

row! {
    /// How far a round is.
    #[derive(Clone, Debug, Default, PartialEq)]
    Progress {
        /// One bit per slot, the lowest of the first byte for slot 0: whether it is completed.
        bits: Binary,
        completed: u32,
        /// How many nodes have completed tasks that are not paid.
        nodes: u32,
        batches: u32,
        /// Unix seconds of the last completion.
        completed_at: u64,
        /// Counts the submissions and those that were rolled back; a challenge belongs to one number.
        submission: u32,
        /// Whether a node was paid because the round was never submitted.
        claimed: bool,
    }
}

impl Progress {
    pub fn is_completed(&self, slot: u32) -> bool {
        self.bits.get(slot as usize / 8).is_some_and(|byte| byte >> (slot % 8) & 1 == 1)
    }

    pub fn set_completed(&mut self, slot: u32) {
        let place = slot as usize / 8;
        let mut bits = std::mem::take(&mut self.bits).to_vec();
        if bits.len() <= place {
            bits.resize(place + 1, 0);
        }
        bits[place] |= 1 << (slot % 8);
        self.bits = bits.into();
        self.completed += 1;
    }
}

/// What of a node changes with its work: [capacity, used, reputation, last_seen, "a" | "j" | "r"].
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub capacity: u32,
    pub used: u32,
    pub reputation: u32,
    /// Unix seconds.
    pub last_seen: u64,
    pub status: NodeStatus,
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let status = match self.status {
            NodeStatus::Active => "a",
            NodeStatus::Jailed => "j",
            NodeStatus::Retired => "r",
        };
        (self.capacity, self.used, self.reputation, self.last_seen, status).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Standing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (capacity, used, reputation, last_seen, letter) =
            <(u32, u32, u32, u64, String)>::deserialize(deserializer)?;
        let status = match letter.as_str() {
            "a" => NodeStatus::Active,
            "j" => NodeStatus::Jailed,
            "r" => NodeStatus::Retired,
            _ => return Err(D::Error::custom("the status of a node is none of a, j, r")),
        };
        Ok(Self { capacity, used, reputation, last_seen, status })
    }
}

/// The leases of PAGE_SLOTS neighbouring slots.
pub type Page = Vec<Option<Lease>>;

/// The last lease of a slot: [node, attempt, batch, state], where 0 is active, 1 completed, 2 released, 3 expired.
/// On its page a completed lease stays 0: the round's progress says that it is completed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lease {
    pub node: u32,
    pub attempt: u32,
    pub batch: u32,
    pub state: LeaseState,
}

impl Serialize for Lease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = match self.state {
            LeaseState::Active => 0u8,
            LeaseState::Completed => 1,
            LeaseState::Released => 2,
            LeaseState::Expired => 3,
        };
        (self.node, self.attempt, self.batch, state).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Lease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (node, attempt, batch, digit) = <(u32, u32, u32, u8)>::deserialize(deserializer)?;
        let state = match digit {
            0 => LeaseState::Active,
            1 => LeaseState::Completed,
            2 => LeaseState::Released,
            3 => LeaseState::Expired,
            _ => return Err(D::Error::custom("the state of a lease is none of 0, 1, 2, 3")),
        };
        Ok(Self { node, attempt, batch, state })
    }
}
