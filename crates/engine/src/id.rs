//! Identifiers: time-ordered 64-bit integers inside, prefixed sortable text outside.
//!
//! An id is `41 bits milliseconds since 2024-01-01 | 10 bits node number | 12 bits sequence`, so rows made later sort
//! later, on any node, in any database. The text is the kind's prefix and thirteen characters of Crockford's base 32
//! in lower case, which sorts as the number does.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::time::Timestamp;

/// 2024-01-01T00:00:00Z in milliseconds since the Unix epoch: where the ids' time starts.
const EPOCH_MS: i64 = 1_704_067_200_000;
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;
/// Node numbers are below this.
pub const MAX_NODES: u16 = 1 << NODE_BITS;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 13;

/// The millisecond at which an id was made.
fn millis_of(id: i64) -> i64 {
    (id >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MS
}

/// The smallest id that can have been made at `at` or later; for cutting lists and pruning by time.
pub fn floor_at(at: Timestamp) -> i64 {
    (at.millis().saturating_sub(EPOCH_MS)).clamp(0, (1 << 41) - 1) << (NODE_BITS + SEQUENCE_BITS)
}

/// How far ids go on in this time.
pub fn span_of(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).clamp(0, (1 << 41) - 1) << (NODE_BITS + SEQUENCE_BITS)
}

fn encode(id: i64, out: &mut [u8; TEXT_LEN]) {
    let mut rest = id as u64;
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
}

fn decode(text: &str) -> Option<i64> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut id: u64 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|&c| c == byte)? as u64;
        id = id.checked_mul(32)?.checked_add(digit)?;
    }
    i64::try_from(id).ok()
}

/// A UUID of version 7 that holds the id: its milliseconds where version 7 has them, its sequence in the 12 bits after the
/// version, its node in the first 10 bits after the variant. The last 52 bits are a digest of kind and id.
fn uuid_of(prefix: &str, id: i64) -> Uuid {
    let millis = millis_of(id) as u128 & ((1 << 48) - 1);
    let sequence = id as u128 & ((1 << SEQUENCE_BITS) - 1);
    let node = (id >> SEQUENCE_BITS) as u128 & ((1 << NODE_BITS) - 1);
    let digest = u128::from(digest(prefix, id) >> 12);
    Uuid::from_u128(millis << 80 | 7 << 76 | sequence << 64 | 2 << 62 | node << 52 | digest)
}

/// The id that such a UUID holds. Any UUID gives one; only the right one gives the UUID back.
fn id_in(uuid: Uuid) -> Option<i64> {
    let bits = uuid.as_u128();
    let millis = i64::try_from(bits >> 80).ok()?.checked_sub(EPOCH_MS)?;
    let sequence = (bits >> 64) as i64 & ((1 << SEQUENCE_BITS) - 1);
    let node = (bits >> 52) as i64 & ((1 << NODE_BITS) - 1);
    (0..1 << 41).contains(&millis).then_some(millis << (NODE_BITS + SEQUENCE_BITS) | node << SEQUENCE_BITS | sequence)
}

/// FNV-1a over kind and id, then mixed: spreads, keeps nothing secret.
fn digest(prefix: &str, id: i64) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = prefix.bytes().chain(id.to_be_bytes()).fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            /// What the text form starts with.
            pub const PREFIX: &'static str = $prefix;

            /// Reads the text form; `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                text.strip_prefix($prefix).and_then(decode).map(Self)
            }

            /// When it was made.
            pub fn made_at(self) -> Timestamp {
                Timestamp(millis_of(self.0))
            }

            /// The same id as a UUID, for receivers that expect one. Ids of different kinds give different UUIDs.
            pub fn uuid(self) -> Uuid {
                uuid_of($prefix, self.0)
            }

            /// The id whose UUID this is; `None` for any other UUID.
            pub fn from_uuid(uuid: Uuid) -> Option<Self> {
                id_in(uuid).filter(|id| uuid_of($prefix, *id) == uuid).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0u8; TEXT_LEN];
                encode(self.0, &mut text);
                f.write_str($prefix)?;
                f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom(concat!("not an id of the form ", $prefix, "…")))
            }
        }
    )*};
}

ids! {
    /// A project: one product and environment.
    ProjectId = "prj_";
    /// An organization: the tenant boundary.
    OrganizationId = "org_";
    /// An entry of a project's catalogue of event types.
    EventTypeId = "typ_";
    /// A webhook: one subscription.
    WebhookId = "whk_";
    /// An event as it was accepted.
    EventId = "evt_";
    /// One event for one webhook.
    DeliveryId = "dlv_";
    /// A running piece of bulk work.
    JobId = "job_";
    /// An API key; not its secret.
    ApiKeyId = "key_";
    /// A hold on sending.
    PauseId = "pau_";
    /// A person's visit to the portal; not what lets them in.
    SessionId = "ses_";
    /// One process; every start of the server is a new node.
    NodeId = "nod_";
}

