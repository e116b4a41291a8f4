//! The first request that was made for a delivery, for making it once more as it was.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use fanfare_engine::attempt::{Headers, SentRequest};
use fanfare_engine::id::DeliveryId;

use crate::error::{StoreError, StoreResult};
use crate::query::{Query, Row};

/// A request from the log, its body whole, and where in the body the event's data stand byte for byte.
pub type FirstRequest = (SentRequest, Option<Range<usize>>);

/// The request of the first attempt that has one in the log; no row where none has.
pub fn first_request(delivery: DeliveryId) -> Query<FirstRequest> {
    const COLUMNS: &str = "number, method, url, request_headers, body_head, body_tail, \
         (SELECT data FROM events JOIN deliveries ON deliveries.event_id = events.id WHERE deliveries.id = delivery_id)";
    Query {
        sql: Cow::Owned(format!(
            "SELECT {COLUMNS} FROM attempts WHERE id = (SELECT id FROM (
                 SELECT id, number FROM attempts WHERE id = ?1 AND method IS NOT NULL
                 UNION ALL SELECT id, number FROM attempts WHERE number > 1 AND delivery_id = ?1 AND method IS NOT NULL)
             ORDER BY number LIMIT 1)"
        )),
        arguments: crate::arguments![delivery.0],
        decode,
    }
}

fn decode(row: &dyn Row) -> StoreResult<FirstRequest> {
    let method = row.text(1)?;
    let method = method.parse().map_err(|_| StoreError::Damaged(format!("the method {method}")))?;
    // Whoever got another body or no headers would take it for what was sent first.
    let missing = |what: &str| StoreError::Damaged(format!("the {what} of a first request"));
    let mut body = row.blob_or_null(4)?.ok_or_else(|| missing("body"))?;
    let verbatim = row.blob_or_null(5)?.map(|tail| (row.blob_or_null(6), tail));
    let verbatim = match verbatim {
        None => None,
        Some((data, tail)) => {
            let from = body.len();
            body.extend_from_slice(&data?.ok_or_else(|| missing("event's data"))?);
            let range = from..body.len();
            body.extend_from_slice(&tail);
            Some(range)
        }
    };
    let headers = Headers::from_lines(row.blob_or_null(3)?.ok_or_else(|| missing("headers"))?);
    Ok((SentRequest { method, url: row.text(2)?, headers, body: Bytes::from(body) }, verbatim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Value;

    struct Columns(Vec<Value>);

    impl Row for Columns {
        fn value(&self, column: usize) -> StoreResult<Value> {
            Ok(self.0[column].clone())
        }
    }

    #[test]
    fn what_is_missing_in_the_log_is_not_taken_for_empty() {
        let blob = |text: &str| Value::Blob(text.as_bytes().to_vec());
        let text = |text: &str| Value::Text(text.to_owned());
        let url = "https://example.com/";
        let whole = || vec![Value::Int(1), text("POST"), text(url), blob(""), blob("{\"n\":"), blob("}"), blob("[1]")];
        let (request, verbatim) = decode(&Columns(whole())).unwrap();
        assert_eq!((&request.body[..], verbatim), (&b"{\"n\":[1]}"[..], Some(5..8)));
        for column in [3, 4, 6] {
            let mut columns = whole();
            columns[column] = Value::Null;
            assert!(matches!(decode(&Columns(columns)), Err(StoreError::Damaged(_))), "column {column}");
        }
        let mut no_data = whole();
        (no_data[5], no_data[6]) = (Value::Null, Value::Null);
        let (request, verbatim) = decode(&Columns(no_data)).unwrap();
        assert_eq!((&request.body[..], verbatim), (&b"{\"n\":"[..], None));
    }
}
