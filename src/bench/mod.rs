//! Measuring a running server: how many events and deliveries a second, how late, at what cost, and against which limits.
//!
//! The load and the receiver live in the measuring process, so that the server's own CPU time can be read apart. Every
//! event carries a mark with its number and the moment it was sent (or, in an open loop, should have been sent); the
//! receiver records each mark in the round's ledger, which then knows what was late, lost or sent twice.

pub mod api;
pub mod child;
pub mod disk;
pub mod figures;
pub mod fill;
pub mod forwarder;
pub mod give_way;
pub mod histogram;
pub mod ledger;
pub mod link;
pub mod load;
pub mod mark;
pub mod pages;
pub mod process;
pub mod receiver;
pub mod report;
pub mod round;
pub mod sample;
pub mod starting;
pub mod subject;
pub mod template;
pub mod visitor;
pub mod waiting;
pub mod wire;
