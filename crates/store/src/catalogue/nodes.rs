//! Nodes: the processes that work with the store.

use fanfare_engine::id::NodeId;
use fanfare_engine::time::Timestamp;

use super::query;
use crate::error::StoreError;
use crate::query::Query;

/// A process as it is known to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: NodeId,
    /// What tells its ids from those of other nodes.
    pub number: u16,
    pub started_at: Timestamp,
    /// When it last gave a sign.
    pub heartbeat_at: Timestamp,
}

/// All nodes, oldest first.
pub fn all() -> Query<Node> {
    query("SELECT id, number, started_at, heartbeat_at FROM nodes ORDER BY id", Vec::new(), |row| {
        let number = u16::try_from(row.int(1)?);
        Ok(Node {
            id: NodeId(row.int(0)?),
            number: number.map_err(|_| StoreError::Damaged("a node has no number".to_owned()))?,
            started_at: Timestamp(row.int(2)?),
            heartbeat_at: Timestamp(row.int(3)?),
        })
    })
}
