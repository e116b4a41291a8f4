//! The command line of Fanfare.

fn main() {}
