//! The stream under a connection, with habits that HTTP alone does not have.
//!
//! A receiver may answer early and close while the request is still being written; the answer is then there to be
//! read, though writing fails. A connection that is given up ends at once, whoever still waits for it. It notes whether
//! anything has come from the receiver since a request began, and fails once too much has. And it writes the names of a
//! request's headers as they are to be written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use fanfare_engine::spelling::Spelling;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::budget::{Flood, FrameBudget, Meter};

/// Pieces that are written at once where the head is one of them; more wait for the next time.
const MAX_SLICES: usize = 8;

/// Cuts a line when it is dropped.
pub(super) struct Cutter(Arc<Cut>);

#[derive(Default)]
struct Cut {
    done: AtomicBool,
    /// One task drives a connection, so that one waker is enough.
    waiting: AtomicWaker,
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
        self.0.waiting.wake();
    }
}

/// What goes over a line, for whoever sends requests over it.
#[derive(Default)]
pub(super) struct Traffic {
    /// Bytes that have come since the request began.
    received: AtomicUsize,
    /// Whether the head of its answer has come.
    answered: AtomicBool,
    /// How the names in the request's head are written, until they are.
    spelling: Mutex<Option<Spelling>>,
    /// What an HTTP/2 receiver may still send.
    pub(super) frames: FrameBudget,
}

impl Traffic {
    /// A request begins over HTTP/1.1: nothing that comes before its answer is meant for it.
    pub(super) fn begin(&self, spelling: &Spelling) {
        self.received.store(0, Ordering::Relaxed);
        self.answered.store(false, Ordering::Relaxed);
        *self.spelling.lock() = Some(spelling.clone());
    }

    /// The head of the answer has come: what follows is its body.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Whether a byte has come since the request began.
    pub(super) fn has_received(&self) -> bool {
        self.received.load(Ordering::Relaxed) > 0
    }
}

/// The head of a request, with its names as they are to be written.
struct Head {
    bytes: Vec<u8>,
    written: usize,
}

impl Head {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

/// See the module.
pub(super) struct Line<S> {
    stream: S,
    write_failed: bool,
    head: Option<Head>,
    meter: Meter,
    traffic: Arc<Traffic>,
    cut: Arc<Cut>,
}

impl<S> Line<S> {
    pub(super) fn new(stream: S, meter: Meter) -> (Line<S>, Arc<Traffic>, Cutter) {
        let (traffic, cut) = (Arc::new(Traffic::default()), Arc::new(Cut::default()));
        let line = Line { stream, write_failed: false, head: None, meter, traffic: traffic.clone(), cut: cut.clone() };
        (line, traffic, Cutter(cut))
    }

