//! The contract of Atlas Pipelines: who trains what, who is paid what.

mod checks;
pub mod contract;
pub mod error;
mod execute;
mod fleet;
mod lease;
pub mod msg;
mod query;
pub mod state;

pub use crate::error::{AssignRefusal, ContractError};
