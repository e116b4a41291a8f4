//! The integration tests: the real server, through its sockets.
