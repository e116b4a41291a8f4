//! One keep-alive connection with its buffer: messages out, whole messages in.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wire::{self, Frame};

const FIRST_BUFFER: usize = 8 * 1024;

/// A connection on which one side speaks after the other.
pub struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How much of the buffer is filled.
    filled: usize,
    /// How much of it the last message took; dropped before the next is read.
    taken: usize,
}

impl Link {
    /// Dials `address`.
    pub async fn dial(address: SocketAddr) -> Result<Self> {
        Self::over(TcpStream::connect(address).await?)
    }

    /// Takes over an accepted connection.
    pub fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Link { stream, buffer: vec![0; FIRST_BUFFER], filled: 0, taken: 0 })
    }

    /// Sends all of `bytes`.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads the next message; `None` where the other side closed between two messages.
    pub async fn receive(&mut self) -> Result<Option<Frame>> {
        self.drop_taken();
        loop {
            if let Some(frame) = wire::frame(&self.buffer[..self.filled]).map_err(Error::other)? {
                self.fill_to(frame.whole()).await?;
                self.taken = frame.whole();
                return Ok(Some(frame));
            }
            if self.read_some().await? == 0 {
                return if self.filled == 0 { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The message that [`Link::receive`] returned last, head and body.
    pub fn message(&self) -> &[u8] {
        &self.buffer[..self.taken]
    }

    fn drop_taken(&mut self) {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
    }

    async fn fill_to(&mut self, length: usize) -> Result<()> {
        while self.filled < length {
            if self.read_some().await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    async fn read_some(&mut self) -> Result<usize> {
        if self.filled == self.buffer.len() {
            // Bounded by the limits of wire::frame: a message is refused before the buffer outgrows it twice.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
        self.filled += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn pair() -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link::dial(listener.local_addr().unwrap()).await.unwrap();
        (link, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn reads_messages_that_come_together_and_in_pieces() {
        let (mut link, mut other) = pair().await;
        let big = format!("POST /b HTTP/1.1\r\ncontent-length: 20000\r\n\r\n{}", "y".repeat(20_000));
        let sent = format!("POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi{big}");
        let write = async move {
            for piece in sent.as_bytes().chunks(7_001) {
                other.write_all(piece).await.unwrap();
            }
        };
        let read = async {
            let first = link.receive().await.unwrap().unwrap();
            assert_eq!(&link.message()[first.head..], b"hi");
            link.receive().await.unwrap().unwrap();
            assert_eq!(link.message(), big.as_bytes());
        };
        tokio::join!(write, read);
        assert_eq!(link.receive().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_message_that_breaks_off_is_an_error() {
        let (mut link, mut other) = pair().await;
        other.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
        drop(other);
        assert_eq!(link.receive().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
