//! Which webhooks that take events have a profile that the server doesn't know.

use fanfare_engine::id::{OrganizationId, WebhookId};
use fanfare_engine::webhook::{Settings, Status};

use super::webhooks::REMOVED;
use super::{decode_int, parse_document, query};
use crate::query::{Query, Value};

/// A webhook that takes events, with the profile it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    pub profile: String,
    pub webhook: WebhookId,
    /// The webhook's name.
    pub name: String,
    pub organization: OrganizationId,
    /// The host's id for the organization.
    pub external_id: Option<String>,
}

/// The first `limit` webhooks that take events and whose profile is not one of `known`, by profile and age.
pub fn unknown(known: &[&str], limit: u32) -> Query<InUse> {
    let (clauses, arguments) = with_unknown_profile(known);
    let sql = format!(
        "SELECT w.profile, w.id, w.settings, w.organization_id, o.external_id
         FROM webhooks AS w JOIN organizations AS o ON o.id = w.organization_id
         WHERE {clauses} ORDER BY w.profile, w.id LIMIT {limit}"
    );
    query(sql, arguments, |row| {
        Ok(InUse {
            profile: row.text(0)?,
            webhook: WebhookId(row.int(1)?),
            name: parse_document::<Settings>(&row.text(2)?)?.name,
            organization: OrganizationId(row.int(3)?),
            external_id: row.text_or_null(4)?,
        })
    })
}

/// How many there are.
pub fn count_unknown(known: &[&str]) -> Query<i64> {
    let (clauses, arguments) = with_unknown_profile(known);
    query(format!("SELECT count(*) FROM webhooks AS w WHERE {clauses}"), arguments, decode_int)
}

fn with_unknown_profile(known: &[&str]) -> (String, Vec<Value>) {
    let taking = Status::ALL.iter().filter(|status| status.takes_events());
    let taking: Vec<String> = taking.map(|status| (*status as i64).to_string()).collect();
    let places: Vec<String> = (1..=known.len()).map(|place| format!("?{place}")).collect();
    let clauses = format!(
        "w.profile NOT IN ({}) AND w.status IN ({}) AND w.organization_id NOT IN {REMOVED}",
        places.join(", "),
        taking.join(", ")
    );
    (clauses, known.iter().map(|name| Value::from(*name)).collect())
}
