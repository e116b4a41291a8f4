//! Measuring a server.
