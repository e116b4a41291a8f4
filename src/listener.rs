//! Accepts connections and serves requests on them, bounded in number and patience.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use fanfare_engine::caller::TrustedProxies;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::incoming::{Reception, Unread};
use crate::lingering::Lingering;

/// Connections at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 8_192;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How long a stop waits for requests under way.
const GRACE: Duration = Duration::from_secs(10);
/// How long to rest when no connection could be accepted (no more file descriptors, say).
const REST: Duration = Duration::from_millis(100);

/// Serves until `stopped` says so, then finishes the requests under way.
pub async fn serve(listener: TcpListener, router: Router, trusted: TrustedProxies, mut stopped: watch::Receiver<bool>) {
    let trusted = Arc::new(trusted);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(&listener, &slots) => {
                let ((stream, peer), slot) = accepted;
                let unread = Unread::default();
                let reception = Reception::new(router.clone(), peer.ip(), Arc::clone(&trusted), unread.clone());
                connections.spawn(connection(Lingering::new(stream, unread), slot, reception, graceful.watcher()));
            }
            Some(_) = connections.join_next() => {}
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
    }
    drop(listener);
    // Streams that never end by themselves are cut off.
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> ((TcpStream, SocketAddr), Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so that a slot is always to be had.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and must not wait for more.
                let _ = stream.set_nodelay(true);
                return ((stream, peer), slot);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn connection(
    stream: Lingering,
    slot: Option<OwnedSemaphorePermit>,
    reception: Reception,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let mut builder = Builder::new();
    // Also for the first byte and between two requests, so that whoever sends nothing keeps no connection.
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let serving = builder.serve_connection(TokioIo::new(stream), reception);
    if let Err(error) = watcher.watch(serving).await {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(slot);
}