/// Makes ids for one node. The clock is the caller's.
#[derive(Debug)]
pub struct IdGenerator {
    node: i64,
    last_ms: i64,
    sequence: i64,
}

impl IdGenerator {
    /// `node_number` is this node's own, below [`MAX_NODES`]; no two live nodes share one.
    pub fn new(node_number: u16) -> Self {
        assert!(node_number < MAX_NODES, "node number {node_number} is not below {MAX_NODES}");
        IdGenerator { node: i64::from(node_number), last_ms: 0, sequence: 0 }
    }

    /// A generator whose ids are all larger than `newest`, another node's, so that order outlives a clock that was set
    /// back between the two.
    pub fn starting_after(node_number: u16, newest: i64) -> Self {
        let last_ms = (newest >> (NODE_BITS + SEQUENCE_BITS)) + 1;
        IdGenerator { last_ms, ..IdGenerator::new(node_number) }
    }

    /// The next id: larger than every id this generator gave before, also when the clock steps back or more than
    /// 4,096 are made within a millisecond (then the ids run a little ahead of the clock).
    pub fn next(&mut self, now: Timestamp) -> i64 {
        let ms = (now.millis() - EPOCH_MS).max(0);
        if ms > self.last_ms {
            self.last_ms = ms;
            self.sequence = 0;
        } else {
            self.sequence += 1;
            if self.sequence == 1 << SEQUENCE_BITS {
                self.last_ms += 1;
                self.sequence = 0;
            }
        }
        (self.last_ms << (NODE_BITS + SEQUENCE_BITS)) | (self.node << SEQUENCE_BITS) | self.sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_has_a_prefix_and_thirteen_characters() {
        assert_eq!(EventId(0).to_string(), "evt_0000000000000");
        assert_eq!(EventId(i64::MAX).to_string(), "evt_7zzzzzzzzzzzz");
        assert_eq!(EventId::parse("evt_7zzzzzzzzzzzz"), Some(EventId(i64::MAX)));
        assert_eq!(EventId::parse("evt_zzzzzzzzzzzzz"), None);
        assert_eq!(EventId::parse("org_0000000000000"), None);
        assert_eq!(EventId::parse("evt_000000000000U"), None);
    }

    #[test]
    fn ids_grow_within_a_millisecond_and_when_the_clock_steps_back() {
        let mut ids = IdGenerator::new(3);
        let mut last = ids.next(Timestamp(EPOCH_MS + 1_000));
        for step in 0..10_000 {
            let id = ids.next(Timestamp(EPOCH_MS + 1_000 - step / 100));
            assert!(id > last);
            last = id;
        }
        assert!(ids.next(Timestamp(EPOCH_MS + 2_000)) > last);
    }

    #[test]
    fn ids_grow_from_one_node_to_the_next_though_the_clock_was_set_back() {
        let newest = IdGenerator::new(900).next(Timestamp(EPOCH_MS + 90_000));
        let mut ids = IdGenerator::starting_after(3, newest);
        let first = ids.next(Timestamp(EPOCH_MS + 1_000));
        assert!(first > newest);
        assert!(ids.next(Timestamp(EPOCH_MS + 1_000)) > first);
        let later = IdGenerator::new(3).next(Timestamp(EPOCH_MS + 99_000));
        assert_eq!(ids.next(Timestamp(EPOCH_MS + 99_000)), later);
    }

    proptest! {
        #[test]
        fn text_round_trips_and_sorts_as_the_number(a in 0..i64::MAX, b in 0..i64::MAX) {
            let (left, right) = (DeliveryId(a), DeliveryId(b));
            prop_assert_eq!(DeliveryId::parse(&left.to_string()), Some(left));
            prop_assert_eq!(left.to_string().cmp(&right.to_string()), a.cmp(&b));
        }

        #[test]
        fn uuids_hold_the_id(id in 0..i64::MAX) {
            let uuid = EventId(id).uuid();
            prop_assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
            prop_assert_eq!(EventId::from_uuid(uuid), Some(EventId(id)));
            prop_assert_eq!(DeliveryId::from_uuid(uuid), None);
        }

        #[test]
        fn foreign_uuids_are_no_ids(bits: u128) {
            prop_assert_eq!(EventId::from_uuid(Uuid::from_u128(bits)), None);
        }

        #[test]
        fn the_time_can_be_read_back(ms in 1_704_067_200_000i64..1_900_000_000_000, node in 0u16..1024) {
            let id = IdGenerator::new(node).next(Timestamp(ms));
            prop_assert_eq!(EventId(id).made_at(), Timestamp(ms));
            prop_assert!(floor_at(Timestamp(ms)) <= id && id < floor_at(Timestamp(ms + 1)));
        }
    }
}
