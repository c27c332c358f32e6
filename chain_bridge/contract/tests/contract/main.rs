//! The contract as its users see it, on cw-multi-test's chain.

mod assign;
mod books;
mod compute;
mod conservation;
mod fleet;
mod job;
mod leases;
mod messages;
mod model;
mod ownership;
mod queries;
mod round;
mod suite;
