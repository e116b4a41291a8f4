//! A proxy that adds latency in front of a server on a Unix socket, so that what crosses on the way does cross.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Pieces on the way in one direction of a connection.
const ON_THE_WAY: usize = 1_024;

pub(super) struct Delay {
    address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl Delay {
    /// Lets everything arrive `one_way` later, in both directions, the end of a connection included.
    pub(super) async fn start(server: PathBuf, one_way: Duration) -> Delay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = server.clone();
                connections.spawn(async move {
                    client.set_nodelay(true).unwrap();
                    let Ok(server) = UnixStream::connect(server).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::join!(carry(from_client, to_server, one_way), carry(from_server, to_client, one_way));
                });
            }
        });
        Delay { address, _accepting: accepting }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, one_way: Duration) {
    let (sender, mut on_the_way) = mpsc::channel::<(Instant, Bytes)>(ON_THE_WAY);
    let reading = async move {
        let mut more = true;
        while more {
            let mut piece = BytesMut::with_capacity(16 * 1024);
            // A reset counts as an end.
            more = from.read_buf(&mut piece).await.is_ok_and(|count| count > 0);
            if sender.send((Instant::now() + one_way, piece.freeze())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = on_the_way.recv().await {
            // This wait is the latency itself, and no test waits for something to have happened.
            let _ = timeout_at(due, std::future::pending::<()>()).await;
            if piece.is_empty() || to.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
