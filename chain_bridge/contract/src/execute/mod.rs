//! One function for each message.

pub mod compute;
pub mod health;
pub mod job;
pub mod model;
pub mod reward;
pub mod round;
pub mod sharding;
