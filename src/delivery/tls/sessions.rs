//! TLS sessions, remembered so that the next handshake with a receiver is cheaper, within bounds for each and for all.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::{self, Write};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tokio::time::Instant;

/// For how many receivers sessions are remembered, and how many bytes they may take. Those used least recently make room.
const MAX_RECEIVERS: usize = 16_384;
const MAX_BYTES: usize = 96 * 1024 * 1024;
/// How many TLS 1.3 tickets are remembered for a receiver; each is good for one connection. While more than half of the bytes are
/// taken, one.
const MAX_TICKETS: usize = 4;
/// The largest ticket and the largest chain of certificates that are remembered. Both are the receiver's choice.
const MAX_TICKET_BYTES: usize = 4 * 1024;
const MAX_CHAIN_BYTES: usize = 16 * 1024;
/// How long ago a receiver's certificate was verified at most: a resumed session doesn't verify it again, and each resumption
/// brings new tickets.
const MAX_AGE: Duration = Duration::from_secs(12 * 60 * 60);
/// About how much a session takes besides its ticket and chain, and a receiver besides its name and sessions.
const SESSION_BYTES: usize = 512;
const RECEIVER_BYTES: usize = 512;

/// See the module.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Receivers>);

#[derive(Default)]
struct Receivers {
    by_name: HashMap<ServerName<'static>, Receiver>,
    /// The one used least recently first.
    by_use: BTreeMap<u64, ServerName<'static>>,
    uses: u64,
    bytes: usize,
}

#[derive(Default)]
struct Receiver {
    last_use: u64,
    hint: Option<NamedGroup>,
    verified: Option<Verified>,
    tls12: Option<(Tls12ClientSessionValue, usize)>,
    /// The newest last, each with its size.
    tls13: VecDeque<(Tls13ClientSessionValue, usize)>,
}

/// When a receiver's certificate was verified in full, and how many bytes it has with its intermediates.
#[derive(Clone, Copy)]
struct Verified {
    at: Instant,
    chain_bytes: usize,
}

