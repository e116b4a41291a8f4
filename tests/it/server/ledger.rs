//! Holds what hosts were promised against what receivers got and what the log says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::client::Api;
use super::receiver::Request;
use super::scene::ORG;

/// How often each message came to each path.
pub(super) type Receipts = BTreeMap<(String, String), usize>;

pub(super) fn receipts(requests: &[Request]) -> Receipts {
    let mut receipts = Receipts::new();
    for request in requests {
        *receipts.entry((request.path.clone(), request.id().to_owned())).or_default() += 1;
    }
    receipts
}

/// The ids under which each host's event came: more than one would mean that an event was taken twice.
pub(super) fn ids_by_host_id(requests: &[Request]) -> BTreeMap<String, BTreeSet<String>> {
    let mut ids = BTreeMap::<String, BTreeSet<String>>::new();
    for request in requests {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let host_id = body["data"]["id"].as_str().unwrap().to_owned();
        ids.entry(host_id).or_default().insert(request.id().to_owned());
    }
    ids
}

/// What the log of everything says, held against the receipts.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) deliveries: usize,
    /// Messages that came more than once.
    pub(super) repeated: usize,
    /// Attempts logged as "may have been sent".
    pub(super) unknown: usize,
}

/// Checks that every delivery is delivered, that nothing came more often than the log says, and that whatever came more
/// than once has an attempt in its log that nobody knew the outcome of.
pub(super) async fn check_log(api: &Api, receipts: &Receipts, url: &str) -> Account {
    let mut account = Account::default();
    for delivery in api.whole_list(&format!("/v1/organizations/{ORG}/deliveries")).await {
        account.deliveries += 1;
        assert_eq!(delivery["state"], "delivered", "{delivery}");
        let path = delivery["url"].as_str().unwrap().strip_prefix(url).unwrap().to_owned();
        let came = receipts.get(&(path, delivery["event_id"].as_str().unwrap().to_owned())).copied().unwrap_or(0);
        assert!(came >= 1, "logged as delivered and never came: {delivery}");
        if delivery["attempts"] == 1 && came == 1 {
            continue;
        }
        let attempts = api.attempts(&delivery).await;
        for (number, attempt) in (1..).zip(&attempts) {
            assert_eq!(attempt["number"], number, "{attempts:?}");
        }
        let (last, before) = attempts.split_last().unwrap();
        assert_eq!(last["outcome"], "success", "{attempts:?}");
        assert!(before.iter().all(|attempt| attempt["outcome"] == "unknown"), "{attempts:?}");
        assert!(came <= attempts.len(), "came {came} times: {attempts:?}");
        account.unknown += before.len();
        account.repeated += usize::from(came > 1);
    }
    account
}
