//! The stream under a connection, with three habits that HTTP alone does not have.
//!
//! A receiver may answer early and close while the request is still being written; the answer is then there to be
//! read, though writing fails. A connection that is given up ends at once, whoever still waits for it. And it knows whether
//! anything has come from the receiver since a request began.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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

/// What goes over a line, for whoever sends requests over it one by one.
#[derive(Default)]
pub(super) struct Traffic {
    received: AtomicBool,
}

impl Traffic {
    /// A request begins: nothing that comes before its response is meant for it.
    pub(super) fn begin(&self) {
        self.received.store(false, Ordering::Relaxed);
    }

    /// Whether a byte has come since the request began.
    pub(super) fn has_received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }
}

/// A stream that reads on where writing fails, and that can be cut.
pub(super) struct Line<S> {
    stream: S,
    write_failed: bool,
    traffic: Arc<Traffic>,
    cut: Arc<Cut>,
}

impl<S> Line<S> {
    pub(super) fn new(stream: S) -> (Line<S>, Arc<Traffic>, Cutter) {
        let (traffic, cut) = (Arc::new(Traffic::default()), Arc::new(Cut::default()));
        (Line { stream, write_failed: false, traffic: traffic.clone(), cut: cut.clone() }, traffic, Cutter(cut))
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
                if buffer.filled().len() > before {
                    self.traffic.received.store(true, Ordering::Relaxed);
                }
                Poll::Ready(result)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_cut()?;
        if self.write_failed {
            return Poll::Ready(Ok(bytes.len()));
        }
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => self.wait(cx),
            Poll::Ready(result) => Poll::Ready(self.forgive(result, bytes.len())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_cut()?;
        let total = || slices.iter().map(|slice| slice.len()).sum();
        if self.write_failed {
            return Poll::Ready(Ok(total()));
        }
        match Pin::new(&mut self.stream).poll_write_vectored(cx, slices) {
            Poll::Pending => self.wait(cx),
            Poll::Ready(result) => Poll::Ready(self.forgive(result, total())),
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

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
        let (mut line, traffic, _cutter) = Line::new(Closing(b"end"));
        line.write_all(b"much").await.unwrap();
        line.write_all_buf(&mut &b"more"[..]).await.unwrap();
        line.flush().await.unwrap();
        assert!(!traffic.has_received());
        let mut said = String::new();
        line.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "end");
        assert!(traffic.has_received());
        traffic.begin();
        assert!(!traffic.has_received());
    }

    #[tokio::test]
    async fn a_cut_line_ends_whoever_waits() {
        let (stream, _other) = tokio::io::duplex(1);
        let (mut line, _, cutter) = Line::new(stream);
        // The first is polled first, so that it waits when the second cuts.
        let (read, ()) = tokio::join!(line.read_u8(), async { drop(cutter) });
        let written = line.write_all(b"y").await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
