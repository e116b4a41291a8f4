//! How soon the portal's pages come where very many deliveries are stored, and how much comes over the wire.
//!
//! A server is started, and an organization with fifty webhooks is sent as many deliveries as wanted; one of the webhooks
//! has no receiver, so that its deliveries fail. Then a visitor's session asks for the pages, one request after another on
//! one connection, as a browser does: a page's time is from its request to the last byte of its answer.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::api::Api;
use super::child::{self, ServerCommand};
use super::figures::{Bound, Figure};
use super::fill::fill;
use super::round::{Bench, wait_for_arrivals};
use super::subject::Subject;
use super::template::{Address, Template};
use super::visitor::Visitor;

/// Webhooks of the organization; each event goes to all of them.
pub const WEBHOOKS: u32 = 50;
/// How many pages back the deep page is.
const DEEP: usize = 200;
/// Requests for each page before those that are measured.
const WARM_UP: usize = 5;
/// How often each page is asked for, measured.
const REQUESTS: usize = 200;
/// How often it is asked whether the last deliveries are over.
const LOOK: Duration = Duration::from_millis(200);
/// After the last delivery, the time in which the server may finish its books.
const SETTLE: Duration = Duration::from_secs(3);
/// What a page may take, and what it may weigh with everything it loads.
const SOON_MS: Bound = Bound::AtMost(20.0);
const LIGHT_KB: Bound = Bound::AtMost(60.0);
const FIRST: &str = "/portal/deliveries";

/// What is to be measured.
pub struct Wanted<'a> {
    /// How the server is started.
    pub command: &'a ServerCommand,
    /// Where its data goes.
    pub directory: &'a Path,
    /// How many deliveries are stored, in whole events of fifty.
    pub deliveries: u32,
    /// Bytes of each event's data.
    pub payload: usize,
    /// How long nothing may arrive until what is missing counts as lost.
    pub patience: Duration,
}

