//! File descriptors: as many as the system allows, divided between clients and deliveries, so that neither takes those of the
//! other.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most that are asked for, where the system sets no limit of its own.
const MOST: u64 = 1 << 20;
/// Kept for the store, its log, name servers, and what is opened now and then.
const RESERVED: u64 = 128;
/// The most connections of clients at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 8_192;
/// The least of each kind, however low the limit is.
const LEAST: usize = 16;

/// How many descriptors there are for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Connections of clients.
    pub clients: usize,
    /// Requests to receivers under way.
    pub in_flight: usize,
    /// Connections to receivers that are kept for the next request.
    pub kept: usize,
    /// Sockets that look up names.
    pub lookups: usize,
}

/// Raises the limit of this process to what the system allows; answers the limit from now on.
pub fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(MOST);
    let wanted = maximum.unwrap_or(MOST).min(MOST);
    if wanted <= current {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, limit = current, "the limit of open files could not be raised");
            current
        }
    }
}

/// Divides so many descriptors: an eighth for looking up names, and of the rest a third each for clients, for requests under way and
/// for connections that are kept. What clients do not need the others get.
pub fn divide(limit: u64) -> Shares {
    let all = usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX);
    let lookups = (all / 8).max(LEAST);
    let rest = all.saturating_sub(lookups);
    let clients = (rest / 3).clamp(LEAST, MAX_CONNECTIONS);
    let half = (rest.saturating_sub(clients) / 2).max(LEAST);
    Shares { clients, in_flight: half, kept: half, lookups }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_divided() {
        for limit in [256, 1_024, 4_096, 65_536, 1 << 20] {
            let Shares { clients, in_flight, kept, lookups } = divide(limit);
            assert!((clients + in_flight + kept + lookups) as u64 + RESERVED <= limit, "{limit}");
        }
        assert_eq!(divide(1_024), Shares { clients: 261, in_flight: 261, kept: 261, lookups: 112 });
        assert_eq!(divide(1 << 20).clients, MAX_CONNECTIONS);
        assert!(divide(1 << 20).in_flight > 100_000);
        assert_eq!(divide(0), Shares { clients: LEAST, in_flight: LEAST, kept: LEAST, lookups: LEAST });
    }

    #[test]
    fn the_limit_is_what_the_system_allows() {
        let raised = raise();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(MOST), raised);
        assert_eq!(raise(), raised);
    }
}
