//! Contract: an outcome is kept as it was, with its report and its place in the statistics.

use bytes::Bytes;
use fanfare_engine::attempt::{Attempt, Outcome, ReceivedResponse, SentRequest};
use fanfare_engine::delivery::{SkipReason, State, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::time::Timestamp;

use super::rig::{OTHER_WEBHOOK, RECORDED, Rig, URL, WEBHOOK};
use crate::attempts::{Piece, attempts, earlier};
use crate::backend::Backend;
use crate::log;
use crate::queue::{Finished, LoggedAttempt, LoggedBody, LoggedRequest, Next};
use crate::stats::{self, Figures, Span, Subject};

pub(crate) async fn an_outcome_is_recorded<B: Backend>(rig: &Rig<B>) {
    let (delivered, failed) = (rig.leased().await, rig.leased().await);
    let skipped = rig.leased().await;
    rig.advance(1);
    rig.finish(delivered, 201, Next::Delivered).await;
    rig.finish(failed, 503, Next::Exhausted).await;
    rig.end(skipped, None, Next::Skipped(SkipReason::AccessRevoked)).await;

    let row = rig.row(delivered.delivery).await;
    assert_eq!((row.state, row.response_code, row.attempts), (State::Delivered, Some(201), 1));
    assert_eq!((row.completed_at, row.next_attempt_at), (Some(rig.now()), None));
    let row = rig.row(failed.delivery).await;
    assert_eq!((row.state, row.response_code, row.completed_at), (State::Exhausted, Some(503), Some(rig.now())));
    let row = rig.row(skipped.delivery).await;
    assert_eq!((row.state, row.skipped_reason), (State::Skipped, Some(SkipReason::AccessRevoked)));
    assert_eq!((row.attempts, row.response_code), (0, None));
    assert!(rig.attempts(skipped.delivery).await.is_empty());
}

pub(crate) async fn attempts_are_numbered<B: Backend>(rig: &Rig<B>) {
    let mut lease = rig.leased().await;
    for status in [500, 502, 503] {
        assert_eq!(rig.finish(lease, status, Next::RetryAt(rig.now())).await, RECORDED);
        lease = rig.claim_only(lease.delivery).await.lease;
    }
    rig.finish(lease, 200, Next::Delivered).await;
    let seen: Vec<_> =
        rig.attempts(lease.delivery).await.into_iter().map(|a| (a.number, a.outcome, a.response)).collect();
    let codes: Vec<_> = seen.iter().map(|(number, _, response)| (*number, response.as_ref().unwrap().status)).collect();
    assert_eq!(codes, [(1, 500), (2, 502), (3, 503), (4, 200)]);
    assert_eq!((seen[2].1, seen[3].1), (Outcome::Status, Outcome::Success));
    let row = rig.row(lease.delivery).await;
    assert_eq!((row.attempts, row.response_code), (4, Some(200)));
}

pub(crate) async fn attempts_come_in_pieces<B: Backend>(rig: &Rig<B>) {
    let mut lease = rig.leased().await;
    for status in [500, 501, 502, 503] {
        rig.finish(lease, status, Next::RetryAt(rig.now())).await;
        lease = rig.claim_only(lease.delivery).await.lease;
    }
    rig.finish(lease, 504, Next::Exhausted).await;
    let whole = rig.attempts(lease.delivery).await;
    let read = async |piece: Piece| {
        let found = rig.read(attempts(lease.delivery, piece)).await;
        assert!(found.iter().all(|attempt| whole.contains(attempt)));
        (found.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), earlier(&found))
    };
    assert_eq!(read(Piece::newest(2, i64::MAX)).await, (vec![5, 4], 3));
    assert_eq!(read(Piece { before: Some(4), ..Piece::newest(2, i64::MAX) }).await, (vec![3, 2], 1));
    assert_eq!(read(Piece { before: Some(2), ..Piece::newest(2, i64::MAX) }).await, (vec![1], 0));
    assert_eq!(read(Piece { before: Some(1), ..Piece::newest(2, i64::MAX) }).await, (vec![], 0));
    // The first is read however large it is, and further ones only below the bytes that are wanted.
    assert_eq!(read(Piece::newest(5, 1)).await, (vec![5], 4));
    let weigh = |attempt: &Attempt| {
        let headers = |headers: &fanfare_engine::attempt::Headers| {
            headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        };
        let request = attempt.request.as_ref().map_or(0, |request| request.body.len() + headers(&request.headers));
        request + attempt.response.as_ref().map_or(0, |answer| answer.body.len() + headers(&answer.headers))
    };
    let two = (weigh(&whole[4]) + weigh(&whole[3])) as i64;
    assert_eq!(read(Piece::newest(5, two)).await.0.len(), 2, "what the rows add to {two} bytes is little");
}

