//! What people read in the portal: one list of texts for each language, each in a file of its own.
//!
//! A further language is a further file with a `Texts` of its own, and a line in [`LANGUAGES`]; the compiler says which
//! texts it lacks. `{name}` in a text stands for a value, which [`fill`] puts there.

mod english;

/// The languages there are, by the beginnings of their tags; the first is for everybody else.
const LANGUAGES: [(&str, &Texts); 1] = [("en", &english::TEXTS)];

/// The texts for the languages of an `Accept-Language`, the first that there is.
pub(super) fn for_languages(accepted: &str) -> &'static Texts {
    let mut wanted = accepted.split(',').map(|range| range.split(['-', ';']).next().unwrap_or_default().trim());
    let known = |tag: &str| LANGUAGES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(tag));
    wanted.find_map(known).unwrap_or(LANGUAGES[0]).1
}

/// A text with its values in their places.
pub(super) fn fill(text: &str, values: &[(&str, &dyn std::fmt::Display)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), &value.to_string()))
}

/// The text for one or for several.
pub(super) fn counted(one: &str, many: &str, count: u64) -> String {
    fill(if count == 1 { one } else { many }, &[("n", &count)])
}

macro_rules! texts {
    ($($(#[$doc:meta])* $screen:ident: $Screen:ident { $($name:ident),* $(,)? })*) => {
        /// Everything that people read, screen by screen.
        pub(super) struct Texts {
            /// The language's tag, for the page.
            pub(super) language: &'static str,
            $($(#[$doc])* pub(super) $screen: $Screen,)*
        }

        $(
            $(#[$doc])*
            pub(super) struct $Screen { $(pub(super) $name: &'static str,)* }
        )*
    };
}

texts! {
    /// What stands on every page.
    shell: ShellTexts {
        webhooks, deliveries, catalogue, sections, skip_to_content, times_label, times_local, times_utc,
        mode_label, mode_system, mode_light, mode_dark, copy, copied, close, failed_to_load, try_again, live, live_hint,
        clear_filters, apply, newest, older, none, save, cancel, pages, keys_title, key_help, key_search, key_down_up,
        key_open, key_resend, key_escape, keys_open, keys_on, in_utc, in_local, taken,
    }
    /// Instead of a page.
    refusal: RefusalTexts {
        no_session_title, no_session, ended_title, ended, code_title, code, cookie_title, cookie, new_link,
        not_found_title, not_found, forbidden_title, forbidden, cross_site_title, cross_site, stale_form,
        state_title, unavailable_title, unavailable, internal_title, internal, too_large_title, too_large,
        too_slow_title, too_slow,
        to_webhooks,
    }
    /// The page behind a link from the host.
    open: OpenTexts {
        title, lead, button,
    }
    /// States of webhooks.
    status: StatusTexts {
        active, failing, paused, deactivated, auto_disabled, failing_since,
    }
    /// States of deliveries.
    state: StateTexts {
        pending, delivering, delivered, exhausted, skipped, cancelled,
    }
    /// Why a delivery was skipped.
    skipped: SkippedTexts {
        webhook_deactivated, webhook_auto_disabled, webhook_deleted, organization_deleted, access_revoked, poison,
    }
    /// How attempts end, and how to mend it.
    outcome: OutcomeTexts {
        success, status, timeout, dns, connect, tls, reset, protocol, blocked, unknown, render, hint_status_auth,
        hint_status_not_found, hint_status_gone, hint_status_rate, hint_status_redirect, hint_status_client,
        hint_status_server, hint_timeout, hint_dns, hint_connect, hint_tls, hint_reset, hint_protocol,
        hint_blocked, hint_unknown, hint_render,
    }
    /// What set an attempt off.
    trigger: TriggerTexts {
        schedule, manual, test,
    }
    /// The list of webhooks.
    webhooks: WebhooksTexts {
        title, lead, add, name, url, status, last_day, last_delivery, view, view_of, switch, search_label, search_hint,
        status_label, type_label, all_types, all_statuses, empty_title, empty, nothing_title, nothing, copy_url,
        rate, no_attempts, chart, all_events, events_one, events_many, switch_label, unnamed, added, added_off,
        saved, deleted, list, looked_at,
    }
    /// Adding and editing a webhook.
    form: FormTexts {
        add_title, edit_title, errors_title, errors_lead, basics, name, name_hint, url, url_hint, method,
        content_type, profile, profile_hint, profile_change, include_entity, include_entity_hint, events,
        events_all, events_all_hint, events_some, events_one_hint, events_search, events_none, events_other,
        group_all, filter, filter_hint, filter_none, filter_type, filter_id, filter_id_hint, rule_none,
        rule_optional, rule_required, rule_types, rule_id_required, rule_id_none, auth, auth_hint, auth_none,
        auth_basic, auth_bearer, username, password, token, kept, secret, secret_made, secret_given, secret_keep,
        headers, headers_hint, headers_one_hint, header_name, header_value, headers_more, header_remove, delivery,
        rate_limit, rate_limit_hint, rate_unit, rate_second, rate_minute, retry, retry_default, retry_own, retry_delays, retry_hint, timeout,
        timeout_hint, active, active_hint, submit_add, submit_save, bad_number, bad_delay, no_password, or, handshake,
        test_on_creation, test_on_switch, not_saved, changed, changed_look, profile_changed,
    }
    /// One webhook.
    webhook: WebhookTexts {
        overview, settings, edit, last_hour, last_24_hours, last_7_days, counts, average, last_attempt, no_attempt,
        created, created_by, owner, number, uuid, id, pause, resume, enable, disable, paused_note, off_note,
        auto_disabled_note, backs_off, test_title, test_lead, test_type, test_default, test_send, test_off, delete,
        delete_lead, delete_confirm, secret_title, secret_none, secret_lead, secret_reveal, secret_hide,
        secret_masked, secret_current, secret_previous, secret_until, rotate, rotate_lead, rotate_overlap,
        rotate_now, rotate_own, rotate_own_hint, rotate_span, rotate_not, rotate_default, rotated, log, log_all, log_empty, resumed, paused,
        events, filter, sends, auth, headers, rate_limit, per_second, per_minute, retries, timeout, seconds, profile,
        entity_included, actions,
    }
    /// How a receiver checks signatures.
    verify: VerifyTexts {
        title, lead, link, how, header, signed, algorithm, public_key, hex, base64, code, language, reveal,
        note_body, note_time, note_secret, curl, not_signed, no_secret, not_these, message_signatures, ed25519,
        unreadable,
    }
    /// Sending a webhook what it missed.
    recover: RecoverTexts {
        title, lead, link, since, until, until_hint, not_begun, since_needed, until_earlier, states, states_hint, preview, note, start,
        nothing, off,
    }
    /// Bulk work.
    job: JobTexts {
        resend, cancel_many, recover, running, completed, cancelled, failed, of, one, many, more_than, started,
        stop, reload, deliveries,
    }
    /// The list of deliveries.
    deliveries: DeliveriesTexts {
        title, lead, id, created, event, url, code, state, next, no_code, all_states, all_webhooks, all_types,
        state_label, type_label, webhook_label, code_label, since_label, until_label, empty_title, empty,
        nothing_title, nothing, resend, resend_one, resent, busy, attempts_one, attempts_many, deleted_webhook,
        looked_at, search_label, search_hint, search_help, event_filter, list, bad_time, bad_code, bad_filter,
        choose, choose_all, resend_chosen, resend_all, resend_all_title, resend_all_note, resend_all_start,
        resend_unfiltered, chosen_none, chosen_one, chosen_many, chosen_left_one, chosen_left_many,
        reload,
    }
    /// One delivery.
    delivery: DeliveryTexts {
        title, timeline, created, accepted, failed, retry_at, held_back, under_way, exhausted, skipped, cancelled,
        payload, payload_lead, payload_gone, attempts, attempts_none, attempt, request, response, headers, body,
        no_request, no_response, no_body, truncated, not_text, copy_curl, copy_payload, resend, resend_hint,
        how_to_mend, code, id, event_id, webhook, url, next_attempt, milliseconds, instant, facts, left_alone, earlier_one,
        earlier_many, later_one, later_many, earlier, newest,
    }
    /// The event catalogue.
    catalogue: CatalogueTexts {
        title, lead, search_label, search_hint, empty_title, empty, nothing_title, nothing, more, example, schema,
        no_example, send_title, send_to, send, no_webhooks, find_webhook, older_webhooks, no_such_webhook, other_kind, list,
        deprecated, deprecated_note, view,
    }
    /// Charts of what was sent.
    charts: ChartsTexts {
        title, ranges, hour, day, week, month, volume, failures, latency, codes, succeeded, failed_status,
        failed_timeout, failed_connection, failed_other, unanswered, failed, p50, p95, p99, nothing, summary, slot,
        months, table, time, empty, empty_hint,
    }
    /// Spans of time and amounts.
    words: WordsTexts {
        seconds, minutes, hours, one_day, days, no_retries, one_retry, retries, list_and,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_languages_get_the_first() {
        for accepted in ["", "xx", "en-GB,de;q=0.7", "fr-CH, en;q=0.9", "*"] {
            assert_eq!(for_languages(accepted).language, "en", "{accepted}");
        }
    }

    #[test]
    fn values_stand_in_their_places() {
        assert_eq!(fill("{n} of {all}", &[("n", &1), ("all", &"2")]), "1 of 2");
        assert_eq!(counted("{n} event", "{n} events", 1), "1 event");
        assert_eq!(counted("{n} event", "{n} events", 0), "0 events");
    }
}
