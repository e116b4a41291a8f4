//! The tables of the embedded store and the steps that bring an older file up to date.

/// Marks a file as Fanfare's in SQLite's header ("Fanf").
pub(super) const APPLICATION_ID: i64 = 0x4661_6e66;

/// Each step is applied once, in a transaction of its own, and never edited after a release.
/// The number of steps that a file has seen is its `user_version`.
pub(super) const MIGRATIONS: &[&str] = &[
    r#"
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE nodes (
    id           INTEGER PRIMARY KEY,
    number       INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL
);

CREATE TABLE projects (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    profile    TEXT NOT NULL,
    document   TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

-- deprecated_at: since when it is not offered any more; its events are still taken.
CREATE TABLE event_types (
    id            INTEGER PRIMARY KEY,
    project_id    INTEGER NOT NULL,
    name          TEXT NOT NULL,
    kind          TEXT,
    description   TEXT,
    schema        TEXT,
    example       TEXT,
    deprecated_at INTEGER,
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    UNIQUE (project_id, name)
);

-- search: name and the host's id in lower case, for finding by a part of them. users, entities: how many there are, and
-- webhook_bytes: how many bytes its webhooks take, so that their limits are checked without counting.
CREATE TABLE organizations (
    id                  INTEGER PRIMARY KEY,
    project_id          INTEGER NOT NULL,
    name                TEXT NOT NULL,
    external_id         TEXT,
    search              TEXT NOT NULL,
    metadata            TEXT NOT NULL,
    is_operator         INTEGER NOT NULL,
    next_webhook_number INTEGER NOT NULL,
    users               INTEGER NOT NULL DEFAULT 0,
    entities            INTEGER NOT NULL DEFAULT 0,
    webhook_bytes       INTEGER NOT NULL DEFAULT 0,
    version             INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL
);
CREATE UNIQUE INDEX organizations_external_id ON organizations (project_id, external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX organizations_operator ON organizations (project_id) WHERE is_operator = 1;
CREATE INDEX organizations_by_project ON organizations (project_id, id);

-- Organizations that were removed and whose webhooks, users and entities are still to go; until then these are nobody's.
CREATE TABLE removed_organizations (
    organization_id INTEGER PRIMARY KEY
);

-- search: name and URL in lower case, for finding by a part of them. bytes: how many its settings and credentials take.
-- forgotten_to: the newest event of which a delivery was
-- removed because there were too many; what it got of events up to there is not known any more.
CREATE TABLE webhooks (
    id              INTEGER PRIMARY KEY,
    project_id      INTEGER NOT NULL,
    organization_id INTEGER NOT NULL,
    number          INTEGER NOT NULL,
    uuid            BLOB NOT NULL UNIQUE,
    profile         TEXT NOT NULL,
    search          TEXT NOT NULL,
    status          INTEGER NOT NULL,
    status_reason   TEXT,
    failing_since   INTEGER,
    settings        TEXT NOT NULL,
    sealed          BLOB NOT NULL,
    bytes           INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    created_by      TEXT,
    owner           TEXT,
    forgotten_to    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (organization_id, number)
);
CREATE INDEX webhooks_by_organization ON webhooks (organization_id, id);
CREATE INDEX webhooks_by_project ON webhooks (project_id, id);
-- The few whose every attempt fails while events come to them, and those that were switched off for that.
CREATE INDEX webhooks_failing ON webhooks (project_id, id) WHERE status = 3 OR (failing_since IS NOT NULL AND status <> 1);

-- user_id: the host's own id. roles, permissions, grants: JSON.
CREATE TABLE users (
    id              INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL,
    user_id         TEXT NOT NULL,
    name            TEXT,
    roles           TEXT NOT NULL,
    permissions     TEXT NOT NULL,
    grants          TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (organization_id, user_id)
);
CREATE INDEX users_by_organization ON users (organization_id, id);

-- What the host's entities belong to. scope: JSON. told_by: 0 the host, 1 an event.
CREATE TABLE entities (
    organization_id INTEGER NOT NULL,
    type            TEXT NOT NULL,
    id              TEXT NOT NULL,
    scope           TEXT NOT NULL,
    told_by         INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, type, id)
) WITHOUT ROWID;

CREATE TABLE api_keys (
    id              INTEGER PRIMARY KEY,
    project_id      INTEGER NOT NULL,
    name            TEXT NOT NULL,
    hash            BLOB NOT NULL UNIQUE,
    scopes          TEXT NOT NULL,
    organization_id INTEGER,
    user_id         TEXT,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER
);
CREATE INDEX api_keys_by_project ON api_keys (project_id, id);
CREATE INDEX api_keys_by_organization ON api_keys (organization_id) WHERE organization_id IS NOT NULL;

-- code: the hash of what opens it once; token, NULL until then: the hash of what its browser shows from then on.
-- organization_id: the one that a visitor of the portal sees. Ends are kept for a while, so that their page can be shown.
CREATE TABLE sessions (
    id              INTEGER PRIMARY KEY,
    project_id      INTEGER NOT NULL,
    organization_id INTEGER,
    user_id         TEXT,
    code            BLOB UNIQUE,
    code_expires_at INTEGER NOT NULL,
    token           BLOB UNIQUE,
    options         TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
);
CREATE INDEX sessions_by_organization ON sessions (organization_id, expires_at) WHERE organization_id IS NOT NULL;
CREATE INDEX sessions_by_age ON sessions (expires_at);
CREATE INDEX sessions_of_operators ON sessions (options, id) WHERE organization_id IS NULL;

CREATE TABLE pauses (
    id              INTEGER PRIMARY KEY,
    project_id      INTEGER NOT NULL,
    organization_id INTEGER,
    host            TEXT,
    created_at      INTEGER NOT NULL
);
CREATE INDEX pauses_by_project ON pauses (project_id, id);

-- position: how far it got; a piece of work names where it starts, so that none is done twice.
CREATE TABLE jobs (
    id              INTEGER PRIMARY KEY,
    project_id      INTEGER NOT NULL,
    organization_id INTEGER,
    kind            TEXT NOT NULL,
    parameters      TEXT NOT NULL,
    state           TEXT NOT NULL,
    position        INTEGER NOT NULL,
    done            INTEGER NOT NULL,
    total           INTEGER,
    error           TEXT,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
);
CREATE INDEX jobs_running ON jobs (project_id, organization_id, updated_at, id) WHERE state = 'running';
CREATE INDEX jobs_by_project ON jobs (project_id, id);

-- What changed in the catalogue, so that every node drops what it compiled from it.
CREATE TABLE catalogue_changes (
    version         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id      INTEGER NOT NULL,
    organization_id INTEGER
);

CREATE TABLE idempotency (
    scope       TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    node_id     INTEGER NOT NULL,
    status      INTEGER,
    answer      BLOB,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE events (
    id               INTEGER PRIMARY KEY,
    project_id       INTEGER NOT NULL,
    organization_id  INTEGER NOT NULL,
    type             TEXT NOT NULL,
    external_id      TEXT,
    occurred_at      INTEGER NOT NULL,
    entity           TEXT,
    scope            TEXT,
    ordering_key     TEXT,
    deliveries       INTEGER NOT NULL,
    last_delivery_id INTEGER NOT NULL,
    is_test          INTEGER NOT NULL
);
CREATE INDEX events_by_organization ON events (organization_id, id);
-- So that removing what is too old in one project does not walk through the others' events.
CREATE INDEX events_by_project ON events (project_id, id);

-- Payloads have a table of their own, so that lists of events read few pages.
CREATE TABLE payloads (
    event_id    INTEGER PRIMARY KEY,
    data        BLOB NOT NULL,
    entity_data BLOB
);

-- The host's own event ids live at least seven days, longer than the event where retention is short.
CREATE TABLE event_keys (
    organization_id INTEGER NOT NULL,
    external_id     TEXT NOT NULL,
    event_id        INTEGER NOT NULL,
    fingerprint     BLOB NOT NULL,
    deliveries      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, external_id)
) WITHOUT ROWID;
CREATE INDEX event_keys_by_age ON event_keys (event_id);

-- state: 1 only while one that was taken back from a dead node is being sent; any other that is leased stays 0.
-- lease_node: the node that holds it, 0 for nobody. epoch: how often it was leased; a finish must name both. claims: how
-- often a node died that may have been sending it, since its last outcome.
-- failures: how many attempts of the schedule failed. one_shot: 0 follows the schedule, 1 gets a single attempt (a test,
-- or a resend of a final one), 2 the same for one that was delivered before and stays so. late: made after its event (recovery), so not in the event's
-- range of delivery ids.
CREATE TABLE deliveries (
    id              INTEGER PRIMARY KEY,
    event_id        INTEGER NOT NULL,
    project_id      INTEGER NOT NULL,
    organization_id INTEGER NOT NULL,
    webhook_id      INTEGER NOT NULL,
    event_type      TEXT NOT NULL,
    state           INTEGER NOT NULL,
    trigger           INTEGER NOT NULL,
    lease_node      INTEGER NOT NULL,
    epoch           INTEGER NOT NULL,
    claims          INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    failures        INTEGER NOT NULL,
    response_code   INTEGER,
    skipped_reason  INTEGER,
    completed_at    INTEGER,
    ordering_key    TEXT,
    one_shot        INTEGER NOT NULL,
    late            INTEGER NOT NULL
);
-- Everything that is not final: what is due, and what a dead node held. Small, so nearly free. With the state, so that
-- the backlog is counted without looking at the rows.
CREATE INDEX deliveries_live ON deliveries (lease_node, webhook_id, next_attempt_at, state) WHERE state < 2;
CREATE INDEX deliveries_ordered ON deliveries (webhook_id, ordering_key, id) WHERE state < 2 AND ordering_key IS NOT NULL;
CREATE INDEX deliveries_late ON deliveries (event_id) WHERE late = 1;
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_by_organization ON deliveries (organization_id, id);
-- The few that ended badly, for finding them among millions.
CREATE INDEX deliveries_ended_badly ON deliveries (organization_id, state, id) WHERE state > 2;
CREATE INDEX deliveries_of_webhook_ended_badly ON deliveries (webhook_id, state, id) WHERE state > 2;
CREATE INDEX deliveries_ended_badly_anywhere ON deliveries (project_id, state, id) WHERE state > 2;

-- The first attempt has its delivery's id as its own, so that it needs no index to be found.
CREATE TABLE attempts (
    id               INTEGER PRIMARY KEY,
    delivery_id      INTEGER NOT NULL,
    number           INTEGER NOT NULL,
    at               INTEGER NOT NULL,
    duration_ms      INTEGER NOT NULL,
    outcome          INTEGER NOT NULL,
    error            TEXT,
    trigger            INTEGER NOT NULL,
    method           TEXT,
    url              TEXT,
    request_headers  BLOB,
    body_head        BLOB,
    body_tail        BLOB,
    response_code    INTEGER,
    response_headers BLOB,
    response_body    BLOB,
    truncated        INTEGER
);
CREATE INDEX attempts_later ON attempts (delivery_id, number) WHERE number > 1;

-- Counted as things happen, for charts and rates. kind: 0 a project, 1 an organization, 2 a webhook. span: 0 five minutes a
-- row, 1 an hour. took_…: a histogram of how long attempts took; its bounds are in figures.rs.
CREATE TABLE stats (
    kind              INTEGER NOT NULL,
    subject_id        INTEGER NOT NULL,
    span              INTEGER NOT NULL,
    bucket            INTEGER NOT NULL,
    events            INTEGER NOT NULL,
    deliveries        INTEGER NOT NULL,
    succeeded         INTEGER NOT NULL,
    failed_status     INTEGER NOT NULL,
    failed_timeout    INTEGER NOT NULL,
    failed_connection INTEGER NOT NULL,
    failed_other      INTEGER NOT NULL,
    answered_2xx      INTEGER NOT NULL,
    answered_3xx      INTEGER NOT NULL,
    answered_4xx      INTEGER NOT NULL,
    answered_5xx      INTEGER NOT NULL,
    duration_ms       INTEGER NOT NULL,
    took_0            INTEGER NOT NULL,
    took_1            INTEGER NOT NULL,
    took_2            INTEGER NOT NULL,
    took_3            INTEGER NOT NULL,
    took_4            INTEGER NOT NULL,
    took_5            INTEGER NOT NULL,
    took_6            INTEGER NOT NULL,
    took_7            INTEGER NOT NULL,
    took_8            INTEGER NOT NULL,
    took_9            INTEGER NOT NULL,
    took_10           INTEGER NOT NULL,
    took_11           INTEGER NOT NULL,
    took_12           INTEGER NOT NULL,
    took_13           INTEGER NOT NULL,
    took_14           INTEGER NOT NULL,
    took_15           INTEGER NOT NULL,
    last_at           INTEGER,
    last_outcome      INTEGER,
    last_response     INTEGER,
    PRIMARY KEY (kind, subject_id, span, bucket)
) WITHOUT ROWID;
CREATE INDEX stats_by_age ON stats (span, bucket);
"#,
    r#"
-- Every index costs each event an entry and each commit whole pages; a project's events are found by its organizations.
-- fingerprint: of all that the host said, where it gave an id of its own. The data come last: what is large lies in pages of
-- its own, which lists do not read.
CREATE TABLE whole_events (
    id               INTEGER PRIMARY KEY,
    project_id       INTEGER NOT NULL,
    organization_id  INTEGER NOT NULL,
    type             TEXT NOT NULL,
    external_id      TEXT,
    fingerprint      BLOB,
    occurred_at      INTEGER NOT NULL,
    entity           TEXT,
    scope            TEXT,
    ordering_key     TEXT,
    deliveries       INTEGER NOT NULL,
    last_delivery_id INTEGER NOT NULL,
    is_test          INTEGER NOT NULL,
    data             BLOB NOT NULL,
    entity_data      BLOB
);
INSERT INTO whole_events
    SELECT e.id, e.project_id, e.organization_id, e.type, e.external_id,
        CASE WHEN e.external_id IS NOT NULL THEN coalesce(k.fingerprint, zeroblob(16)) END, e.occurred_at, e.entity, e.scope,
        e.ordering_key, e.deliveries, e.last_delivery_id, e.is_test, p.data, p.entity_data
    FROM events e JOIN payloads p ON p.event_id = e.id LEFT JOIN event_keys k ON k.event_id = e.id;
DROP TABLE payloads;
DROP TABLE events;
ALTER TABLE whole_events RENAME TO events;
CREATE INDEX events_by_organization ON events (organization_id, id);
CREATE UNIQUE INDEX events_external_id ON events (organization_id, external_id) WHERE external_id IS NOT NULL;

-- Keys of events that are there are with the events; these are of events that were removed within seven days.
DELETE FROM event_keys WHERE event_id IN (SELECT id FROM events);
"#,
    r#"
-- note: what else is to be known of an attempt, whatever its outcome.
ALTER TABLE attempts ADD COLUMN note TEXT;
"#,
    r#"
-- Events for many webhooks whose deliveries are being written, and all deliveries that each is to have; see wide.rs.
CREATE TABLE unfinished_events (
    event_id   INTEGER PRIMARY KEY,
    deliveries BLOB NOT NULL
);
"#,
    r#"
-- Figures by time first: what is written together lies together, however many organizations there are, and what is too old is
-- one piece. Otherwise as before. How the last attempt for a webhook ended has a row of its own.
CREATE TABLE last_attempts (
    webhook_id INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    outcome    INTEGER NOT NULL,
    response   INTEGER
);
INSERT INTO last_attempts
    SELECT subject_id, last_at, last_outcome, last_response FROM stats s
    WHERE kind = 2 AND span = 1 AND bucket = (
        SELECT max(bucket) FROM stats WHERE kind = 2 AND subject_id = s.subject_id AND span = 1 AND last_at IS NOT NULL);
CREATE TABLE stats_by_time (
    span              INTEGER NOT NULL,
    bucket            INTEGER NOT NULL,
    kind              INTEGER NOT NULL,
    subject_id        INTEGER NOT NULL,
    events            INTEGER NOT NULL,
    deliveries        INTEGER NOT NULL,
    succeeded         INTEGER NOT NULL,
    failed_status     INTEGER NOT NULL,
    failed_timeout    INTEGER NOT NULL,
    failed_connection INTEGER NOT NULL,
    failed_other      INTEGER NOT NULL,
    answered_2xx      INTEGER NOT NULL,
    answered_3xx      INTEGER NOT NULL,
    answered_4xx      INTEGER NOT NULL,
    answered_5xx      INTEGER NOT NULL,
    duration_ms       INTEGER NOT NULL,
    took_0            INTEGER NOT NULL,
    took_1            INTEGER NOT NULL,
    took_2            INTEGER NOT NULL,
    took_3            INTEGER NOT NULL,
    took_4            INTEGER NOT NULL,
    took_5            INTEGER NOT NULL,
    took_6            INTEGER NOT NULL,
    took_7            INTEGER NOT NULL,
    took_8            INTEGER NOT NULL,
    took_9            INTEGER NOT NULL,
    took_10           INTEGER NOT NULL,
    took_11           INTEGER NOT NULL,
    took_12           INTEGER NOT NULL,
    took_13           INTEGER NOT NULL,
    took_14           INTEGER NOT NULL,
    took_15           INTEGER NOT NULL,
    PRIMARY KEY (span, bucket, kind, subject_id)
) WITHOUT ROWID;
INSERT INTO stats_by_time
    SELECT span, bucket, kind, subject_id, events, deliveries, succeeded, failed_status, failed_timeout, failed_connection, failed_other,
        answered_2xx, answered_3xx, answered_4xx, answered_5xx, duration_ms, took_0, took_1,
        took_2, took_3, took_4, took_5, took_6, took_7, took_8,
        took_9, took_10, took_11, took_12, took_13, took_14, took_15
    FROM stats ORDER BY span, bucket, kind, subject_id;
DROP TABLE stats;
ALTER TABLE stats_by_time RENAME TO stats;

-- An organization's deliveries are found by its events: their ids follow the event's. Only those that were made later do not.
DROP INDEX deliveries_by_organization;
CREATE INDEX deliveries_late_by_organization ON deliveries (organization_id, id) WHERE late = 1;

-- What commits counted that is not in the figures yet, and how far the writing of it has come (0); see gathered.rs.
CREATE TABLE uncounted (
    id    INTEGER PRIMARY KEY,
    facts BLOB NOT NULL
);
"#,
    r#"
-- How many deliveries an event was before it was posted. Where it was none, it takes no byte of the row's content.
ALTER TABLE events ADD COLUMN hops INTEGER NOT NULL DEFAULT 0;
"#,
    r#"
-- When one of the attempts failed that have all failed since failing_since: idle time after it does not count.
ALTER TABLE webhooks ADD COLUMN failed_at INTEGER;
"#,
];