/// Has an attempt recorded for an event with this data, and gives it as it is read back.
async fn round_trip<B: Backend>(rig: &Rig<B>, data: &[u8], attempt: LoggedAttempt) -> Attempt {
    let event = Event { data: Bytes::copy_from_slice(data), ..rig.event("job.created") };
    let lease = rig.keep_leased(event, &[WEBHOOK]).await[0];
    assert_eq!(rig.end(lease, Some(attempt), Next::Exhausted).await, RECORDED);
    rig.attempts(lease.delivery).await.pop().unwrap()
}

fn with_body<B: Backend>(rig: &Rig<B>, body: LoggedBody) -> LoggedAttempt {
    let attempt = rig.attempt(500);
    let request = attempt.request.unwrap();
    LoggedAttempt { request: Some(LoggedRequest { body, ..request }), ..attempt }
}

pub(crate) async fn a_whole_body_is_kept<B: Backend>(rig: &Rig<B>) {
    for body in [&b""[..], b"{}", b"\xff\x00 not text", &[b'x'; 9_000]] {
        let attempt = with_body(rig, LoggedBody::Whole(Bytes::copy_from_slice(body)));
        assert_eq!(round_trip(rig, b"{\"n\":1}", attempt).await.request.unwrap().body, body);
    }
}

pub(crate) async fn a_body_around_the_data_is_put_together<B: Backend>(rig: &Rig<B>) {
    let around = |head: &[u8], tail: &[u8]| LoggedBody::AroundData {
        head: Bytes::copy_from_slice(head),
        tail: Bytes::copy_from_slice(tail),
    };
    let data = b" {\"a\": [1e400, \"\xc3\xbc\\u0000\"]}\n";
    for (head, tail) in [(&b"{\"data\":"[..], &b",\"id\":1}"[..]), (b"", b""), (b"payload=", b""), (b"", b"\n")] {
        let whole = [head, data, tail].concat();
        let first = round_trip(rig, data, with_body(rig, around(head, tail))).await;
        assert_eq!(first.request.unwrap().body, whole);
    }
    // Later attempts too, and not with another event's data.
    rig.keep(Event { data: Bytes::from_static(b"other"), ..rig.event("job.created") }, &[OTHER_WEBHOOK]).await;
    let lease = rig.leased().await;
    rig.finish(lease, 500, Next::RetryAt(rig.now())).await;
    let lease = rig.claim_only(lease.delivery).await.lease;
    rig.finish(lease, 200, Next::Delivered).await;
    let bodies: Vec<_> = rig.attempts(lease.delivery).await.into_iter().map(|a| a.request.unwrap().body).collect();
    assert_eq!(bodies, ["{\"data\":{\"n\":1}}"; 2]);
}

pub(crate) async fn headers_come_back_as_they_were<B: Backend>(rig: &Rig<B>) {
    let headers: fanfare_engine::attempt::Headers = [
        ("Webhook-Id", &b"evt_1"[..]),
        ("x-list", b"a: b, c"),
        ("X-List", b"again"),
        ("empty", b""),
        ("spaces", b"  kept  "),
        ("bytes", b"\xff\xe4\t"),
    ]
    .into_iter()
    .collect();
    let mut attempt = rig.attempt(500);
    attempt.request.as_mut().unwrap().headers = headers.clone();
    attempt.response.as_mut().unwrap().headers = headers.clone();
    let attempt = round_trip(rig, b"{}", attempt).await;
    assert_eq!(attempt.request.unwrap().headers, headers);
    assert_eq!(attempt.response.unwrap().headers, headers);
}