impl Sessions {
    /// Notes that a receiver's certificate was verified, `chain_bytes` long with its intermediates.
    pub(super) fn note_verified(&self, name: &ServerName<'_>, chain_bytes: usize) {
        let verified = Verified { at: Instant::now(), chain_bytes };
        self.0.lock().change(name.to_owned(), |receiver| receiver.verified = Some(verified));
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.0.lock().change(name, |receiver| receiver.hint = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.lock().by_name.get(name)?.hint
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.0.lock().change(name, |receiver| {
            receiver.tls12 = receiver.size_of(&session).map(|bytes| (session, bytes));
        });
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let receivers = self.0.lock();
        let receiver = receivers.by_name.get(name).filter(|receiver| receiver.is_fresh())?;
        receiver.tls12.as_ref().map(|(session, _)| session.clone())
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.0.lock().change(name.clone(), |receiver| receiver.tls12 = None);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut receivers = self.0.lock();
        let most = if receivers.bytes > MAX_BYTES / 2 { 1 } else { MAX_TICKETS };
        receivers.change(name, |receiver| {
            if receiver.tls13.len() < most
                && let Some(bytes) = receiver.size_of(&ticket)
            {
                receiver.tls13.push_back((ticket, bytes));
            }
        });
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut taken = None;
        self.0.lock().change(name.clone(), |receiver| {
            taken = receiver.is_fresh().then(|| receiver.tls13.pop_back()).flatten();
            if taken.is_none() {
                receiver.tls13.clear();
            }
        });
        taken.map(|(ticket, _)| ticket)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Their secrets are nobody's business.
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Receivers {
    /// Changes what is remembered of a receiver, marks it as the one used last, and makes room.
    fn change(&mut self, name: ServerName<'static>, change: impl FnOnce(&mut Receiver)) {
        let mut receiver = match self.by_name.remove(&name) {
            Some(receiver) => {
                self.by_use.remove(&receiver.last_use);
                self.bytes -= receiver.bytes(&name);
                receiver
            }
            None => Receiver::default(),
        };
        change(&mut receiver);
        self.uses += 1;
        receiver.last_use = self.uses;
        self.bytes += receiver.bytes(&name);
        self.by_use.insert(receiver.last_use, name.clone());
        self.by_name.insert(name, receiver);
        while self.by_name.len() > MAX_RECEIVERS || self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.by_use.pop_first() else { return };
            let bytes = self.by_name.remove(&oldest).map_or(0, |receiver| receiver.bytes(&oldest));
            self.bytes -= bytes;
        }
    }
}

impl Receiver {
    fn is_fresh(&self) -> bool {
        self.verified.is_some_and(|verified| verified.at.elapsed() < MAX_AGE)
    }

    fn bytes(&self, name: &ServerName<'_>) -> usize {
        let tickets = self.tls13.iter().map(|(_, bytes)| bytes).sum::<usize>();
        let sessions = tickets + self.tls12.as_ref().map_or(0, |(_, bytes)| *bytes);
        // The name stands in both maps.
        RECEIVER_BYTES + 2 * name.to_str().len() + sessions
    }

    /// How many bytes a session of this receiver takes; `None` if that's unknown or too many to remember it.
    fn size_of(&self, session: &impl fmt::Debug) -> Option<usize> {
        let chain = self.verified?.chain_bytes;
        let ticket = ticket_bytes(session)?;
        (chain <= MAX_CHAIN_BYTES).then_some(SESSION_BYTES + chain + ticket)
    }
}

/// About how many bytes a session's ticket takes; `None` if more than may be remembered. rustls doesn't tell but by `Debug`, which
/// prints the ticket in hexadecimal digits near the start, before the time that is called its epoch.
fn ticket_bytes(session: &impl fmt::Debug) -> Option<usize> {
    let mut printed = Printed { characters: 0, at_end: false };
    let whole = write!(printed, "{session:?}").is_ok();
    (whole || printed.at_end).then_some(printed.characters / 2)
}

/// Counts what is printed up to the end of the ticket, and stops where it is too much.
struct Printed {
    characters: usize,
    at_end: bool,
}

impl Write for Printed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text == "epoch" {
            self.at_end = true;
            return Err(fmt::Error);
        }
        self.characters += text.len();
        if self.characters > 2 * MAX_TICKET_BYTES { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, CustomExtension, KeyPair};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::server::{NoServerSessionStorage, ProducesTickets};
    use rustls::{
        ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection, SupportedProtocolVersion,
        version,
    };

    use super::super::with_sessions;
    use super::*;

    /// Hides a session in a ticket of so many bytes more, by knowing it.
    #[derive(Debug)]
    struct Padding(usize);

    impl ProducesTickets for Padding {
        fn enabled(&self) -> bool {
            true
        }

        fn lifetime(&self) -> u32 {
            u32::MAX
        }

        fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
            let mut ticket = u32::try_from(plain.len()).ok()?.to_be_bytes().to_vec();
            ticket.extend_from_slice(plain);
            ticket.resize(ticket.len() + self.0, 7);
            Some(ticket)
        }

        fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
            let (length, rest) = ticket.split_first_chunk()?;
            rest.get(..u32::from_be_bytes(*length) as usize).map(<[u8]>::to_vec)
        }
    }

    /// A server for names below `example.com`, and a client that trusts it.
    struct Pair {
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
        sessions: Arc<Sessions>,
    }

    impl Pair {
        fn new(version: &'static SupportedProtocolVersion, ticket_padding: usize, chain_padding: usize) -> Pair {
            let mut params = CertificateParams::new(vec!["*.example.com".to_owned()]).unwrap();
            let padding = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![0; chain_padding]);
            params.custom_extensions.push(padding);
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let sessions = Arc::new(Sessions::default());
            let client = with_sessions(Some(certificate.pem().as_bytes()), &sessions).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let mut server = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
                .unwrap();
            server.ticketer = Arc::new(Padding(ticket_padding));
            server.session_storage = Arc::new(NoServerSessionStorage {});
            Pair { client, server: Arc::new(server), sessions }
        }

        /// One connection. Returns whether it resumed a session.
        fn connect(&self, name: &str) -> bool {
            let name = ServerName::try_from(name.to_owned()).unwrap();
            let mut client = ClientConnection::new(self.client.clone(), name).unwrap();
            let mut server = ServerConnection::new(self.server.clone()).unwrap();
            for _ in 0..4 {
                let mut bytes = Vec::new();
                while client.wants_write() {
                    client.write_tls(&mut bytes).unwrap();
                }
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    server.read_tls(&mut rest).unwrap();
                    server.process_new_packets().unwrap();
                }
                bytes.clear();
                while server.wants_write() {
                    server.write_tls(&mut bytes).unwrap();
                }
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    client.read_tls(&mut rest).unwrap();
                    client.process_new_packets().unwrap();
                }
            }
            assert!(!client.is_handshaking() && !server.is_handshaking());
            client.handshake_kind() == Some(HandshakeKind::Resumed)
        }

        fn bytes(&self) -> usize {
            let receivers = self.sessions.0.lock();
            let counted = receivers.by_use.values().map(|name| receivers.by_name[name].bytes(name)).sum::<usize>();
            assert_eq!(receivers.bytes, counted);
            assert_eq!(receivers.by_use.len(), receivers.by_name.len());
            counted
        }
    }

    #[test]
    fn sessions_are_resumed_again_and_again() {
        for version in [&version::TLS13, &version::TLS12] {
            let pair = Pair::new(version, 0, 0);
            let resumed = ["a", "b", "a", "b", "a", "b"].map(|host| pair.connect(&format!("{host}.example.com")));
            assert_eq!(resumed, [false, false, true, true, true, true], "{version:?}");
            pair.bytes();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_is_verified_again_after_half_a_day() {
        for version in [&version::TLS13, &version::TLS12] {
            let pair = Pair::new(version, 0, 0);
            assert!(!pair.connect("a.example.com"));
            tokio::time::advance(MAX_AGE - Duration::from_secs(1)).await;
            assert!(pair.connect("a.example.com"));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!pair.connect("a.example.com"), "though the session is a second old: {version:?}");
            assert!(pair.connect("a.example.com"));
        }
    }

    #[test]
    fn large_tickets_and_chains_are_not_remembered() {
        for version in [&version::TLS13, &version::TLS12] {
            let plain = Pair::new(version, 0, 0);
            plain.connect("a.example.com");
            let larger = Pair::new(version, 1_000, 0);
            larger.connect("a.example.com");
            // Signatures differ by some bytes from certificate to certificate.
            assert!(larger.bytes() >= plain.bytes() + 900, "tickets are counted");
            let chained = Pair::new(version, 0, 1_000);
            chained.connect("a.example.com");
            assert!(chained.bytes() >= plain.bytes() + 900, "chains are counted");
            for too_large in [Pair::new(version, MAX_TICKET_BYTES, 0), Pair::new(version, 0, MAX_CHAIN_BYTES)] {
                too_large.connect("a.example.com");
                assert!(!too_large.connect("a.example.com"), "{version:?}");
                assert!(too_large.bytes() <= RECEIVER_BYTES + 2 * "a.example.com".len());
            }
        }
    }

    #[test]
    fn so_many_tickets_are_remembered_for_a_receiver() {
        let pair = Pair::new(&version::TLS13, 0, 0);
        for _ in 0..2 * MAX_TICKETS {
            pair.connect("a.example.com");
        }
        let name = ServerName::try_from("a.example.com").unwrap();
        let tickets = std::iter::from_fn(|| pair.sessions.take_tls13_ticket(&name));
        assert_eq!(tickets.count(), MAX_TICKETS);
    }

    #[test]
    fn those_used_least_recently_make_room() {
        let sessions = Sessions::default();
        let name = |number: usize| ServerName::try_from(format!("r{number}.example.com")).unwrap();
        for number in 0..MAX_RECEIVERS {
            sessions.set_kx_hint(name(number), NamedGroup::X25519);
        }
        sessions.set_kx_hint(name(0), NamedGroup::X25519);
        sessions.set_kx_hint(name(MAX_RECEIVERS), NamedGroup::X25519);
        let known = |number| sessions.kx_hint(&name(number)).is_some();
        assert!(known(0) && !known(1) && known(2) && known(MAX_RECEIVERS));
        let receivers = sessions.0.lock();
        assert_eq!((receivers.by_name.len(), receivers.by_use.len()), (MAX_RECEIVERS, MAX_RECEIVERS));
        assert!(receivers.bytes < MAX_BYTES / 2, "receivers without sessions leave room for those with one");
    }
}
