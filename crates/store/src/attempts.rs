//! Questions about attempts: those of a delivery, piece by piece, newest first.

use std::borrow::Cow;

use bytes::Bytes;
use fanfare_engine::attempt::{Attempt, Headers, Outcome, ReceivedResponse, SentRequest};
use fanfare_engine::delivery::Trigger;
use fanfare_engine::id::DeliveryId;
use fanfare_engine::time::Timestamp;

use crate::error::{StoreError, StoreResult};
use crate::query::{Query, Row, Value};

/// Which of a delivery's attempts are read. People send deliveries again as often as they like, so nobody reads all of them
/// without knowing how much that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Only attempts with a lower number: where the last piece ended.
    pub before: Option<u32>,
    /// At most so many.
    pub limit: u32,
    /// No further attempt once so many bytes of headers and bodies are reached; the first is read however large it is.
    pub bytes: i64,
}

impl Piece {
    /// All of them, for who looks into every row: tests and the simulation.
    pub const ALL: Piece = Piece { before: None, limit: u32::MAX, bytes: i64::MAX };

    /// The newest ones.
    pub fn newest(limit: u32, bytes: i64) -> Piece {
        Piece { before: None, limit, bytes }
    }
}

/// How many attempts are older than this piece. They are numbered from 1 without gaps.
pub fn earlier(piece: &[Attempt]) -> u32 {
    piece.last().map_or(0, |oldest| oldest.number.saturating_sub(1))
}

const COLUMNS: &str = "number, at, duration_ms, outcome, error, trigger, method, url, request_headers, body_head, body_tail, \
     response_code, response_headers, response_body, truncated, \
     (SELECT data FROM events JOIN deliveries ON deliveries.event_id = events.id WHERE deliveries.id = delivery_id), note";

/// What an attempt weighs, by the lengths that the rows say without being read. The event's data stand in each request whose
/// body has a tail.
const WEIGHT: &str = "coalesce(length(request_headers), 0) + coalesce(length(response_headers), 0) \
     + coalesce(length(response_body), 0) + coalesce(length(body_head), 0) \
     + CASE WHEN body_tail IS NULL THEN 0 ELSE length(body_tail) + coalesce((SELECT length(data) FROM events \
         JOIN deliveries ON deliveries.event_id = events.id WHERE deliveries.id = delivery_id), 0) END";

/// A piece of the attempts of a delivery, newest first, each request's body whole.
pub fn attempts(delivery: DeliveryId, piece: Piece) -> Query<Attempt> {
    Query {
        sql: Cow::Owned(format!(
            "WITH near AS (
                 SELECT id, number FROM attempts WHERE id = ?1 AND number < ?2
                 UNION ALL SELECT id, number FROM attempts WHERE number > 1 AND delivery_id = ?1 AND number < ?2
                 ORDER BY number DESC LIMIT ?3),
             weighed AS (SELECT a.id AS id, a.number AS number, {WEIGHT} AS weight FROM near JOIN attempts a ON a.id = near.id),
             placed AS (SELECT id, sum(weight) OVER (ORDER BY number DESC) - weight AS above FROM weighed)
             SELECT {COLUMNS} FROM attempts WHERE id IN (SELECT id FROM placed WHERE above < ?4) ORDER BY number DESC"
        )),
        arguments: vec![
            Value::Int(delivery.0),
            Value::Int(piece.before.map_or(i64::MAX, i64::from)),
            Value::Int(i64::from(piece.limit)),
            Value::Int(piece.bytes),
        ],
        decode,
    }
}

fn decode(row: &dyn Row) -> StoreResult<Attempt> {
    let outcome =
        Outcome::from_number(row.int(3)?).ok_or_else(|| StoreError::Damaged("an unknown outcome".to_owned()))?;
    let request = match (row.text_or_null(6)?, row.text_or_null(7)?) {
        (Some(method), Some(url)) => {
            let mut body = row.blob_or_null(9)?.unwrap_or_default();
            if let Some(tail) = row.blob_or_null(10)? {
                body.extend_from_slice(&row.blob_or_null(15)?.unwrap_or_default());
                body.extend_from_slice(&tail);
            }
            let method = method.parse().map_err(|_| StoreError::Damaged(format!("the method {method}")))?;
            let headers = Headers::from_lines(row.blob_or_null(8)?.unwrap_or_default());
            Some(SentRequest { method, url, headers, body: Bytes::from(body) })
        }
        _ => None,
    };
    let response = match row.int_or_null(11)? {
        Some(status) => Some(ReceivedResponse {
            status: small(status)?,
            headers: Headers::from_lines(row.blob_or_null(12)?.unwrap_or_default()),
            body: Bytes::from(row.blob_or_null(13)?.unwrap_or_default()),
            truncated: row.int_or_null(14)?.unwrap_or(0) != 0,
        }),
        None => None,
    };
    Ok(Attempt {
        number: small(row.int(0)?)?,
        at: Timestamp(row.int(1)?),
        duration_ms: small(row.int(2)?)?,
        outcome,
        error: row.text_or_null(4)?,
        note: row.text_or_null(16)?,
        request,
        response,
        trigger: Trigger::from_number(row.int(5)?).unwrap_or(Trigger::Schedule),
    })
}

fn small<T: TryFrom<i64>>(value: i64) -> StoreResult<T> {
    T::try_from(value).map_err(|_| StoreError::Damaged(format!("{value} is out of range")))
}
