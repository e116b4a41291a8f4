//! Looking up the addresses of a host name.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::{TokioResolver, system_conf};

/// How long one name server may take to answer one question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a question is asked.
const TRIES: usize = 2;
/// How long an answer is remembered at most, whatever its own lifetime: addresses are to follow a change soon.
const MAX_TTL: Duration = Duration::from_secs(60);
/// How long the absence of an answer is remembered at most.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(10);
/// How many answers are remembered.
const CACHE_ENTRIES: u64 = 8_192;

/// Why a name has no addresses. It says nothing of the name servers: customers read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    #[error("no such host name, or it has no address")]
    NotFound,
    #[error("the name could not be looked up")]
    Failed,
    #[error("looking up the name took too long")]
    TimedOut,
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
    resolver: TokioResolver,
}

/// The system's name servers are not known.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the system's DNS configuration (/etc/resolv.conf): {0}")]
pub struct DnsSetupError(String);

impl DnsResolver {
    /// A resolver that asks the system's name servers. Must be called within the runtime.
    pub fn from_system() -> Result<DnsResolver, DnsSetupError> {
        let (config, _) = system_conf::read_system_conf().map_err(|error| DnsSetupError(error.to_string()))?;
        DnsResolver::from_config(config)
    }

    /// A resolver that asks the name servers of `config`; its search domains are not used.
    pub fn from_config(config: ResolverConfig) -> Result<DnsResolver, DnsSetupError> {
        let config = ResolverConfig::from_parts(None, Vec::new(), config.name_servers().to_vec());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = ANSWER_TIMEOUT;
        options.attempts = TRIES;
        options.cache_size = CACHE_ENTRIES;
        options.positive_max_ttl = Some(MAX_TTL);
        options.negative_max_ttl = Some(MAX_NEGATIVE_TTL);
        // Machines without IPv6 are common, and their IPv6 fails slowly.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let resolver = builder.build().map_err(|error| DnsSetupError(error.to_string()))?;
        Ok(DnsResolver { resolver })
    }
}

impl Resolver for DnsResolver {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let Some(name) = as_written(name) else { return Err(LookupError::NotFound) };
            match self.resolver.lookup_ip(name).await {
                Ok(answer) => Ok(answer.iter().collect()),
                Err(error) if error.is_no_records_found() => Err(LookupError::NotFound),
                Err(hickory_resolver::net::NetError::Timeout) => Err(LookupError::TimedOut),
                Err(_) => Err(LookupError::Failed),
            }
        })
    }
}

/// Returns the name to ask for, byte for byte and complete. Parsing it as text would apply the rules for names of machines, which
/// many names that resolve don't follow, such as those with an underscore. `None` if the name can't exist.
fn as_written(name: &str) -> Option<Name> {
    let name = name.strip_suffix('.').unwrap_or(name);
    Name::from_labels(name.split('.').map(str::as_bytes)).ok()
}
