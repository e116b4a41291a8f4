//! Fanfare.

pub mod delivery;
