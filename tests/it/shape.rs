//! The shape of the source: rules that the compiler does not check, kept by reading the tree.
//!
//! Each rule is a function from a file to what is wrong with it; one test applies it to the tree, and one test shows
//! that every rule finds what it is there for.

mod imports;
pub(crate) mod source;

use std::fs;
use std::path::Path;

use source::SourceFile;

/// Longer files are split.
const MAX_LINES: usize = 600;

/// The server's layers, which never import each other; `app` wires them.
const LAYERS: [&str; 4] = ["api", "portal", "delivery", "maintenance"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 9] = ["common", "helper", "helpers", "manager", "managers", "misc", "types", "util", "utils"];

/// Dependencies by which the engine would get I/O, a clock or randomness of its own.
const NOT_IN_ENGINE: [&str; 20] = [
    "axum",
    "deadpool-postgres",
    "fanfare",
    "fanfare-sim",
    "fanfare-store",
    "fastrand",
    "getrandom",
    "hickory-resolver",
    "hyper",
    "hyper-util",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "rustls",
    "socket2",
    "tempfile",
    "tokio",
    "tokio-postgres",
    "tower",
];

/// Parts of the standard library by which the engine would do the same.
const NOT_IN_ENGINE_STD: [&str; 9] = [
    "std::env",
    "std::fs",
    "std::net::Tcp",
    "std::net::ToSocketAddrs",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
];

/// Dependencies that speak SQL.
const DATABASES: [&str; 4] = ["deadpool-postgres", "rusqlite", "sqlx", "tokio-postgres"];

type Rule = fn(&SourceFile) -> Option<String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Applies `rule` to every Rust file of the workspace and fails with all that it finds.
#[track_caller]
fn assert_kept(rule: Rule) {
    let files = source::rust_files(root());
    for expected in ["src/lib.rs", "crates/engine/src/lib.rs", "tests/it/shape.rs"] {
        assert!(files.iter().any(|file| file.path == expected), "the walk over the tree did not come by {expected}");
    }
    let broken: Vec<String> =
        files.iter().filter_map(|file| rule(file).map(|fault| format!("{}: {fault}", file.path))).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

fn opens_with_its_role(file: &SourceFile) -> Option<String> {
    let role = file.text.lines().next().and_then(|line| line.strip_prefix("//! "));
    role.is_none().then(|| "its first line must say by `//! …` what the file is for".to_owned())
}

fn is_short_enough(file: &SourceFile) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > MAX_LINES).then(|| format!("{lines} lines; split it by role, {MAX_LINES} are the most"))
}

fn has_a_telling_name(file: &SourceFile) -> Option<String> {
    let in_path = file.path.trim_end_matches(".rs").split('/').find(|part| EMPTY_NAMES.contains(part));
    let words: Vec<&str> = words(&file.code).collect();
    let inline = words.windows(2).find(|pair| pair[0] == "mod" && EMPTY_NAMES.contains(&pair[1])).map(|pair| pair[1]);
    in_path.or(inline).map(|name| format!("a module named `{name}` says nothing; name it after what it does"))
}

fn leaves_sql_to_the_store(file: &SourceFile) -> Option<String> {
    if file.path.starts_with("crates/store/") || file.path.starts_with("tests/it/shape") {
        return None;
    }
    let text = &file.without_comments;
    let plain = ["SELECT ", "INSERT INTO", "DELETE FROM", "CREATE TABLE"].into_iter().find(|&sql| text.contains(sql));
    plain
        .or_else(|| has_sql_update(text).then_some("UPDATE … SET"))
        .map(|sql| format!("`{sql}` belongs in crates/store"))
}

fn has_sql_update(text: &str) -> bool {
    const BETWEEN: usize = 6;
    text.match_indices("UPDATE ").any(|(at, _)| text[at..].split_whitespace().take(BETWEEN).any(|word| word == "SET"))
}

fn layers_do_not_meet(file: &SourceFile) -> Option<String> {
    let below = file.path.strip_prefix("src/")?;
    let own = LAYERS.into_iter().find(|layer| below.split(['/', '.']).next() == Some(layer))?;
    let named = imports::top_level_modules_named_in(file);
    let other = named.iter().find(|&name| name == "*" || (name != own && LAYERS.contains(&name.as_str())))?;
    Some(format!("`{own}` must not import `{other}`: what both need goes below them, what joins them into `app`"))
}

