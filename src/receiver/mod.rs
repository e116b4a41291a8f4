//! A receiver of webhooks: takes requests, checks their Standard Webhooks signature, answers as it is told to.
//!
//! Shared by the commands that play the customer's side. It stands on its own: it reads signatures without the
//! engine's signing code, so that a mistake there is seen here.

pub mod behaviour;
pub mod print;
pub mod serve;
pub mod verify;
