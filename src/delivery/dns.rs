//! Looking up the addresses of a host name.
//!
//! Receivers' name servers are hostile territory: how long they take, how much they answer and how often they are asked is
//! bounded here, and what they answer is kept in a form whose size they don't choose.

mod families;
mod in_flight;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{TokioResolver, system_conf};
use moka::Expiry;
use moka::sync::Cache;

use super::connector::shortage;
use families::{Answer, MAX_PER_FAMILY, Reply};
use in_flight::InFlight;

/// How long one name server may take to answer one question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a question is asked.
const TRIES: usize = 2;
/// How long an answer is remembered at most, whatever its own lifetime: addresses are to follow a change soon.
const MAX_TTL: Duration = Duration::from_secs(60);
/// How long the absence of an answer is remembered at most.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(10);
/// How many names' addresses are remembered, each with at most 32 addresses.
const CACHE_ENTRIES: u64 = 8_192;
/// How many names are looked up at once at most.
pub const MAX_LOOKUPS: usize = 1_024;
/// How many sockets a lookup holds, one for each family.
pub const SOCKETS_PER_LOOKUP: usize = 2;

/// Why a name has no addresses. It says nothing of the name servers: customers read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    #[error("no such host name, or it has no address")]
    NotFound,
    #[error("the name could not be looked up")]
    Failed,
    #[error("looking up the name took too long")]
    TimedOut,
    #[error("the server lacks file descriptors or memory")]
    Shortage,
}

/// A lookup under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, LookupError>> + Send + 'a>>;

/// Gives the addresses of host names.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of a canonical host name, in the order in which they are to be tried. The name is complete: no
    /// search domain is appended. Who calls bounds the time.
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a>;
}

/// The name servers of the system, or others.
pub struct DnsResolver {
    questions: Arc<Questions>,
    in_flight: InFlight,
}

/// What lookups share.
struct Questions {
    resolver: TokioResolver,
    known: Cache<Box<str>, Answer>,
}

/// The system's name servers are not known.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the system's DNS configuration (/etc/resolv.conf): {0}")]
pub struct DnsSetupError(String);

impl DnsResolver {
    /// A resolver that asks the system's name servers for at most `lookups` names at once. Must be called within the runtime.
    pub fn from_system(lookups: usize) -> Result<DnsResolver, DnsSetupError> {
        let (config, _) = system_conf::read_system_conf().map_err(|error| DnsSetupError(error.to_string()))?;
        DnsResolver::from_config(config, lookups)
    }

    /// A resolver that asks the name servers of `config`; its search domains are not used.
    pub fn from_config(config: ResolverConfig, lookups: usize) -> Result<DnsResolver, DnsSetupError> {
        let config = ResolverConfig::from_parts(None, Vec::new(), config.name_servers().to_vec());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = ANSWER_TIMEOUT;
        options.attempts = TRIES;
        // Its cache would hold answers as large as they came.
        options.cache_size = 0;
        options.max_active_requests = SOCKETS_PER_LOOKUP * lookups;
        let resolver = builder.build().map_err(|error| DnsSetupError(error.to_string()))?;
        let known = Cache::builder().max_capacity(CACHE_ENTRIES).expire_after(Lifetime).build();
        Ok(DnsResolver { questions: Arc::new(Questions { resolver, known }), in_flight: InFlight::new(lookups) })
    }
}

impl Resolver for DnsResolver {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            if let Some(known) = self.questions.known.get(name) {
                return known.found;
            }
            let Some(complete) = as_written(name) else { return Err(LookupError::NotFound) };
            let questions = Arc::clone(&self.questions);
            let key: Box<str> = name.into();
            let look_up = |report: in_flight::Report| async move {
                let v4 = questions.ask(complete.clone(), RecordType::A);
                let v6 = questions.ask(complete, RecordType::AAAA);
                families::ask_both(v4, v6, |answer| {
                    if !answer.lifetime.is_zero() {
                        questions.known.insert(key.clone(), answer.clone());
                    }
                    report.send(answer.found);
                })
                .await;
            };
            self.in_flight.join(name, look_up).await
        })
    }
}

impl Questions {
    /// Asks for the addresses of one family.
    async fn ask(&self, name: Name, family: RecordType) -> Reply {
        let lifetime = |seconds: u32, most: Duration| Duration::from_secs(seconds.into()).min(most);
        match self.resolver.lookup(name, family).await {
            Ok(answer) => {
                let records = answer.answers();
                let addresses: Vec<IpAddr> =
                    records.iter().filter_map(|record| record.data.ip_addr()).take(MAX_PER_FAMILY).collect();
                let shortest = records.iter().map(|record| record.ttl).min().unwrap_or_default();
                match addresses.is_empty() {
                    true => Reply::Absent { name_exists: true, lifetime: Duration::ZERO },
                    false => Reply::Addresses { addresses, lifetime: lifetime(shortest, MAX_TTL) },
                }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, negative_ttl, .. }))) => {
                Reply::Absent {
                    name_exists: response_code != ResponseCode::NXDomain,
                    lifetime: lifetime(negative_ttl.unwrap_or_default(), MAX_NEGATIVE_TTL),
                }
            }
            Err(NetError::Timeout) => Reply::Failed(LookupError::TimedOut),
            Err(error) if shortage(&error).is_some() => Reply::Failed(LookupError::Shortage),
            Err(_) => Reply::Failed(LookupError::Failed),
        }
    }
}

/// Forgets an answer after its own lifetime.
struct Lifetime;

impl Expiry<Box<str>, Answer> for Lifetime {
    fn expire_after_create(&self, _: &Box<str>, answer: &Answer, _: std::time::Instant) -> Option<Duration> {
        Some(answer.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &Box<str>,
        answer: &Answer,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(answer.lifetime)
    }
}

/// Returns the name to ask for, byte for byte and complete. Parsing it as text would apply the rules for names of machines, which
/// many names that resolve don't follow, such as those with an underscore. `None` if the name can't exist.
fn as_written(name: &str) -> Option<Name> {
    let name = name.strip_suffix('.').unwrap_or(name);
    Name::from_labels(name.split('.').map(str::as_bytes)).ok()
}
