//! The integration tests: the real server, through its sockets.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

mod api;
mod browser;
mod cli;
mod delivery_http;
mod portal;
mod receivers;
mod server;
mod shape;
mod stories;
