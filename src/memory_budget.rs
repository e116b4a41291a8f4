//! The memory that requests, responses, deliveries and logs may take: one budget, of which each use has a share.
//!
//! Whoever holds bytes of a share holds a [`Permit`] for them. Beyond its share a use gets no permit: a request is answered
//! 503, a delivery waits, the response of a receiver is logged without its body. One owner (a key, an organization) gets at most
//! half of a share, so that it leaves some for others. What is deliveries' is counted where they are scheduled.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The part of a share that one owner may hold, as a divisor.
const OWNER_PART: usize = 2;

/// A delivery in memory holds its event and the body of its request, so what the scheduler counts of it counts so often.
pub const COPIES: usize = 2;

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Use {
    /// Bodies of requests to the API and the portal.
    Requests,
    /// Bodies of responses that their clients have not read yet.
    Responses,
    /// Deliveries that wait for their turn, and the requests to receivers that are under way.
    Deliveries,
    /// What receivers answered, until it is in the log.
    Logs,
}

impl Use {
    /// All of them.
    pub const ALL: [Use; 4] = [Use::Requests, Use::Responses, Use::Deliveries, Use::Logs];

    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Use::Requests => "requests",
            Use::Responses => "responses",
            Use::Deliveries => "deliveries",
            Use::Logs => "logs",
        }
    }

    /// Its part of the budget, in eighths.
    fn eighths(self) -> usize {
        match self {
            Use::Requests => 2,
            Use::Responses => 1,
            Use::Deliveries => 4,
            Use::Logs => 1,
        }
    }
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<[Share; Use::ALL.len()]>);

/// Whose memory it is: the hash of a key, the id of an organization.
pub type Owner = u64;

/// A share has no room for more of this owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its share of the memory is used up")]
pub struct Exhausted;

#[derive(Debug)]
struct Share {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    /// Of each owner that holds any.
    owners: HashMap<Owner, usize>,
    refused: u64,
}

/// The right to some bytes of a share, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    budget: MemoryBudget,
    share: Use,
    owner: Owner,
    bytes: usize,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        MemoryBudget(Arc::new(
            Use::ALL.map(|share| Share { limit: bytes / 8 * share.eighths(), held: Mutex::default() }),
        ))
    }

    /// How many bytes a use may take.
    pub fn limit(&self, share: Use) -> usize {
        self.0[share as usize].limit
    }

    /// How many bytes permits are held for.
    pub fn held(&self, share: Use) -> usize {
        self.0[share as usize].held.lock().bytes
    }

    /// How often a permit was refused.
    pub fn refused(&self, share: Use) -> u64 {
        self.0[share as usize].held.lock().refused
    }

    /// A permit for nothing yet.
    pub fn permit(&self, share: Use, owner: Owner) -> Permit {
        Permit { budget: self.clone(), share, owner, bytes: 0 }
    }
}

impl Share {
    /// Adds to what an owner holds, of which `permitted` by the permit that grows. The only permit there is may grow further
    /// than that: the largest body must be possible however small the budget is.
    fn hold(&self, owner: Owner, permitted: usize, bytes: usize) -> Result<(), Exhausted> {
        let mut held = self.held.lock();
        let own = held.owners.get(&owner).copied().unwrap_or(0);
        let fits = held.bytes + bytes <= self.limit && own + bytes <= self.limit / OWNER_PART;
        if !fits && permitted < held.bytes {
            held.refused += 1;
            return Err(Exhausted);
        }
        held.bytes += bytes;
        held.owners.insert(owner, own + bytes);
        Ok(())
    }

    fn let_go(&self, owner: Owner, bytes: usize) {
        let mut held = self.held.lock();
        held.bytes -= bytes;
        if let Some(own) = held.owners.get_mut(&owner) {
            *own -= bytes;
            if *own == 0 {
                held.owners.remove(&owner);
            }
        }
    }
}

impl Permit {
    /// Extends it by so many bytes.
    ///
    /// # Errors
    /// There is no room for them; what it had before stays.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.budget.0[self.share as usize].hold(self.owner, self.bytes, bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.0[self.share as usize].let_go(self.owner, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 8 << 20;
    const LOGS: usize = BYTES / 8;

    fn taken(budget: &MemoryBudget, owner: Owner, bytes: usize) -> Option<Permit> {
        let mut permit = budget.permit(Use::Logs, owner);
        permit.grow(bytes).ok().map(|()| permit)
    }

    #[test]
    fn shares_are_apart_and_together_the_whole() {
        let budget = MemoryBudget::new(BYTES);
        assert_eq!(Use::ALL.map(|share| budget.limit(share)).iter().sum::<usize>(), BYTES);
        let _logs = taken(&budget, 1, LOGS).unwrap();
        let mut request = budget.permit(Use::Requests, 1);
        assert_eq!(request.grow(1), Ok(()));
    }

    #[test]
    fn one_owner_leaves_half_of_a_share_and_gets_back_what_it_lets_go() {
        let budget = MemoryBudget::new(BYTES);
        let first = taken(&budget, 1, LOGS / 2).unwrap();
        assert!(taken(&budget, 1, 1).is_none());
        let second = taken(&budget, 2, LOGS / 2).unwrap();
        assert!(taken(&budget, 3, 1).is_none(), "the share is used up");
        assert_eq!((budget.held(Use::Logs), budget.refused(Use::Logs)), (LOGS, 2));
        drop(first);
        let _third = taken(&budget, 3, LOGS / 2).unwrap();
        drop(second);
        assert_eq!(budget.held(Use::Logs), LOGS / 2);
    }

    #[test]
    fn what_is_larger_than_a_share_fits_alone() {
        let budget = MemoryBudget::new(BYTES);
        let mut large = taken(&budget, 1, LOGS).unwrap();
        assert_eq!(large.grow(LOGS), Ok(()));
        assert!(taken(&budget, 2, 1).is_none());
        drop(large);
        let _small = taken(&budget, 2, 1).unwrap();
        assert!(taken(&budget, 1, 2 * LOGS).is_none());
    }

    #[test]
    fn nothing_is_kept_of_who_holds_nothing() {
        let budget = MemoryBudget::new(BYTES);
        for owner in 0..100 {
            drop(taken(&budget, owner, 10));
        }
        assert!(budget.0[Use::Logs as usize].held.lock().owners.is_empty());
    }
}