/// A page, and what its figures are called.
struct Asked {
    path: String,
    /// In JSON: median, 99th percentile, longest.
    names: [&'static str; 3],
    /// The same for people.
    labels: [&'static str; 3],
}

macro_rules! asked {
    ($path:expr, $name:literal, $label:literal) => {
        Asked {
            path: $path,
            names: [concat!($name, "_p50_ms"), concat!($name, "_p99_ms"), concat!($name, "_max_ms")],
            labels: [concat!($label, ", p50 ms"), "p99 ms", "longest, ms"],
        }
    };
}

/// Measures; see the module.
///
/// # Errors
/// The server does not start, refuses what is asked, or loses deliveries.
pub async fn measure(wanted: &Wanted<'_>, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let directory = wanted.directory.join("pages");
    std::fs::create_dir(&directory)?;
    let started = child::start_server(wanted.command, &directory).await?;
    let organization = store_deliveries(&started.api, wanted, bench).await?;
    let mut visitor = Visitor::enter(&started.api, &organization).await?;
    let pages = pages(&started.api, &organization, &mut visitor).await?;
    let mut figures = Vec::with_capacity(pages.len() * 3 + 1);
    for page in &pages {
        figures.extend(ask(&mut visitor, page).await?);
    }
    let weight = weight(&mut visitor).await?;
    figures.push(
        Figure::new("weight_kb", "newest deliveries with all that it loads, compressed, kB", 1, vec![weight])
            .bound(LIGHT_KB),
    );
    Ok(figures)
}

/// Fills the store through the API and waits until every delivery is over; gives the organization.
async fn store_deliveries(api: &Api, wanted: &Wanted<'_>, bench: &Bench) -> anyhow::Result<String> {
    let subject = Subject::plain();
    let good = WEBHOOKS - 1;
    let setup = api.set_up(bench.receiver(), good as usize, bench.nonce(), &subject).await?;
    api.add_webhook(&setup.organization, nowhere()?, &subject).await?;
    let events = (wanted.deliveries / WEBHOOKS).max(1);
    let run = bench.begin(events, good as usize, &setup.secrets)?;
    let template = Template::new(
        &Address { host: "", path: "", key: "" },
        wanted.payload,
        bench.nonce(),
        run.ledger.run,
        &subject,
    );
    let begun = Instant::now();
    fill(api, &setup.organization, &template, &run.ledger, bench.clock()).await?;
    wait_for_arrivals(&run.ledger, wanted.patience).await;
    let lost = run.ledger.missing();
    anyhow::ensure!(lost == 0, "{lost} deliveries never arrived");
    for state in ["pending", "delivering"] {
        while !api.list(&format!("/v1/deliveries?state={state}&limit=1")).await?.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
    eprintln!("{} deliveries are stored, after {:.0} s", events * WEBHOOKS, begun.elapsed().as_secs_f64());
    tokio::time::sleep(SETTLE).await;
    Ok(setup.organization)
}

/// An address on which nobody listens.
fn nowhere() -> anyhow::Result<SocketAddr> {
    // It was free a moment ago; the kernel gives it to nobody else so soon.
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// What is asked for.
async fn pages(api: &Api, organization: &str, visitor: &mut Visitor) -> anyhow::Result<Vec<Asked>> {
    let webhooks = api.list(&format!("/v1/organizations/{organization}/webhooks?limit=250")).await?;
    let named = |name: &str| webhooks.iter().find(|webhook| webhook["name"] == name);
    let webhook = named("bench 0").and_then(|webhook| webhook["id"].as_str()).context("the webhooks are not listed")?;
    Ok(vec![
        asked!(FIRST.to_owned(), "newest", "newest deliveries"),
        asked!(format!("{FIRST}?state=exhausted"), "failed", "failed ones, one in fifty"),
        asked!(format!("{FIRST}?webhook={webhook}"), "webhook", "those of one webhook"),
        asked!(format!("{FIRST}?webhook={webhook}&response_code=418"), "none", "a filter that nothing matches"),
        asked!(deep(visitor).await?, "deep", "200 pages further back"),
        asked!("/portal/webhooks".to_owned(), "webhooks", "the list of webhooks"),
        asked!(format!("/portal/webhooks/{webhook}"), "one_webhook", "one webhook with its charts"),
    ])
}

/// Goes back page by page; gives where that leads.
async fn deep(visitor: &mut Visitor) -> anyhow::Result<String> {
    let mut path = FIRST.to_owned();
    for _ in 0..DEEP {
        match visitor.read(&path).await?.older() {
            Some(older) => path = older,
            None => break,
        }
    }
    Ok(path)
}

/// Asks for a page again and again.
async fn ask(visitor: &mut Visitor, page: &Asked) -> anyhow::Result<Vec<Figure>> {
    let mut took = Vec::with_capacity(REQUESTS);
    for number in 0..WARM_UP + REQUESTS {
        let begun = Instant::now();
        visitor.load(&page.path).await?;
        if number >= WARM_UP {
            took.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((share * REQUESTS as f64).ceil() as usize).clamp(1, REQUESTS) - 1];
    let [median, high, longest] = page.names;
    Ok(vec![
        Figure::new(median, page.labels[0], 2, vec![at(0.5)]),
        Figure::new(high, page.labels[1], 2, vec![at(0.99)]).bound(SOON_MS),
        Figure::new(longest, page.labels[2], 2, vec![at(1.0)]),
    ])
}

/// What the first page weighs with everything that it loads, compressed as browsers ask for it, in kilobytes.
async fn weight(visitor: &mut Visitor) -> anyhow::Result<f64> {
    let assets = visitor.read(FIRST).await?.assets();
    anyhow::ensure!(!assets.is_empty(), "the page names nothing that it loads");
    let mut bytes = visitor.load(FIRST).await?;
    for asset in assets {
        bytes += visitor.load(&asset).await?;
    }
    Ok(bytes as f64 / 1e3)
}
