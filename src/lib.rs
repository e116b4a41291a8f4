//! Fanfare.

pub mod bench;
pub mod cli;
pub mod clock;
pub mod random;
pub mod receiver;
