//! The first request that was made for a delivery, for making it once more as it was.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use fanfare_engine::attempt::SentRequest;
use fanfare_engine::id::DeliveryId;

use crate::error::{StoreError, StoreResult};
use crate::query::{Query, Row};
use crate::sqlite::decode_headers;

/// A request from the log, its body whole, and where in the body the event's data stand byte for byte.
pub type FirstRequest = (SentRequest, Option<Range<usize>>);

/// The request of the first attempt that has one in the log; no row where none has.
pub fn first_request(delivery: DeliveryId) -> Query<FirstRequest> {
    const COLUMNS: &str = "number, method, url, request_headers, body_head, body_tail, \
         (SELECT data FROM payloads JOIN deliveries ON deliveries.event_id = payloads.event_id WHERE deliveries.id = delivery_id)";
    Query {
        sql: Cow::Owned(format!(
            "SELECT * FROM (SELECT {COLUMNS} FROM attempts WHERE id = ?1 AND method IS NOT NULL
                 UNION ALL SELECT {COLUMNS} FROM attempts WHERE number > 1 AND delivery_id = ?1 AND method IS NOT NULL)
             ORDER BY number LIMIT 1"
        )),
        arguments: crate::arguments![delivery.0],
        decode,
    }
}

fn decode(row: &dyn Row) -> StoreResult<FirstRequest> {
    let method = row.text(1)?;
    let method = method.parse().map_err(|_| StoreError::Damaged(format!("the method {method}")))?;
    let mut body = row.blob_or_null(4)?.unwrap_or_default();
    let verbatim = row.blob_or_null(5)?.map(|tail| (row.blob_or_null(6), tail));
    let verbatim = match verbatim {
        None => None,
        Some((data, tail)) => {
            let from = body.len();
            body.extend_from_slice(&data?.unwrap_or_default());
            let range = from..body.len();
            body.extend_from_slice(&tail);
            Some(range)
        }
    };
    let headers = decode_headers(&row.blob_or_null(3)?.unwrap_or_default());
    Ok((SentRequest { method, url: row.text(2)?, headers, body: Bytes::from(body) }, verbatim))
}
