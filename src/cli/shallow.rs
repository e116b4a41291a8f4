//! Reads an answer as JSON, however deeply it is nested: beyond the levels that are shown, the text stays as it is.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Reads JSON. Of an answer that is too deep for that, the members of the object, or of each object of the page, that are too
/// deep are given as their text.
///
/// # Errors
/// It is not JSON.
pub(super) fn read(bytes: &[u8]) -> serde_json::Result<Value> {
    // Most can be read whole. The second reading also says what is wrong with what is no JSON.
    serde_json::from_slice(bytes).or_else(|_| {
        let text: &RawValue = serde_json::from_slice(bytes)?;
        let Members(members) = serde_json::from_str(text.get())?;
        let is_page = members.iter().any(|(name, _)| name == "next_cursor");
        let read = |(name, value): (String, &RawValue)| match is_page && name == "data" {
            true => entries(value).map(|entries| (name, entries)),
            false => Ok((name, whole_or_text(value))),
        };
        members.into_iter().map(read).collect::<serde_json::Result<Map<_, _>>>().map(Value::Object)
    })
}

fn entries(list: &RawValue) -> serde_json::Result<Value> {
    let entries: Vec<Members<'_>> = serde_json::from_str(list.get())?;
    let entry = |Members(members): Members<'_>| {
        members.into_iter().map(|(name, value)| (name, whole_or_text(value))).collect::<Map<_, _>>()
    };
    Ok(entries.into_iter().map(entry).map(Value::Object).collect())
}

fn whole_or_text(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into())
}

/// The members of an object in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn deep_data_stay_text_and_the_rest_is_read() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(r#"{{"id": "evt_1", "data": {{"a": {deep}}}, "ok": [1]}}"#);
        let entry = json!({"id": "evt_1", "data": format!("{{\"a\": {deep}}}"), "ok": [1]});
        assert_eq!(read(text.as_bytes()).unwrap(), entry);
        let page = format!(r#"{{"next_cursor": null, "data": [{text}]}}"#);
        let read = read(page.as_bytes()).unwrap();
        assert_eq!(read, json!({"next_cursor": null, "data": [entry]}));
        assert_eq!(read.as_object().unwrap().keys().next().unwrap(), "next_cursor");
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for bad in ["", "<html>", "{\"a\":", "{\"a\": [[[}"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
