//! One function for each message.

pub mod admin;
pub mod challenge;
pub mod compute;
pub mod health;
pub mod job;
pub mod model;
pub mod recovery;
pub mod reward;
pub mod round;
pub mod sharding;
pub mod storage;
pub mod verdict;
