//! A connection that ends without cutting off its own last response, and does not wait for ever for a client that reads nothing.
//!
//! A socket that is closed while unread bytes wait in it is reset, and a reset makes the other side lose what it has not
//! read yet: a client that still sends its much too large body would never see why it was refused. So what still comes
//! is read and thrown away, for a while: also where nothing waits at the moment, if the body of the last request was not read
//! to its end.
//!
//! A client that does not read what it asked for keeps its connection, and one of the places for connections. So each write has a
//! deadline, which what the client takes pushes back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::incoming::Unread;

/// How long the rest of a request is thrown away at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the next piece of it is waited for.
const PAUSE: Duration = Duration::from_secs(5);
/// How much of it is, in bytes.
const MOST: usize = 64 * 1024 * 1024;
/// Bytes thrown away at once.
const PIECE: usize = 16 * 1024;
/// Pieces thrown away before other tasks have their turn.
const PIECES_IN_A_ROW: usize = 16;

/// How long a client may leave all of a response where it is.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes a client must take for each second that it wants to go on for.
const SLOWEST: u64 = 16 * 1024;

/// See the module.
pub struct Lingering {
    stream: TcpStream,
    unread: Unread,
    ending: Option<Ending>,
    /// Since the client did not take all that was written: until when it must take more.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// The end of a connection whose other side still sends.
struct Ending {
    /// The end of a pause.
    until: Pin<Box<Sleep>>,
    end: Instant,
    left: usize,
}

impl Ending {
    fn begin() -> Self {
        Ending { until: Box::pin(sleep(PAUSE)), end: Instant::now() + PATIENCE, left: MOST }
    }

    /// Counts a piece. `false` where nothing more is waited for.
    fn goes_on(&mut self, came: usize) -> bool {
        let now = Instant::now();
        self.left = self.left.saturating_sub(came);
        self.until.as_mut().reset((now + PAUSE).min(self.end));
        self.left > 0 && now < self.end
    }
}

impl Lingering {
    /// `unread` says whether the client may still be sending when the connection ends.
    pub fn new(stream: TcpStream, unread: Unread) -> Self {
        Lingering { stream, unread, ending: None, stalled: None }
    }

    /// What becomes of an attempt to write `length` bytes.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        length: usize,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match (&result, &mut self.stalled) {
            (Poll::Pending, stalled) => {
                let end = stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
                ready!(end.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its response")))
            }
            (Poll::Ready(Ok(taken)), Some(_)) if *taken >= length => {
                self.stalled = None;
                result
            }
            (Poll::Ready(Ok(taken)), Some(end)) => {
                let later = pushed_back(end.deadline(), Instant::now(), *taken);
                end.as_mut().reset(later);
                result
            }
            _ => result,
        }
    }

