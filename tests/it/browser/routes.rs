//! That no page is forgotten: every route that shows one is among the screens that are looked at.

use std::collections::BTreeSet;
use std::path::Path;

use super::{console_screens, portal_screens};
use crate::shape::source::{SourceFile, rust_files};

/// Routes that are asked for and show no page of their own.
const NO_PAGES: [(&str, &str); 10] = [
    ("/portal", "leads to the webhooks"),
    ("/portal/", "leads to the webhooks"),
    ("/portal/opened/{session}", "leads to the webhooks"),
    ("/portal/webhooks/{webhook}/secret", "the webhook's page, without its secret"),
    ("/portal/assets/{name}", "style sheet and scripts"),
    ("/portal/theme/{name}", "a style sheet"),
    ("/portal/webhooks/{webhook}/secret/rotate", "the webhook's page, where it was loaded again"),
    ("/portal/deliveries/stream", "a stream"),
    ("/console/", "the overview, which is at /console, too"),
    ("/console/signed-in", "leads to the wanted page"),
];

/// How a route is given to the router.
const ROUTE: &str = ".route(";

/// The routes that a file has for being looked at.
fn routes(file: &SourceFile, constants: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in file.without_comments.match_indices(ROUTE) {
        let given = &file.without_comments[at + ROUTE.len()..];
        let (path, handlers) = given.split_once(',').unwrap();
        let end = [".route(", ".merge(", ";", "}\n"].iter().filter_map(|end| handlers.find(end)).min();
        let end = end.unwrap_or(handlers.len());
        if !handlers[..end].contains("get(") && !handlers[..end].contains("any(") {
            continue;
        }
        let name = path.trim();
        found.push(match name.strip_prefix('"') {
            Some(literal) => literal.trim_end_matches('"').to_owned(),
            None => value(name, &file.path, constants),
        });
    }
    found
}

/// What a path's constant holds, in its own file or the console's first.
fn value(name: &str, file: &str, constants: &[(String, String)]) -> String {
    let named = |path: &str| constants.iter().find(|(key, _)| *key == format!("{path}:{name}"));
    let found = named(file).or_else(|| named("src/portal/console/mod.rs"));
    found.unwrap_or_else(|| panic!("{file}: the route {name} is no constant of this file")).1.clone()
}

/// All constants that hold a path, each with its file before its name.
fn constants(file: &SourceFile) -> Vec<(String, String)> {
    let lines = file.without_comments.lines().filter_map(|line| line.split_once("const "));
    let strings = lines.filter_map(|(_, constant)| constant.split_once(": &str = \""));
    strings.map(|(name, text)| (format!("{}:{name}", file.path), text.trim_end_matches("\";").to_owned())).collect()
}

#[test]
fn every_page_is_looked_at() {
    let mut files = rust_files(Path::new(env!("CARGO_MANIFEST_DIR")));
    files.retain(|file| file.path.starts_with("src/portal/"));
    let constants: Vec<_> = files.iter().flat_map(constants).collect();
    let routed: BTreeSet<String> = files.iter().flat_map(|file| routes(file, &constants)).collect();
    assert!(routed.len() > 30, "routes are not read as they are written any more: {routed:?}");
    let screens = [
        &portal_screens::OF_WEBHOOKS[..],
        &portal_screens::OF_DELIVERIES,
        &portal_screens::LANGUAGES,
        &portal_screens::OUTSIDE,
        &[portal_screens::ENTRY],
        &console_screens::SCREENS,
        &console_screens::OUTSIDE,
        &[console_screens::ENTRY],
    ];
    let looked: BTreeSet<String> = screens.concat().iter().map(|screen| screen.route.to_owned()).collect();
    let left: BTreeSet<String> = NO_PAGES.iter().map(|(route, _)| (*route).to_owned()).collect();
    let forgotten: Vec<_> = routed.iter().filter(|route| !looked.contains(*route) && !left.contains(*route)).collect();
    assert!(forgotten.is_empty(), "add screens to tests/it/browser for {forgotten:?}");
    let gone: Vec<_> = looked.union(&left).filter(|route| !routed.contains(*route)).collect();
    assert!(gone.is_empty(), "there are no such routes: {gone:?}");
}
