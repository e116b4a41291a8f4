//! Fanfare.

pub mod api;
pub mod app;
pub mod background;
pub mod catalogue;
pub mod clock;
pub mod keyring;
pub mod random;
pub mod vault;
