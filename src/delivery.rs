//! Getting requests to receivers.
//!
//! [`http::HttpClient`] sends one request and reports how it went. Below it [`connector`] decides where a connection
//! may go and makes it, with the names looked up by [`dns`], the addresses tried by `race`, and the stream secured by [`tls`];
//! `connection` speaks HTTP/1.1 over its `line` and `http2` HTTP/2, `pool` keeps it for the next request, and [`exchange`] is
//! what came back, but for the [`tail`] of a body that takes longer. Where the operator has a [`proxy`], connections go
//! through it.

mod budget;
mod connection;
pub mod connector;
pub mod dns;
pub mod exchange;
pub mod http;
mod http2;
mod line;
mod message;
mod pool;
pub mod proxy;
mod race;
pub mod tail;
pub mod tls;
