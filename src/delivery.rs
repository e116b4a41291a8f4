//! Getting requests to receivers.
//!
//! [`http::HttpClient`] sends one request and reports how it went. Below it [`connector`] decides where a connection
//! may go and makes it, with the names looked up by [`dns`] and secured by [`tls`]; `connection` speaks HTTP/1.1 or
//! HTTP/2 over its `line`, `pool` keeps it for the next request, and [`exchange`] is what came back.
//!
//! [`dispatcher::Dispatcher`] runs the scheduler and carries out its commands: `runner` makes an attempt, `verdict`
//! says what follows, `record` has it written, `report` and `disable` tell the operator and switch webhooks off, and
//! `backlog` fetches what waits in the store.

mod backlog;
mod connection;
pub mod connector;
mod disable;
pub mod dispatcher;
pub mod dns;
pub mod exchange;
pub mod http;
mod line;
mod pool;
mod record;
pub mod report;
mod runner;
pub mod tls;
pub mod updates;
mod verdict;
