//! Asking the server and showing what it answers: tables and fields for people, JSON as it came for machines.

use std::io::Write as _;

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::Value;

use super::client::{CallError, Client, Request};
use super::connection::PageArgs;
use super::{shallow, table};
use crate::terminal;

/// A column of a list: its title, and the member that it shows (`filter.type` for one within another).
pub type Column = (&'static str, &'static str);

/// A server, and how its answers are shown.
pub struct Session {
    client: Client,
    json: bool,
}

impl Session {
    pub fn new(client: Client, json: bool) -> Self {
        Session { client, json }
    }

    /// Shows a page of a list. `what` names its entries, for an empty one.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn list(&self, request: Request, page: &PageArgs, what: &str, columns: &[Column]) -> anyhow::Result<()> {
        let Some(body) = self.ask(page.of(request)).await? else { return Ok(()) };
        let entries = body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        if entries.is_empty() {
            eprintln!("No {what}.");
        } else {
            print(&table::of(entries, columns, table::Cells::for_output()))?;
        }
        say_more(&body);
        Ok(())
    }

    /// Shows one thing, a line for each of its members.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn one(&self, request: Request) -> anyhow::Result<()> {
        let Some(body) = self.ask(request).await? else { return Ok(()) };
        print(&table::fields(&body))
    }

    /// Does something whose answer has nothing to show but that it is done.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn done(&self, request: Request, said: &str) -> anyhow::Result<()> {
        match self.ask(request).await? {
            Some(_) => print(&format!("{said}\n")),
            None => Ok(()),
        }
    }

    /// The answer, to be shown in words; `None` where it was printed as JSON.
    ///
    /// # Errors
    /// The server cannot be reached or refuses; a refusal is printed as JSON, too, where JSON is wanted.
    pub async fn ask(&self, request: Request) -> anyhow::Result<Option<Value>> {
        let body = match self.client.call(request).await {
            Ok(body) => body,
            Err(error) => {
                if let (true, CallError::Refused { body, .. }) = (self.json, &error) {
                    print_json(body)?;
                }
                return Err(error.into());
            }
        };
        if self.json {
            print_json(&body)?;
            return Ok(None);
        }
        if body.is_empty() {
            return Ok(Some(Value::Null));
        }
        shallow::read(&body).map(Some).context("the answer is not JSON; is --url right?")
    }
}

/// Says how a list goes on that has more.
pub fn say_more(body: &Value) {
    if let Some(cursor) = body["next_cursor"].as_str() {
        eprintln!("There are more: --cursor {}", terminal::line(cursor));
    }
}

fn print_json(body: &Bytes) -> anyhow::Result<()> {
    if body.is_empty() {
        return Ok(());
    }
    print(&format!("{}\n", terminal::json(String::from_utf8_lossy(body).trim_end())))
}

/// Writes to standard output. Whoever read it may have seen enough.
///
/// # Errors
/// It cannot be written to, for another reason.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write the answer"),
        _ => Ok(()),
    }
}
