//! `/metrics`: OpenMetrics text whose numbers follow what happens.

use std::collections::BTreeMap;

use serde_json::json;

use super::client::Api;
use super::receiver::Reply;
use super::scene::{ORG, Scene};

/// Metrics as they were read: samples by name and labels, and types by family.
struct Metrics {
    samples: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
}

impl Metrics {
    async fn read(api: &Api) -> Metrics {
        let answer = api.get("/metrics").await;
        assert_eq!(answer.status, 200);
        let kind = answer.headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        Metrics::parse(&answer.text())
    }

    fn parse(text: &str) -> Metrics {
        let mut metrics = Metrics { samples: BTreeMap::new(), types: BTreeMap::new() };
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no # EOF at the end: {text}"));
        for line in body.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap();
                let twice = metrics.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(twice, None, "{line}");
            } else if line.starts_with("# HELP ") || line.starts_with("# UNIT ") {
                continue;
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(metrics.declares(name.split('{').next().unwrap()), "{line}");
                assert_eq!(metrics.samples.insert(name.to_owned(), value), None, "{line}");
            }
        }
        metrics
    }

    fn declares(&self, name: &str) -> bool {
        ["", "_total", "_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix).is_some_and(|family| self.types.contains_key(family)))
    }

    #[track_caller]
    fn get(&self, name: &str) -> f64 {
        *self.samples.get(name).unwrap_or_else(|| panic!("{name} is not among {:?}", self.samples.keys()))
    }

    /// A histogram's count, after a look at its buckets.
    #[track_caller]
    fn count(&self, family: &str) -> f64 {
        assert_eq!(self.types[family], "histogram");
        let prefix = format!("{family}_bucket{{le=\"");
        let mut buckets: Vec<(f64, f64)> = self
            .samples
            .iter()
            .filter_map(|(name, count)| {
                let bound = name.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                Some((if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() }, *count))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{buckets:?}");
        let count = self.get(&format!("{family}_count"));
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{family}");
        count
    }
}

#[tokio::test]
async fn the_numbers_follow_what_happens() {
    let scene = Scene::start().await;
    let before = Metrics::read(&scene.api).await;
    assert_eq!(before.get("fanfare_events_total"), 0.0);
    assert_eq!(before.get("fanfare_backlog"), 0.0);
    assert_eq!(before.get("fanfare_oldest_due_age_milliseconds"), 0.0);

    scene.receiver.script(|request| Reply::status(if request.path == "/bad" { 500 } else { 200 }));
    scene.webhook("/good").await;
    scene.webhook_with("/bad", json!({"retry": {"delays_seconds": [], "jitter": 0.0}})).await;
    for n in 0..3 {
        scene.post(json!({"n": n})).await;
    }
    scene.api.idle().await;
    let after = Metrics::read(&scene.api).await;
    assert_eq!(after.get("fanfare_events_total"), 3.0);
    assert_eq!(after.get("fanfare_deliveries_total{state=\"delivered\"}"), 3.0);
    assert_eq!(after.get("fanfare_deliveries_total{state=\"exhausted\"}"), 3.0);
    assert_eq!(after.get("fanfare_attempts_total{outcome=\"success\"}"), 3.0);
    assert_eq!(after.get("fanfare_attempts_total{outcome=\"status\"}"), 3.0);
    assert_eq!(after.count("fanfare_attempt_duration_seconds"), 6.0);
    let commits = before.count("fanfare_store_commit_seconds");
    assert!(after.count("fanfare_store_commit_seconds") > commits);
    assert!(after.get("fanfare_store_commit_seconds_sum") > 0.0);
    assert_eq!(after.get("fanfare_in_flight"), 0.0);
    scene.server.stop().await;
}

#[tokio::test]
async fn what_the_documentation_watches_is_there() {
    let scene = Scene::start().await;
    let metrics = Metrics::read(&scene.api).await;
    let is_there = |named: &str| {
        let is_sample = |sample: &String| sample.split('{').next() == Some(named);
        let is_beginning = |sample: &String| named.ends_with('_') && sample.starts_with(named);
        let is_histogram = metrics.types.get(named).is_some_and(|kind| kind == "histogram");
        is_histogram || metrics.samples.keys().any(|sample| is_sample(sample) || is_beginning(sample))
    };
    let mut found = 0;
    for page in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap() {
        let page = page.unwrap().path();
        let Some("md") = page.extension().and_then(|end| end.to_str()) else { continue };
        let text = std::fs::read_to_string(&page).unwrap();
        let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
        for named in words.filter(|word| word.starts_with("fanfare_")) {
            assert!(is_there(named), "{} names {named}, which /metrics does not have", page.display());
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
    scene.server.stop().await;
}

#[tokio::test]
async fn a_backlog_shows_with_its_age() {
    let scene = Scene::start().await;
    scene.receiver.script(|_| Reply::Hold);
    scene.webhook_with("/hook", json!({"rate_limit": {"per_second": 1}})).await;
    for n in 0..4 {
        scene.post(json!({"n": n})).await;
    }
    scene.receiver.received(2).await;
    let metrics = Metrics::read(&scene.api).await;
    assert_eq!(metrics.get("fanfare_backlog"), 4.0);
    assert_eq!(metrics.get("fanfare_deliveries_live{state=\"delivering\"}"), 4.0);
    assert_eq!(metrics.get("fanfare_in_flight"), 2.0);
    assert_eq!(metrics.get("fanfare_queued"), 2.0);
    // The second request left a second after the first; the third event has waited for all of it.
    let age = metrics.get("fanfare_oldest_due_age_milliseconds");
    assert!((900.0..60_000.0).contains(&age), "{age}");
    scene.receiver.release();
    scene.api.post("/v1/pauses", &json!({"organization": ORG})).await.expect(201);
    scene.server.stop().await;
}
