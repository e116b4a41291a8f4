//! How many receivers of an organization are asked for their consent at once.

use std::collections::HashMap;

use fanfare_engine::id::OrganizationId;
use parking_lot::Mutex;

/// At most so many in one organization: a receiver may keep silent for as long as an exchange may take, and requests that
/// wait for it must not use up what the server does at once for everybody.
const AT_ONCE: u32 = 8;

/// The organizations whose receivers are being asked, and how many of each.
#[derive(Default)]
pub struct Asking(Mutex<HashMap<OrganizationId, u32>>);

impl Asking {
    /// Counts one more until the answer is dropped; `None` where the organization has as many as it may.
    pub(super) fn enter(&self, organization: OrganizationId) -> Option<Asked<'_>> {
        let mut counts = self.0.lock();
        let count = counts.entry(organization).or_default();
        (*count < AT_ONCE).then(|| {
            *count += 1;
            Asked { asking: self, organization }
        })
    }
}

/// A receiver that is being asked.
pub(super) struct Asked<'a> {
    asking: &'a Asking,
    organization: OrganizationId,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut counts = self.asking.0.lock();
        if let Some(count) = counts.get_mut(&self.organization) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_organization_has_its_own_bound() {
        let asking = Asking::default();
        let mut asked: Vec<_> = (0..AT_ONCE).map(|_| asking.enter(OrganizationId(1)).unwrap()).collect();
        assert!(asking.enter(OrganizationId(1)).is_none());
        let other = asking.enter(OrganizationId(2)).unwrap();
        asked.pop();
        asked.push(asking.enter(OrganizationId(1)).unwrap());
        assert!(asking.enter(OrganizationId(1)).is_none());
        drop((asked, other));
        assert!(asking.0.lock().is_empty(), "nothing is remembered of who is not asked");
    }
}
