//! The profiles that come with the program.

/// Name in errors, and content, of each file.
pub(super) const FILES: &[(&str, &str)] = &[
    ("profiles/enablenow.toml", include_str!("../../../../profiles/enablenow.toml")),
    ("profiles/enate.toml", include_str!("../../../../profiles/enate.toml")),
    ("profiles/etlworks.toml", include_str!("../../../../profiles/etlworks.toml")),
    ("profiles/one-click-contractor.toml", include_str!("../../../../profiles/one-click-contractor.toml")),
    ("profiles/standard.toml", include_str!("../../../../profiles/standard.toml")),
];
