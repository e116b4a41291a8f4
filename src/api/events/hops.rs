//! How many deliveries an event was before it was posted. A receiver that forwards its requests to this API, as a proxy does, makes
//! a loop: each delivery becomes an event again, which has deliveries of its own.

use axum::http::{HeaderMap, header};
use fanfare_engine::event::MAX_HOPS;
use fanfare_engine::header::HOPS;
use fanfare_engine::profile::Profiles;

use crate::api::problem::{Answer, Code, Problem};

/// Reads it from the request's headers.
///
/// The first delivery of an event has no header of its own for this, so that receivers get what their profile says and nothing
/// else. It is known by its `User-Agent`, which is a profile's and no customer's to set; later ones have the header.
pub(super) fn of(headers: &HeaderMap, profiles: &Profiles) -> Answer<u8> {
    let mut hops = headers.get(header::USER_AGENT).map_or(0, |agent| {
        let is_sender = profiles.iter().any(|profile| profile.user_agent == agent);
        u8::from(is_sender)
    });
    for given in headers.get_all(HOPS) {
        let number = given.to_str().ok().and_then(|text| text.trim().parse::<u8>().ok());
        let wrong = || {
            Problem::field(
                Code::InvalidParameter,
                "Fanfare-Hops",
                "must be a whole number from 0 to 255, as Fanfare sends it",
            )
        };
        hops = hops.max(number.ok_or_else(wrong)?);
    }
    if hops > MAX_HOPS {
        let detail = format!(
            "this event was a delivery {hops} times and came back to the API each time; find the webhook whose receiver forwards its \
             requests here, and disable it or give it another URL"
        );
        return Err(Problem::new(Code::LoopDetected, detail));
    }
    Ok(hops)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn hops(given: &[(&'static str, &'static str)]) -> Result<u8, Code> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        of(&headers, &Profiles::load([]).unwrap()).map_err(|problem| problem.code)
    }

    #[test]
    fn a_forwarded_delivery_is_known() {
        assert_eq!(hops(&[]), Ok(0));
        assert_eq!(hops(&[("user-agent", "fanfare/1.0.0")]), Ok(0));
        assert_eq!(hops(&[("user-agent", "Fanfare")]), Ok(1));
        assert_eq!(hops(&[("user-agent", "GitHub-Hookshot/fanfare")]), Ok(1));
        assert_eq!(hops(&[("user-agent", "Fanfare"), ("fanfare-hops", "3")]), Ok(3));
        assert_eq!(hops(&[("fanfare-hops", "0"), ("user-agent", "Fanfare")]), Ok(1));
        assert_eq!(hops(&[("fanfare-hops", "4")]), Err(Code::LoopDetected));
        assert_eq!(hops(&[("fanfare-hops", "1"), ("fanfare-hops", "9")]), Err(Code::LoopDetected));
        for bad in ["", "-1", "x", "1, 2", "300"] {
            assert_eq!(hops(&[("fanfare-hops", bad)]), Err(Code::InvalidParameter), "{bad}");
        }
    }
}