pub(crate) async fn an_attempt_without_request_and_response<B: Backend>(rig: &Rig<B>) {
    let attempt = LoggedAttempt {
        outcome: Outcome::Render,
        error: Some("the filter has no such member: ü".to_owned()),
        note: Some("sent again"),
        trigger: Trigger::Test,
        request: None,
        response: None,
        ..rig.attempt(500)
    };
    let read = round_trip(rig, b"{}", attempt).await;
    let expected = Attempt {
        number: 1,
        at: rig.now(),
        duration_ms: 12,
        outcome: Outcome::Render,
        error: Some("the filter has no such member: ü".to_owned()),
        note: Some("sent again".to_owned()),
        request: None,
        response: None,
        trigger: Trigger::Test,
    };
    assert_eq!(read, expected);

    let request = SentRequest {
        method: http::Method::POST,
        url: URL.to_owned(),
        headers: [("Webhook-Id", &b"evt_1"[..])].into_iter().collect(),
        body: Bytes::from_static(b"{\"data\":{}}"),
    };
    let refused = LoggedAttempt { outcome: Outcome::Connect, response: None, ..rig.attempt(500) };
    let read = round_trip(rig, b"{}", refused).await;
    assert_eq!((read.request, read.response), (Some(request), None));

    let mut cut = rig.attempt(200);
    cut.response.as_mut().unwrap().truncated = true;
    let response = ReceivedResponse {
        status: 200,
        headers: [("Server", &b"test"[..])].into_iter().collect(),
        body: Bytes::from_static(b"thanks"),
        truncated: true,
    };
    assert_eq!(round_trip(rig, b"{}", cut).await.response, Some(response));
}

pub(crate) async fn a_report_is_kept_with_the_outcome<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    let report = rig.acceptance(rig.event("delivery.exhausted"), &[OTHER_WEBHOOK], None);
    let (event, delivery) = (report.event.id, report.deliveries[0].id);
    let attempt = Some(rig.attempt(500));
    assert_eq!(rig.end_with(lease, attempt, Next::Exhausted, Some(report)).await, RECORDED);
    assert_eq!(rig.row(delivery).await.event, event);
    assert_eq!(rig.claim(OTHER_WEBHOOK).await[0].lease.delivery, delivery);
}

pub(crate) async fn a_fenced_outcome_leaves_no_report<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    rig.finish(lease, 200, Next::Delivered).await;
    let report = rig.acceptance(rig.event("delivery.exhausted"), &[OTHER_WEBHOOK], None);
    let delivery = report.deliveries[0].id;
    let attempt = Some(rig.attempt(500));
    assert_eq!(rig.end_with(lease, attempt, Next::Exhausted, Some(report)).await, Finished::Fenced);
    assert_eq!(rig.read_one(log::delivery(delivery)).await, None);
}

pub(crate) async fn attempts_are_counted<B: Backend>(rig: &Rig<B>) {
    for status in [200, 200, 500] {
        rig.ended(status, Next::Delivered).await;
    }
    let first = rig.now().millis();
    rig.advance(Span::FiveMinutes.millis() / 1_000);
    rig.ended(404, Next::Exhausted).await;
    // A lost outcome and one without an attempt count for nothing.
    let lease = rig.leased().await;
    rig.end(lease, None, Next::Skipped(SkipReason::WebhookDeactivated)).await;
    assert_eq!(rig.finish(lease, 200, Next::Delivered).await, Finished::Fenced);

    let series = rig.read(stats::series(Subject::Webhook(WEBHOOK), Span::FiveMinutes, Timestamp(0))).await;
    let counted = |(start, figures): (Timestamp, Figures)| {
        [start.millis() as u64, figures.succeeded, figures.failed(), figures.duration_ms]
    };
    let counted: Vec<_> = series.into_iter().map(counted).collect();
    let start = Span::FiveMinutes.start(Timestamp(first)) as u64;
    let span = Span::FiveMinutes.millis() as u64;
    assert_eq!(counted, [[start, 2, 1, 36], [start + span, 0, 1, 12]]);
}