/// Outside of [`App::write`](fanfare::app::App::write) a change would not take the idempotency key of its request.
fn changes_take_their_key(file: &SourceFile) -> Option<String> {
    let is_catalogue = file.path.starts_with("src/catalogue/");
    let direct = ["store.change(", "store.apply("].into_iter().find(|call| is_catalogue && file.code.contains(call));
    direct.map(|call| format!("`{call}` writes beside the request's idempotency key; use `app.write` and its kin"))
}

/// The dispatcher and the simulator carry out what `fanfare_flow` decides. Neither asks a policy itself, makes a job, or says what
/// follows from an answer of the store.
fn leaves_decisions_to_the_flow(file: &SourceFile) -> Option<String> {
    const DECISIONS: [&str; 8] = [
        "retry::next(",
        "retry::back_off(",
        "health::judge(",
        "Verdict::",
        " Job {",
        "Input::Accepted(",
        "Finished::Recorded { unblocked",
        "Box::new(Finish",
    ];
    if !file.path.starts_with("src/dispatch/") && !file.path.starts_with("crates/sim/src/")
        || file.path.ends_with("/tests.rs")
    {
        return None;
    }
    let found = DECISIONS.into_iter().find(|&decision| file.code.contains(decision));
    found.map(|decision| format!("`{}` is decided in crates/flow", decision.trim()))
}

fn engine_does_no_io(file: &SourceFile) -> Option<String> {
    if !["crates/engine/src/", "crates/flow/src/"].iter().any(|pure| file.path.starts_with(pure)) {
        return None;
    }
    let product = file.test_code().into_iter().fold(file.code.clone(), |code, test| code.replace(test, ""));
    let found = NOT_IN_ENGINE_STD.into_iter().find(|&name| product.contains(name));
    found.map(|name| format!("this is pure; `{name}` belongs to what carries it out"))
}

fn no_test_is_skipped(file: &SourceFile) -> Option<String> {
    let skips = |attribute: &str| {
        let mut words = words(attribute);
        match words.next() {
            Some("ignore") => true,
            Some("cfg_attr") => words.any(|word| word == "ignore"),
            _ => false,
        }
    };
    let found = file.code.split("#[").skip(1).any(|after| skips(after.split(']').next().unwrap_or_default()));
    found.then(|| "a test is ignored; repair it or delete it".to_owned())
}

fn no_test_sleeps(file: &SourceFile) -> Option<String> {
    let sleeps = |code: &str| words(code).any(|word| matches!(word, "sleep" | "sleep_ms" | "sleep_until"));
    let found = file.test_code().into_iter().any(sleeps);
    found.then(|| "a test sleeps; wait for a signal, set the clock, or pause tokio's time and advance it".to_owned())
}

fn nothing_is_left_to_do(file: &SourceFile) -> Option<String> {
    let marks = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];
    let found = words(&file.text).find(|word| marks.contains(word));
    found.map(|mark| format!("`{mark}`: do it, or say in plain words what is not there"))
}

/// Names, keywords and numbers, without what is between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The names that a manifest lists under `dependencies`, for every platform; not those that only its tests use.
fn dependencies(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().unwrap();
    let platforms = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    let tables = platforms.filter_map(|platform| platform.get("dependencies")).chain(manifest.get("dependencies"));
    tables.filter_map(toml::Value::as_table).flat_map(toml::Table::keys).cloned().collect()
}

#[track_caller]
fn assert_no_dependency(manifest: &str, forbidden: &[&str]) {
    let found = dependencies(&fs::read_to_string(root().join(manifest)).unwrap());
    assert!(!found.is_empty(), "{manifest} lists no dependencies at all: is it still read rightly?");
    let broken: Vec<_> = found.into_iter().filter(|name| forbidden.contains(&name.as_str())).collect();
    assert!(broken.is_empty(), "{manifest} must not depend on {}", broken.join(", "));
}

#[test]
fn every_file_opens_with_its_role() {
    assert_kept(opens_with_its_role);
}

#[test]
fn files_are_short() {
    assert_kept(is_short_enough);
}

#[test]
fn modules_have_telling_names() {
    assert_kept(has_a_telling_name);
}

#[test]
fn sql_is_in_the_store_only() {
    assert_kept(leaves_sql_to_the_store);
    assert_no_dependency("Cargo.toml", &DATABASES);
    assert_no_dependency("crates/sim/Cargo.toml", &DATABASES);
}

#[test]
fn layers_never_import_each_other() {
    assert_kept(layers_do_not_meet);
}

#[test]
fn the_engine_is_pure() {
    assert_kept(engine_does_no_io);
    assert_no_dependency("crates/engine/Cargo.toml", &NOT_IN_ENGINE);
    let not_in_flow: Vec<&str> = NOT_IN_ENGINE.into_iter().filter(|&name| name != "fanfare-store").collect();
    assert_no_dependency("crates/flow/Cargo.toml", &not_in_flow);
}

