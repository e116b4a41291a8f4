//! What the stories share: a server under one system's profile whose clock the story moves, and a receiver.

use std::fs;
use std::time::Duration;

use axum::http::Method;
use fanfare::config::Sources;
use fanfare_engine::time::Timestamp;
use serde_json::{Value, json};

use super::receiver::{Receiver, Request};
use crate::api::sending::{local, until};
use crate::api::{Api, Reply};
use crate::delivery_http::certificates::Authority;

/// The organization of all stories.
pub(crate) const ORG: &str = "acme";
/// Its webhooks.
pub(crate) const HOOKS: &str = "/v1/organizations/acme/webhooks";
const EVENTS: &str = "/v1/organizations/acme/events";
const DELIVERIES: &str = "/v1/organizations/acme/deliveries";

/// See the module.
pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) receiver: Receiver,
    /// Whose the webhooks are that the stage makes; the host's own without one.
    owner: Option<&'static str>,
}

impl Stage {
    /// With a receiver that speaks plain HTTP.
    pub(crate) async fn start(profile: &str) -> Stage {
        let sources = Sources { profile: Some(profile.to_owned()), ..local() };
        Stage::over(Api::start_with(sources).await, Receiver::start(None).await).await
    }

    /// With a receiver whose certificate is of an authority that the server is told to trust.
    pub(crate) async fn start_secure(profile: &str) -> Stage {
        let authority = Authority::new("the authority of the stories");
        let directory = tempfile::tempdir().unwrap();
        let roots = directory.path().join("authority.pem");
        fs::write(&roots, authority.pem()).unwrap();
        let sources = Sources { profile: Some(profile.to_owned()), tls_ca_file: Some(roots), ..local() };
        let receiver = Receiver::start(Some(authority.acceptor("127.0.0.1", &["http/1.1"], |_| {}))).await;
        Stage::over(Api::start_in(directory, sources).await, receiver).await
    }

    async fn over(api: Api, receiver: Receiver) -> Stage {
        api.organization(ORG).await;
        Stage { api, receiver, owner: None }
    }

    /// Makes webhooks for a user with these rights from now on.
    pub(crate) async fn for_user(mut self, user: &'static str, rights: Value) -> Stage {
        self.user(user, rights).await;
        self.owner = Some(user);
        self
    }

    /// Ends the story; there must be no request that it did not look at.
    pub(crate) async fn end(mut self) {
        self.api.stop().await;
        assert_eq!(self.receiver.rest(), []);
    }

    /// Tells what a user may do.
    pub(crate) async fn user(&self, user: &str, rights: Value) {
        let reply = self.api.put(&format!("/v1/organizations/{ORG}/users/{user}"), rights).await;
        assert!(reply.status.is_success(), "{reply:?}");
    }

    /// A request on behalf of a user.
    pub(crate) async fn by(&self, user: &str, method: Method, path: &str, body: Value) -> Reply {
        self.api.ask(method, path).header("fanfare-user", user).json(&body).send().await
    }

    /// The settings of a webhook at `/h` of the receiver.
    pub(crate) fn hook(&self, settings: Value) -> Value {
        let mut body = json!({"url": self.receiver.url("/h")});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        body
    }

    /// A webhook with these settings.
    pub(crate) async fn subscribe(&self, settings: Value) -> Value {
        self.make(settings).await.created()
    }

    /// Asks for a webhook with these settings.
    pub(crate) async fn make(&self, settings: Value) -> Reply {
        let mut body = self.hook(settings);
        if let Some(owner) = self.owner {
            body["owner"] = owner.into();
        }
        self.api.post(HOOKS, body).await
    }

    /// A webhook with these settings is refused for this field, each of `settings` put over those of `good`.
    pub(crate) async fn refuse(&self, good: &Value, settings: Value, field: &str) {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        self.make(body).await.invalid(field);
    }

