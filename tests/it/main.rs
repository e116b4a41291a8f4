//! The integration tests: the real server, through its sockets.

mod delivery_http;