#[test]
fn server_and_simulator_decide_nothing_twice() {
    assert_kept(leaves_decisions_to_the_flow);
}

#[test]
fn what_requests_change_takes_their_idempotency_key() {
    assert_kept(changes_take_their_key);
}

#[test]
fn the_store_knows_nothing_of_the_server() {
    assert_no_dependency(
        "crates/store/Cargo.toml",
        &["axum", "fanfare", "fanfare-flow", "fanfare-sim", "hyper", "rustls"],
    );
}

#[test]
fn tests_are_never_ignored() {
    assert_kept(no_test_is_skipped);
}

#[test]
fn tests_never_sleep() {
    assert_kept(no_test_sleeps);
}

#[test]
fn nothing_is_marked_as_unfinished() {
    assert_kept(nothing_is_left_to_do);
}

#[test]
fn every_rule_finds_what_it_forbids() {
    let long = "//! Long.\n".repeat(MAX_LINES + 1);
    let broken: [(Rule, &str, &str); 19] = [
        (opens_with_its_role, "src/a.rs", "use std::fmt;\n"),
        (opens_with_its_role, "src/a.rs", ""),
        (is_short_enough, "src/a.rs", &long),
        (has_a_telling_name, "src/utils.rs", ""),
        (has_a_telling_name, "src/common/a.rs", ""),
        (has_a_telling_name, "src/a.rs", "mod helpers {}"),
        (leaves_sql_to_the_store, "src/a.rs", "let a = \"SELECT 1\";"),
        (leaves_sql_to_the_store, "src/a.rs", "let a = \"UPDATE webhooks AS w\n SET number = 1\";"),
        (layers_do_not_meet, "src/api/a.rs", "use crate::delivery::Runner;"),
        (layers_do_not_meet, "src/portal.rs", "use super::{api, clock};"),
        (changes_take_their_key, "src/catalogue/a.rs", "async fn a() { app.store.change(change, None).await }"),
        (engine_does_no_io, "crates/engine/src/a.rs", "fn a() { std::fs::read(b) }"),
        (leaves_decisions_to_the_flow, "crates/sim/src/a.rs", "let next = retry::next(&policy, 1, &ended, now, 0.0);"),
        (leaves_decisions_to_the_flow, "src/dispatch/a.rs", "fn job() -> Job { Job { delivery } }"),
        (no_test_is_skipped, "src/a.rs", "#[test] #[ignore = \"slow\"] fn a() {}"),
        (no_test_is_skipped, "src/a.rs", "#[cfg_attr(windows, ignore)] fn a() {}"),
        (no_test_sleeps, "src/a.rs", "#[cfg(test)] mod tests { fn a() { tokio::time::sleep(b) } }"),
        (no_test_sleeps, "crates/store/tests/a.rs", "fn a() { sleep(b) }"),
        (nothing_is_left_to_do, "src/a.rs", concat!("// FIX", "ME: later")),
    ];
    for (rule, path, text) in broken {
        assert!(rule(&SourceFile::new(path, text)).is_some(), "not found in {path}: {text}");
    }
    let kept: [(Rule, &str, &str); 7] = [
        (opens_with_its_role, "src/a.rs", "//! Counts things.\n"),
        (leaves_sql_to_the_store, "crates/store/src/a.rs", "let a = \"SELECT 1\";"),
        (leaves_sql_to_the_store, "src/a.rs", "// SELECT 1\nlet a = \"UPDATE the settings\";"),
        (layers_do_not_meet, "src/app.rs", "use crate::{api, delivery};"),
        (layers_do_not_meet, "src/api/a.rs", "use crate::api::error; use crate::clock::Clock;"),
        (engine_does_no_io, "crates/engine/src/a.rs", "#[cfg(test)] mod tests { fn a() { std::fs::read(b) } }"),
        (no_test_sleeps, "src/a.rs", "fn a() { sleep(b) } #[cfg(test)] mod tests { /* sleep( */ }"),
    ];
    for (rule, path, text) in kept {
        assert_eq!(rule(&SourceFile::new(path, text)), None, "wrongly found in {path}: {text}");
    }
}

#[test]
fn dependencies_of_all_platforms_count() {
    let manifest =
        "[dependencies]\na = \"1\"\n[target.'cfg(unix)'.dependencies]\nb = \"1\"\n[dev-dependencies]\nc = \"1\"\n";
    assert_eq!(dependencies(manifest), ["b", "a"]);
}