    /// Posts an event; answers its id and how many webhooks it is for.
    pub(crate) async fn post(&self, event: Value) -> (String, u64) {
        let receipt = self.api.post(EVENTS, event).await.accepted();
        (receipt["id"].as_str().unwrap().to_owned(), receipt["deliveries"].as_u64().unwrap())
    }

    /// Posts an event that is for one webhook; answers its id.
    pub(crate) async fn event(&self, event: Value) -> String {
        let (id, deliveries) = self.post(event).await;
        assert_eq!(deliveries, 1);
        id
    }

    /// The event is refused for this field.
    pub(crate) async fn refuse_event(&self, event: Value, field: &str) {
        self.api.post(EVENTS, event).await.invalid(field);
    }

    /// The deliveries that the organization's list shows for a query, newest first.
    pub(crate) async fn deliveries(&self, query: &str) -> Vec<Value> {
        self.api.get(&format!("{DELIVERIES}?{query}")).await.ok()["data"].as_array().unwrap().clone()
    }

    /// Waits until the one delivery that `query` names is in a state after so many attempts, and gives it.
    pub(crate) async fn delivery(&self, query: &str, state: &str, attempts: u32) -> Value {
        until(&format!("{query} is {state} after {attempts} attempts"), async || {
            let found = self.deliveries(query).await;
            assert!(found.len() <= 1, "{found:?}");
            found.into_iter().find(|delivery| delivery["state"] == state && delivery["attempts"] == attempts)
        })
        .await
    }

    /// The attempts of a delivery, from the first.
    pub(crate) async fn attempts(&self, delivery: &Value) -> Vec<Value> {
        let path = format!("{DELIVERIES}/{}/attempts", delivery["id"].as_str().unwrap());
        let mut attempts = self.api.get(&path).await.ok()["data"].as_array().unwrap().clone();
        attempts.reverse();
        attempts
    }

    /// Sends a delivery again by hand.
    pub(crate) async fn resend(&self, delivery: &Value) {
        self.api.post(&format!("{DELIVERIES}/{}/resend", delivery["id"].as_str().unwrap()), json!({})).await.accepted();
    }

    pub(crate) fn now(&self) -> Timestamp {
        use fanfare::clock::Clock as _;
        self.api.clock.now()
    }

    /// Lets an event of which the first attempt has just failed be tried after each of these delays, in seconds: at the
    /// moment and no sooner, with the same bytes. Answers the requests, the first of them `first`.
    pub(crate) async fn fail_by_schedule(&mut self, event: &str, first: Request, delays: &[u64]) -> Vec<Request> {
        const BLINK: Duration = Duration::from_millis(1);
        let query = format!("event={event}");
        let mut requests = vec![first];
        let mut moments = vec![self.now()];
        for delay in delays {
            let due = self.now().plus(Duration::from_secs(*delay));
            let waiting = self.delivery(&query, "pending", requests.len() as u32).await;
            assert_eq!(waiting["next_attempt_at"], due.to_string());
            self.api.pass(Duration::from_secs(*delay) - BLINK);
            self.delivery(&query, "pending", requests.len() as u32).await;
            assert_eq!(self.receiver.rest(), [], "before its time");
            self.api.pass(BLINK);
            requests.push(self.receiver.next().await);
            moments.push(due);
        }
        let last = self.delivery(&query, "exhausted", requests.len() as u32).await;
        assert_eq!(last["next_attempt_at"], Value::Null);
        let attempts = self.attempts(&last).await;
        let logged: Vec<_> = attempts.iter().map(|attempt| attempt["at"].as_str().unwrap().to_owned()).collect();
        assert_eq!(logged, moments.iter().map(ToString::to_string).collect::<Vec<_>>());
        self.stay_quiet(&query, &last).await;
        requests
    }

    /// However long one waits, nothing more is sent for a delivery.
    pub(crate) async fn stay_quiet(&mut self, query: &str, delivery: &Value) {
        for _ in 0..7 {
            self.api.pass(Duration::from_secs(86_400));
            assert_eq!(self.deliveries(query).await, std::slice::from_ref(delivery));
        }
        assert_eq!(self.receiver.rest(), []);
    }
}
