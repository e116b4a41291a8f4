//! `fanfare bench`: under each profile that can be measured, every delivery is recognised; pages are measured and light.

use serde_json::Value;

use super::{Ran, fanfare, run};

const EVENTS: &str = "100";

/// A short measurement, with two webhooks.
fn bench(profile: &str) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["bench", "--rounds", "1", "--connections", "4", "--fan-out", "2", "--no-limits", "--json"];
    run(fanfare(directory.path()).args(arguments).args(["--events", EVENTS, "--profile", profile]))
}

#[test]
fn deliveries_are_recognised_under_every_profile() {
    let directory = tempfile::tempdir().unwrap();
    let listed = run(fanfare(directory.path()).args(["profile", "list", "--json"])).well();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let names = listed["data"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap());
    // Side by side: each spends most of its time waiting.
    let ran: Vec<(&str, Ran)> = std::thread::scope(|scope| {
        let running: Vec<_> = names.map(|name| (name, scope.spawn(move || bench(name)))).collect();
        running.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect()
    });
    for (name, ran) in ran {
        if ["one-click-contractor", "shopify"].contains(&name) {
            assert!(ran.err.contains("skipped: ") && ran.err.contains("https only"), "{ran:?}");
            assert_eq!(ran.well(), "");
            continue;
        }
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        let round = &report["targets"]["fanfare"]["rounds"][0];
        let figures =
            ["acked", "delivered", "lost", "refused", "signatures_invalid"].map(|of| round[of].as_u64().unwrap());
        assert_eq!(figures, [100, 200, 0, 0, 0], "{name}: {round}");
        assert_eq!(report["settings"]["profile"], name);
    }
}

#[test]
fn a_profile_that_there_is_not_is_named() {
    assert!(bench("nowhere").badly().contains("--profile: there is no profile \"nowhere\""));
}

#[test]
fn pages_are_asked_for_and_weigh_little() {
    let directory = tempfile::tempdir().unwrap();
    let ran = run(fanfare(directory.path()).args(["bench", "--pages", "11000", "--json"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    for page in ["newest", "failed", "webhook", "none", "deep", "webhooks", "one_webhook"] {
        let took =
            ["p50", "p99", "max"].map(|of| report["figures"][format!("{page}_{of}_ms")]["median"].as_f64().unwrap());
        assert!(took[0] > 0.0 && took.is_sorted(), "{page}: {took:?}");
    }
    let weight = &report["figures"]["weight_kb"];
    assert_eq!(weight["reached"], true, "{weight}");
}
