//! The HTTP client against receivers that misbehave, over real sockets. Tests carry the number of their case.

mod body;
pub(crate) mod certificates;
mod delay;
mod dns;
mod guard;
mod head;
mod http2;
mod logged;
mod proxied;
mod receiver;
mod reuse;
mod secure;
mod servers;
mod setup;
mod upload;
