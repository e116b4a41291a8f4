//! The server's own life: the real program as a child process, real sockets on both sides.

mod changes;
mod client;
mod failures;
mod first_webhook;
mod patience;
mod pauses;
mod process;
mod receiver;
mod scene;
