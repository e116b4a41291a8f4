//! What a process uses: CPU time and memory, from /proc.

/// The kernel's unit of the CPU times in `/proc/PID/stat`: USER_HZ, 100 on every Linux in use.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process uses, and has used since it started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// CPU time in user and system mode, of all its threads, in milliseconds; known to 10 ms.
    pub cpu_ms: f64,
    /// The memory it has resident now, in bytes.
    pub resident_bytes: u64,
    /// The most memory it ever had resident, in bytes.
    pub peak_bytes: u64,
}

/// Reads what process `pid` uses; `None` where there is no such process or no /proc.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let (resident_bytes, peak_bytes) = (bytes(&status, "VmRSS:")?, bytes(&status, "VmHWM:")?);
    Some(Usage { cpu_ms: cpu_ms(&stat)?, resident_bytes, peak_bytes })
}

/// A number of bytes in the unit that memory is reported in.
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn cpu_ms(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
    let fields = stat.rsplit_once(')')?.1;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: f64 = times.next()?.parse().ok()?;
    let system: f64 = times.next()?.parse().ok()?;
    Some((user + system) * 1000.0 / TICKS_PER_SECOND)
}

fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_times_behind_any_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 100 0 0 0 250 150 7 9 20 0 4 0 100 0 0";
        assert_eq!(cpu_ms(stat), Some(4000.0));
        assert_eq!(cpu_ms("42"), None);
    }

    #[test]
    fn reads_amounts_of_memory() {
        let status = "Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t1 kB\n";
        assert_eq!((bytes(status, "VmHWM:"), bytes(status, "VmRSS:")), (Some(2 * 1024 * 1024), Some(1024)));
        assert_eq!(bytes("Name:\tx\n", "VmHWM:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn reads_this_process() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.peak_bytes >= usage.resident_bytes && usage.resident_bytes > 0);
        assert_eq!(super::usage(u32::MAX), None);
    }
}
