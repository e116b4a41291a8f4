//! Trying the addresses of a receiver until one takes the connection (Happy Eyeballs; RFC 8305, 5).

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

/// How long an address is tried alone before the next one is tried beside it, at most and at least.
const MAX_HEAD_START: Duration = Duration::from_millis(250);
const MIN_HEAD_START: Duration = Duration::from_millis(10);

/// Dials the addresses in order, each after a head start of the one before it or as soon as that one has failed, and returns the
/// first connection. All of them get their turn before the deadline; those that lose are dropped.
///
/// # Errors
/// Returns the last failure, or a timeout at the deadline.
pub(super) async fn first_connected<T, F>(
    addresses: &[IpAddr],
    deadline: Instant,
    dial: impl Fn(IpAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let head_start = head_start(deadline, addresses.len());
    let mut waiting = addresses.iter();
    let mut dialling = FuturesUnordered::new();
    let mut next_at = Instant::now();
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if Instant::now() >= next_at
            && let Some(address) = waiting.next()
        {
            dialling.push(dial(*address));
            next_at = Instant::now() + head_start;
        }
        if dialling.is_empty() {
            return Err(last_error);
        }
        let wake_at = if waiting.len() == 0 { deadline } else { next_at.min(deadline) };
        tokio::select! {
            biased;
            Some(dialled) = dialling.next() => match dialled {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    last_error = error;
                    next_at = Instant::now();
                }
            },
            () = sleep_until(wake_at) => {
                if Instant::now() >= deadline {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }
}

fn head_start(deadline: Instant, addresses: usize) -> Duration {
    let share =
        deadline.saturating_duration_since(Instant::now()) / u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    share.clamp(MIN_HEAD_START, MAX_HEAD_START)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::pending;

    use tokio::time::timeout;

    use super::*;

    /// Lets the paused time pass.
    async fn pass(time: Duration) {
        let _ = timeout(time, pending::<()>()).await;
    }

    /// What an address does when it is dialled.
    #[derive(Clone, Copy)]
    enum Manner {
        Connects(u64),
        Refuses(u64),
        Hangs,
    }
    use Manner::{Connects, Hangs, Refuses};

    /// Dials addresses with these manners. Returns which one connected, when each was dialled, and how long it took (ms).
    async fn race(manners: &[Manner], budget: u64) -> (io::Result<usize>, Vec<(usize, u128)>, u128) {
        let addresses: Vec<IpAddr> = (0..manners.len()).map(|index| IpAddr::from([192, 0, 2, index as u8])).collect();
        let started = Instant::now();
        let dialled = RefCell::new(Vec::new());
        let dial = |address: IpAddr| {
            let index = addresses.iter().position(|other| *other == address).unwrap();
            dialled.borrow_mut().push((index, started.elapsed().as_millis()));
            async move {
                match manners[index] {
                    Connects(after) => pass(Duration::from_millis(after)).await,
                    Refuses(after) => {
                        pass(Duration::from_millis(after)).await;
                        return Err(io::ErrorKind::ConnectionRefused.into());
                    }
                    Hangs => pending().await,
                }
                Ok(index)
            }
        };
        let deadline = started + Duration::from_millis(budget);
        let connected = first_connected(&addresses, deadline, dial).await;
        (connected, dialled.into_inner(), started.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_address_is_tried_beside_one_that_hangs() {
        let (connected, dialled, took) = race(&[Hangs, Connects(20), Connects(1)], 5_000).await;
        assert_eq!((connected.unwrap(), dialled, took), (1, vec![(0, 0), (1, 250)], 270));
        let (connected, dialled, took) = race(&[Connects(300), Connects(100)], 5_000).await;
        assert_eq!(
            (connected.unwrap(), dialled, took),
            (0, vec![(0, 0), (1, 250)], 300),
            "the slower one may still win"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_address_is_tried_as_soon_as_one_fails() {
        let (connected, dialled, took) = race(&[Refuses(0), Refuses(30), Connects(5)], 5_000).await;
        assert_eq!((connected.unwrap(), dialled, took), (2, vec![(0, 0), (1, 0), (2, 30)], 35));
        let (connected, _, took) = race(&[Refuses(10), Refuses(10)], 5_000).await;
        assert_eq!((connected.unwrap_err().kind(), took), (io::ErrorKind::ConnectionRefused, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn every_address_gets_its_turn_within_the_budget() {
        let (connected, dialled, took) = race(&[Hangs, Hangs, Hangs, Connects(50)], 400).await;
        assert_eq!((connected.unwrap(), dialled.len(), took), (3, 4, 350));
        let (connected, dialled, took) = race(&[Hangs; 8], 1_000).await;
        assert_eq!((connected.unwrap_err().kind(), dialled.len(), took), (io::ErrorKind::TimedOut, 8, 1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn without_addresses_there_is_no_connection() {
        assert_eq!(race(&[], 1_000).await.0.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
