//! Checks the signatures of a few of the deliveries: a server that left signing out would be fast for nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::receiver::verify::{Keyring, Verdict};

/// Of this many events, one is checked; few enough not to weigh.
const EVERY: u32 = 512;

/// The sample of one run.
#[derive(Default)]
pub struct Sample {
    /// The keys of each webhook, in order; empty where nothing is signed.
    keys: Vec<Keyring>,
    valid: AtomicU64,
    invalid: AtomicU64,
}

impl Sample {
    /// A sample that checks the `n`-th webhook with the `n`-th secret.
    ///
    /// # Errors
    /// A secret that is not a Standard Webhooks secret.
    pub fn new(secrets: &[String]) -> anyhow::Result<Self> {
        let keys = secrets.iter().map(|secret| Keyring::parse(&[secret])).collect::<Result<_, _>>();
        let keys = keys.map_err(|(_, error)| anyhow::anyhow!("the server gave a webhook a secret: {error}"))?;
        Ok(Sample { keys, ..Sample::default() })
    }

    /// Whether a delivery of this event is to be given to [`Sample::check`].
    pub fn wants(&self, event: u32) -> bool {
        !self.keys.is_empty() && event.is_multiple_of(EVERY)
    }

    /// Checks one delivery, by its head and body.
    pub fn check(&self, webhook: usize, head: &[u8], body: &[u8], now_seconds: i64) {
        let verdict = self.keys.get(webhook).map(|keys| keys.verify(&signature_headers(head), body, now_seconds));
        let counter = if matches!(verdict, Some(Verdict::Valid { .. })) { &self.valid } else { &self.invalid };
        counter.fetch_add(1, Relaxed);
    }

    /// How many of those checked were valid and invalid.
    pub fn counts(&self) -> (u64, u64) {
        (self.valid.load(Relaxed), self.invalid.load(Relaxed))
    }
}

fn signature_headers(head: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in head.split(|&byte| byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let Ok(name) = HeaderName::from_bytes(&line[..colon]) else { continue };
        if !name.as_str().starts_with("webhook-") {
            continue;
        }
        if let Ok(value) = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn tells_signed_from_unsigned() {
        let signature = standardwebhooks::Webhook::new(SECRET).unwrap().sign("m", 1000, b"{}").unwrap();
        let signed = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nWebhook-Id: m\r\nwebhook-timestamp: 1000\r\nwebhook-signature: {signature}\r\n\r\n"
        );
        let sample = Sample::new(&[SECRET.to_owned()]).unwrap();
        assert!(sample.wants(0) && !sample.wants(1));
        sample.check(0, signed.as_bytes(), b"{}", 1001);
        assert_eq!(sample.counts(), (1, 0));
        sample.check(0, b"POST / HTTP/1.1\r\n\r\n", b"{}", 1001);
        sample.check(1, signed.as_bytes(), b"{}", 1001);
        assert_eq!(sample.counts(), (1, 2));
        assert!(!Sample::default().wants(0));
    }
}