    /// Throws away what comes. Ready when nothing more is to be expected or enough was done.
    fn throw_away(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; PIECE];
        for _ in 0..PIECES_IN_A_ROW {
            let mut buffer = ReadBuf::new(&mut piece);
            let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
            let came = buffer.filled().len();
            match (read, &mut self.ending) {
                // Nothing was on its way: there is nothing that a close would cut off.
                (Poll::Pending, None) if !self.unread.get() => return Poll::Ready(()),
                (Poll::Pending, ending) => {
                    return ending.get_or_insert_with(Ending::begin).until.as_mut().poll(context);
                }
                (Poll::Ready(Err(_)), _) => return Poll::Ready(()),
                (Poll::Ready(Ok(())), _) if came == 0 => return Poll::Ready(()),
                (Poll::Ready(Ok(())), ending) => {
                    if !ending.get_or_insert_with(Ending::begin).goes_on(came) {
                        return Poll::Ready(());
                    }
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The deadline of a client that took so many bytes.
fn pushed_back(deadline: Instant, now: Instant, taken: usize) -> Instant {
    let earned = Duration::from_millis(u64::try_from(taken).unwrap_or(u64::MAX).saturating_mul(1_000) / SLOWEST);
    (deadline + earned.min(WRITE_TIMEOUT)).min(now + WRITE_TIMEOUT)
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, bytes.len(), result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ending.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        self.throw_away(context).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.written(context, pieces.iter().map(|piece| piece.len()).sum(), result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    async fn pair() -> (TcpStream, Lingering) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, Lingering::new(listener.accept().await.unwrap().0, Unread::default()))
    }

    #[tokio::test]
    async fn an_answer_reaches_a_client_that_still_sends() {
        let (mut client, mut server) = pair().await;
        let mut ending = JoinSet::new();
        // More than the buffers between the two hold, so that the client is still at it when the answer goes out.
        let body = vec![b'x'; 8 * 1024 * 1024];
        client.write_all(&body[..100]).await.unwrap();
        server.write_all(b"refused").await.unwrap();
        ending.spawn(async move { server.shutdown().await });
        client.write_all(&body).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"refused");
        ending.join_next().await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_answer_reaches_a_client_that_sends_in_pieces() {
        let (mut client, mut server) = pair().await;
        server.unread.set(true);
        let mut ending = JoinSet::new();
        server.write_all(b"refused").await.unwrap();
        ending.spawn(async move { server.shutdown().await });
        let mut answer = Vec::new();
        // Nothing is on its way when the connection ends, and more comes then.
        client.read_to_end(&mut answer).await.unwrap();
        for _ in 0..4 {
            client.write_all(&vec![b'x'; 1024 * 1024]).await.unwrap();
        }
        client.shutdown().await.unwrap();
        assert_eq!(answer, b"refused");
        ending.join_next().await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_more_is_not_waited_for_long() {
        let (_client, mut server) = pair().await;
        server.unread.set(true);
        tokio::time::pause();
        let before = Instant::now();
        server.shutdown().await.unwrap();
        assert!(before.elapsed() >= PAUSE && before.elapsed() < PATIENCE);
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_comes_ends_at_once() {
        let (_client, mut server) = pair().await;
        tokio::time::pause();
        let before = Instant::now();
        server.shutdown().await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_given_up() {
        let (client, mut server) = pair().await;
        tokio::time::pause();
        let before = Instant::now();
        let error = server.write_all(&vec![b'x'; 64 * 1024 * 1024]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(before.elapsed() >= WRITE_TIMEOUT);
        drop(client);
    }

    #[tokio::test]
    async fn a_client_that_reads_gets_all() {
        let (mut client, mut server) = pair().await;
        let mut sending = JoinSet::new();
        sending.spawn(async move { server.write_all(&vec![b'x'; 32 * 1024 * 1024]).await });
        let mut piece = vec![0; 1024 * 1024];
        let mut came = 0;
        while came < 32 * 1024 * 1024 {
            came += client.read(&mut piece).await.unwrap();
        }
        sending.join_next().await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_a_client_takes_pushes_its_deadline_back() {
        let now = Instant::now();
        let (soon, second) = (now + Duration::from_secs(3), Duration::from_secs(1));
        assert_eq!(pushed_back(soon, now, 0), soon);
        assert_eq!(pushed_back(soon, now, SLOWEST as usize), soon + second);
        // A byte now and then does not hold a connection for ever, and a lot at once earns no more than the whole.
        assert!(pushed_back(soon, now, 1) <= soon + Duration::from_millis(1));
        assert_eq!(pushed_back(soon, now, 1 << 30), now + WRITE_TIMEOUT);
    }

    #[tokio::test]
    async fn a_client_that_sends_for_ever_is_cut_off() {
        let (mut client, mut server) = pair().await;
        let mut ending = JoinSet::new();
        ending.spawn(async move { server.shutdown().await });
        let body = vec![b'x'; 1024 * 1024];
        while client.write_all(&body).await.is_ok() {}
        ending.join_next().await.unwrap().unwrap().unwrap();
    }
}