    fn check_cut(&self) -> io::Result<()> {
        if self.cut.done.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Has the task woken when the line is cut, and sees that it was not cut meanwhile.
    fn wait<T>(&self, cx: &Context<'_>) -> Poll<io::Result<T>> {
        self.cut.waiting.register(cx.waker());
        match self.check_cut() {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Takes a write that failed because the other side is gone for done: what it still said decides.
    fn forgive<T>(&mut self, result: io::Result<T>, done: T) -> io::Result<T> {
        match result {
            Err(error) if is_other_side_gone(&error) => {
                self.write_failed = true;
                Ok(done)
            }
            other => other,
        }
    }

    /// Takes note of what has come.
    fn count(&mut self, bytes: &[u8]) -> Result<(), Flood> {
        match &mut self.meter {
            Meter::Http2(frames) => self.traffic.frames.spend(frames.read(bytes)),
            Meter::Http1(interims) => {
                let before = self.traffic.received.fetch_add(bytes.len(), Ordering::Relaxed);
                if self.traffic.answered.load(Ordering::Relaxed) { Ok(()) } else { interims.read(before, bytes) }
            }
        }
    }

    /// Writes the names in the head that begins here, where that is to be done. hyper writes a head in one piece.
    fn spell(&mut self, piece: &[u8]) {
        if let Some(spelling) = self.traffic.spelling.lock().take() {
            let mut bytes = piece.to_vec();
            spelling.apply(&mut bytes);
            self.head = Some(Head { bytes, written: 0 });
        }
    }

    /// So much of what was to be written is written, or forgiven.
    fn wrote(&mut self, written: &io::Result<usize>) {
        if let (Some(head), Ok(count)) = (&mut self.head, written) {
            head.written += count;
            if head.written >= head.bytes.len() {
                self.head = None;
            }
        }
    }
}

fn is_other_side_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_cut()?;
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.wait(cx),
            Poll::Ready(result) => {
                let counted = self.count(&buffer.filled()[before..]);
                Poll::Ready(result.and(counted.map_err(|flood| io::Error::new(io::ErrorKind::InvalidData, flood))))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = &mut *self;
        line.check_cut()?;
        let total = slices.iter().map(|slice| slice.len()).sum();
        if line.write_failed {
            return Poll::Ready(Ok(total));
        }
        if let Some(first) = slices.first() {
            line.spell(first);
        }
        let mut spelled = [io::IoSlice::new(&[]); MAX_SLICES];
        let slices = match &line.head {
            Some(head) => with_head(head.rest(), slices, &mut spelled),
            None => slices,
        };
        let stream = Pin::new(&mut line.stream);
        let polled = match slices {
            [only] => stream.poll_write(cx, only),
            several => stream.poll_write_vectored(cx, several),
        };
        match polled {
            Poll::Pending => line.wait(cx),
            Poll::Ready(result) => {
                let result = line.forgive(result, total);
                line.wrote(&result);
                Poll::Ready(result)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_cut()?;
        if self.write_failed {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => self.wait(cx),
            Poll::Ready(result) => Poll::Ready(self.forgive(result, ())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_cut()?;
        if self.write_failed {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        Poll::Ready(self.forgive(result, ()))
    }
}

/// What is to be written, with `head` in place of as many bytes at its beginning.
fn with_head<'a>(
    head: &'a [u8],
    slices: &'a [io::IoSlice<'a>],
    room: &'a mut [io::IoSlice<'a>; MAX_SLICES],
) -> &'a [io::IoSlice<'a>] {
    let (first, others) = slices.split_first().map_or((&[][..], &[][..]), |(first, others)| (&first[..], others));
    let after = first.get(head.len()..).unwrap_or_default();
    let all = [head, after].into_iter().chain(others.iter().map(|slice| &slice[..]));
    let mut used = 0;
    for (to, from) in room.iter_mut().zip(all.filter(|slice| !slice.is_empty())) {
        *to = io::IoSlice::new(from);
        used += 1;
    }
    &room[..used]
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::delivery::budget::Interims;

    fn line<S>(stream: S) -> (Line<S>, Arc<Traffic>, Cutter) {
        Line::new(stream, Meter::Http1(Interims::default()))
    }

    /// Says "end" to who reads, and fails whatever is written.
    struct Closing(&'static [u8]);

    impl AsyncRead for Closing {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            buffer.put_slice(std::mem::take(&mut self.0));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Closing {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
        }
    }

    #[tokio::test]
    async fn what_was_said_is_read_though_writing_fails() {
        let (mut line, traffic, _cutter) = line(Closing(b"end"));
        line.write_all(b"much").await.unwrap();
        line.write_all_buf(&mut &b"more"[..]).await.unwrap();
        line.flush().await.unwrap();
        assert!(!traffic.has_received());
        let mut said = String::new();
        line.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "end");
        assert!(traffic.has_received());
        traffic.begin(&Spelling::default());
        assert!(!traffic.has_received());
    }

    #[tokio::test]
    async fn a_cut_line_ends_whoever_waits() {
        let (stream, _other) = tokio::io::duplex(1);
        let (mut line, _, cutter) = line(stream);
        // The first is polled first, so that it waits when the second cuts.
        let (read, ()) = tokio::join!(line.read_u8(), async { drop(cutter) });
        let written = line.write_all(b"y").await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn names_are_written_as_they_are_to_be_however_little_is_taken_at_once() {
        const HEAD: &[u8] = b"POST / HTTP/1.1\r\nWebhook-Id: Webhook-Id: 1\r\n\r\n";
        for room in [1, 7, 30, 1_000] {
            let (stream, mut other) = tokio::io::duplex(room);
            let (mut line, traffic, _cutter) = line(stream);
            let writing = async {
                for _ in 0..2 {
                    traffic.begin(&Spelling::of(["webhook-id"]));
                    let mut slices = [io::IoSlice::new(HEAD), io::IoSlice::new(b"Webhook-Id: body")];
                    let mut left = &mut slices[..];
                    while !left.is_empty() {
                        let written = line.write_vectored(left).await.unwrap();
                        io::IoSlice::advance_slices(&mut left, written);
                    }
                }
                drop(line);
            };
            let mut written = String::new();
            let (read, ()) = tokio::join!(other.read_to_string(&mut written), writing);
            read.unwrap();
            let expected = "POST / HTTP/1.1\r\nwebhook-id: Webhook-Id: 1\r\n\r\nWebhook-Id: body";
            assert_eq!(written, expected.repeat(2), "{room}");
        }
    }
}
