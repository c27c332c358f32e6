//! The contract of Atlas Pipelines: who trains what, who is paid what.

mod books;
mod checks;
pub mod contract;
pub mod division;
pub mod error;
mod execute;
mod fleet;
mod lease;
pub mod merkle;
pub mod msg;
mod query;
mod rows;
pub mod state;

pub use crate::error::{AssignRefusal, ContractError};
