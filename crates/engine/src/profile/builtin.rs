//! The profiles that come with the program.

/// Name in errors, and content, of each file.
pub(super) const FILES: &[(&str, &str)] = &[
    ("profiles/cloudevents.toml", include_str!("../../../../profiles/cloudevents.toml")),
    ("profiles/cloudevents-binary.toml", include_str!("../../../../profiles/cloudevents-binary.toml")),
    ("profiles/enablenow.toml", include_str!("../../../../profiles/enablenow.toml")),
    ("profiles/enate.toml", include_str!("../../../../profiles/enate.toml")),
    ("profiles/etlworks.toml", include_str!("../../../../profiles/etlworks.toml")),
    ("profiles/github.toml", include_str!("../../../../profiles/github.toml")),
    ("profiles/http-signatures.toml", include_str!("../../../../profiles/http-signatures.toml")),
    ("profiles/one-click-contractor.toml", include_str!("../../../../profiles/one-click-contractor.toml")),
    ("profiles/shopify.toml", include_str!("../../../../profiles/shopify.toml")),
    ("profiles/slack.toml", include_str!("../../../../profiles/slack.toml")),
    ("profiles/standard.toml", include_str!("../../../../profiles/standard.toml")),
    ("profiles/stripe.toml", include_str!("../../../../profiles/stripe.toml")),
    ("profiles/svix.toml", include_str!("../../../../profiles/svix.toml")),
];
