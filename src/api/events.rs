//! Events: posting one or many, reading them, and explaining whom they went to.

pub mod batch;
mod explain;
mod input;
pub mod post;
mod read;

pub use self::explain::explain;
pub use self::read::{get, list};
