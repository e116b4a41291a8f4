//! How long the disk takes to make a small write durable: without it, rates of durable acknowledgements mean nothing.

use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

const WRITES: usize = 31;

/// The median time of `fdatasync` after appending 4 KiB, in a file made in `directory` and removed again.
pub fn sync_time(directory: &Path) -> Result<Duration> {
    let path = directory.join("sync-probe");
    let measured = measure(&path);
    std::fs::remove_file(&path)?;
    measured
}

fn measure(path: &Path) -> Result<Duration> {
    let mut file = File::create(path)?;
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        file.write_all(&[0x55; 4096])?;
        let before = Instant::now();
        file.sync_data()?;
        times.push(before.elapsed());
    }
    times.sort();
    Ok(times[WRITES / 2])
}
