//! The profiles that come with the program.

/// Name in errors, and content, of each file.
pub(super) const FILES: [(&str, &str); 1] =
    [("profiles/standard.toml", include_str!("../../../../profiles/standard.toml"))];
