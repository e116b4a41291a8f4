//! The server's own life: the real program as a child process, real sockets on both sides.

mod access;
mod as_first_sent;
mod changes;
pub(crate) mod client;
mod costs;
mod crash;
mod failures;
mod fairness;
mod first_webhook;
mod framing;
mod handshakes;
mod ingest;
mod ledger;
mod limits;
mod load;
mod loops;
mod metrics;
mod moving;
mod patience;
mod pauses;
pub(crate) mod process;
mod receiver;
mod repeats;
mod request_log;
mod restoring;
mod scene;
mod secrets;

mod startup;
mod stopping;
mod stream;
mod vendors;
