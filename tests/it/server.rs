//! The server's own life: the real program as a child process, real sockets on both sides.

mod changes;
mod client;
mod crash;
mod failures;
mod first_webhook;
mod ledger;
mod load;
mod patience;
mod pauses;
mod process;
mod receiver;
mod scene;
mod stopping;
