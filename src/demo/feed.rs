//! What happens in the demonstration: invented jobs and invoices of a craftsman's software.

use serde_json::{Value, json};

/// What a job may be.
const TITLES: [&str; 6] =
    ["New roof", "Gutter repair", "Skylight", "Solar panels", "Chimney inspection", "Attic insulation"];
/// The event types, in the order in which a job goes through them.
const STEPS: u64 = 3;
/// The number of the first job.
const FIRST_JOB: u64 = 1001;

/// The event types with what the catalogue says of each.
pub(super) fn event_types() -> [Value; 3] {
    let schema = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required});
    let job = json!({"id": {"type": "integer"}, "title": {"type": "string"}});
    let invoice = json!({
        "number": {"type": "string"}, "job_id": {"type": "integer"},
        "amount_cents": {"type": "integer", "minimum": 1}, "currency": {"type": "string"},
    });
    let described = |step: u64, kind: &str, description: &str, schema: Value| {
        let event = event(step);
        json!({"name": event["type"], "kind": kind, "description": description, "schema": schema, "example": event["data"]})
    };
    [
        described(0, "job", "A job was created", schema(job.clone(), &["id", "title"])),
        described(1, "job", "A job was completed", schema(job, &["id", "title"])),
        described(2, "invoice", "A customer paid an invoice", schema(invoice, &["number", "amount_cents"])),
    ]
}

/// One event after the other.
#[derive(Debug, Default)]
pub(super) struct Feed {
    next: u64,
}

impl Feed {
    /// The next event, as it is posted.
    pub(super) fn next(&mut self) -> Value {
        let event = event(self.next);
        self.next += 1;
        event
    }
}

/// The event with this number, from 0.
fn event(number: u64) -> Value {
    let job = FIRST_JOB + number / STEPS;
    let title = TITLES[(job % TITLES.len() as u64) as usize];
    let (kind, data) = match number % STEPS {
        0 => ("job.created", json!({"id": job, "title": title})),
        1 => ("job.completed", json!({"id": job, "title": title, "hours": 2 + job % 7})),
        _ => {
            let amount = 40_000 + job * 7_919 % 90_000;
            let invoice = format!("INV-{job}");
            ("invoice.paid", json!({"number": invoice, "job_id": job, "amount_cents": amount, "currency": "EUR"}))
        }
    };
    json!({"type": kind, "entity": {"type": "job", "id": job.to_string()}, "data": data})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_fits_its_type() {
        let types = event_types();
        let mut feed = Feed::default();
        for _ in 0..30 {
            let event = feed.next();
            let kind = types.iter().find(|kind| kind["name"] == event["type"]).unwrap();
            jsonschema::validate(&kind["schema"], &event["data"]).unwrap();
        }
    }
}
