//! Shows requests to the code for Rust: reads cases as JSON, and answers for each whether its code takes it.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

mod codes;

/// What the codes take for the time of day, in seconds since 1970.
static NOW: AtomicU64 = AtomicU64::new(0);

/// In place of the standard library's.
pub mod time {
    use std::time::Duration;

    pub struct SystemTime(Duration);
    pub const UNIX_EPOCH: SystemTime = SystemTime(Duration::ZERO);

    impl SystemTime {
        pub fn now() -> SystemTime {
            SystemTime(Duration::from_secs(super::NOW.load(super::Ordering::SeqCst)))
        }

        pub fn duration_since(&self, earlier: SystemTime) -> Result<Duration, ()> {
            self.0.checked_sub(earlier.0).ok_or(())
        }
    }
}

fn main() {
    let cases: Vec<Value> = serde_json::from_reader(std::io::stdin()).unwrap();
    let taken: Vec<bool> = cases.iter().map(takes).collect();
    println!("{}", serde_json::to_string(&taken).unwrap());
}

fn takes(case: &Value) -> bool {
    NOW.store(case["now"].as_u64().unwrap(), Ordering::SeqCst);
    let pairs = case["headers"].as_object().unwrap().iter();
    let headers: HeaderMap = pairs
        .map(|(name, value)| {
            let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
            (name.parse::<HeaderName>().unwrap(), value)
        })
        .collect();
    let body = STANDARD.decode(case["body"].as_str().unwrap()).unwrap();
    codes::verify(case["code"].as_u64().unwrap(), &headers, &body)
}
