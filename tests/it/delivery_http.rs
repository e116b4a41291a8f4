//! The HTTP client against receivers that misbehave, over real sockets. Tests carry the number of their case.

mod body;
pub(crate) mod certificates;
mod dns;
mod guard;
mod head;
mod http2;
mod proxied;
mod receiver;
mod reuse;
mod secure;
mod setup;
mod upload;
