//! Commands that need no running server.

use std::fs;

use serde_json::Value;

use super::{fanfare, run};

#[test]
fn check_says_every_mistake_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("profiles")).unwrap();
    fs::write(directory.path().join("profiles/own.toml"), "name = \"own\"\nuser_agnet = \"x\"\n").unwrap();
    let settings = "listen = \"8686\"\nprofiles_dir = \"profiles\"\nretention = 3\n";
    fs::write(directory.path().join("fanfare.toml"), settings).unwrap();
    let said = run(fanfare(directory.path()).arg("check").env("FANFARE_MEMORY_MIB", "1")).badly();
    let lines: Vec<&str> = said.lines().collect();
    let starts = [
        "fanfare.toml:1: listen: ",
        "fanfare.toml:3: retention: ",
        "--memory-mib or FANFARE_MEMORY_MIB: ",
        "profiles/own.toml:2: user_agnet: ",
        "fanfare: there are 4 mistakes",
    ];
    assert_eq!(lines.len(), starts.len(), "{said}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line} does not start with {start}");
    }
}

#[test]
fn check_says_what_is_right() {
    let directory = tempfile::tempdir().unwrap();
    let told = run(fanfare(directory.path()).args(["check", "--listen", "127.0.0.1:7777"])).well();
    assert!(told.contains("listen on 127.0.0.1:7777"), "{told}");
}

#[test]
fn a_database_is_made_copied_and_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let command = |args: &[&str]| run(fanfare(directory.path()).args(args));
    let missing = command(&["migrate", "--data", "data"]).badly();
    assert!(missing.contains("there is no directory data"), "{missing}");
    fs::create_dir(directory.path().join("data")).unwrap();
    let made = command(&["migrate", "--data", "data"]).well();
    assert!(made.contains("it was at 0"), "{made}");
    let again = run(fanfare(directory.path()).arg("migrate").env("FANFARE_DATA", "data")).well();
    assert!(again.contains("is up to date"), "{again}");
    command(&["backup", "--to", "copy.db", "--data", "data"]).well();
    let twice = command(&["backup", "--to", "copy.db", "--data", "data"]).badly();
    assert!(twice.contains("copy.db exists"), "{twice}");
    command(&["restore", "--from", "copy.db", "--data", "other"]).well();
    let restored = command(&["migrate", "--data", "other"]).well();
    assert!(restored.contains("is up to date"), "{restored}");
    let over = command(&["restore", "--from", "copy.db", "--data", "other"]).badly();
    assert!(over.contains("fanfare.db is there already") && over.contains("--force"), "{over}");
    command(&["restore", "--from", "copy.db", "--data", "other", "--force"]).well();
}

#[test]
fn profiles_are_listed_shown_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let own = "name = \"own\"\ndescription = \"Ours\"\n";
    fs::write(directory.path().join("own.toml"), own).unwrap();
    let command = |args: &[&str]| run(fanfare(directory.path()).args(args).env("FANFARE_PROFILES_DIR", "."));
    let list = command(&["profile", "list"]).well();
    assert!(list.contains("\nown ") && list.contains("\nstandard "), "{list}");
    assert_eq!(command(&["profile", "show", "own"]).well(), own);
    let standard = command(&["profile", "show", "standard"]).well();
    assert_eq!(standard, include_str!("../../../profiles/standard.toml"));
    fs::write(directory.path().join("bad.txt"), "name = \"a b\"\n").unwrap();
    let checked = command(&["profile", "check", "own.toml", "bad.txt"]);
    assert!(checked.out.starts_with("own.toml: right"), "{checked:?}");
    let said = checked.badly();
    assert!(said.starts_with("bad.txt:1: name: ") && said.ends_with("there is 1 mistake\n"), "{said}");
}

#[test]
fn a_profile_is_tried_out_without_sending_anything() {
    let directory = tempfile::tempdir().unwrap();
    let command = |args: &[&str]| run(fanfare(directory.path()).args(["profile", "try"]).args(args));
    let at = ["--at", "2020-05-02T14:20:00.207Z"];
    let form = ["etlworks", "Flow.Executed", "--content-type", "application/x-www-form-urlencoded", "--secret", "s'1"];
    let printed = command(&[&form[..], &at].concat()).well();
    assert!(printed.starts_with("POST /webhook HTTP/1.1\nhost: example.com\n"), "{printed}");
    assert!(
        printed.contains("&eventType=Flow.Executed&webhookId=1&entityId=11225&timestamp=1588429200207\n"),
        "{printed}"
    );
    assert!(
        printed.contains("\n# signed with s'1\ncurl --globoff --request POST 'https://example.com/webhook' "),
        "{printed}"
    );
    let enate = command(&[&["enate", "--json"], &at[..]].concat()).well();
    let enate: Value = serde_json::from_str(&enate).unwrap();
    assert!(enate["body"].as_str().unwrap().starts_with(r#"{"CustomerName":"Acme","#), "{enate}");
    let standard = command(&["standard", "any.type", "--data", "{\"a\":1.0}", at[0], at[1]]).well();
    assert!(
        standard.contains(r#"{"type":"any.type","timestamp":"2020-05-02T14:20:00.207Z","data":{"a":1.0}}"#),
        "{standard}"
    );
    for (args, reason) in [
        (&["enate", "Foo"][..], "\"Foo\" is no event type of the profile enate; it has PacketCreated, "),
        (&["enate", "--method", "get"], "method must be POST in this profile"),
        (&["one-click-contractor", "--url", "http://example.com"], "url must start with https://"),
        (&["standard", "a", "--data", "{"], "--data is no JSON"),
        (&["nowhere"], "there is no profile \"nowhere\"; there are cloudevents, "),
    ] {
        let said = command(args).badly();
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn the_description_of_the_api_is_printed() {
    let directory = tempfile::tempdir().unwrap();
    let text = run(fanfare(directory.path()).arg("openapi")).well();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/v1/organizations/{org}/events"]["post"].is_object());
}

#[test]
fn without_a_key_it_is_said_where_one_is_looked_for() {
    let directory = tempfile::tempdir().unwrap();
    let said = run(fanfare(directory.path()).args(["organization", "list"])).badly();
    assert!(said.contains("FANFARE_KEY") && said.contains("fanfare-data/admin-key"), "{said}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let url = "http://127.0.0.1:1";
    let said = run(fanfare(directory.path()).args(["organization", "list", "--key", "k", "--url", url])).badly();
    assert!(said.contains("cannot reach the server at http://127.0.0.1:1"), "{said}");
}
