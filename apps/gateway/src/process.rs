//! What the system knows of this process, for the metrics. Where a system does not say, nothing is told.

use std::{fs, sync::Arc, time::Duration};

use gateway_server::metrics::{Probe, Usage};
use rustix::time::{ClockId, clock_gettime};

use crate::compose::open_files;

/// Asks the system.
pub fn probe() -> Probe {
    Arc::new(usage)
}

fn usage() -> Usage {
    Usage {
        memory: fs::read_to_string("/proc/self/status").ok().and_then(|status| resident(&status)),
        open_files: opened(),
        open_files_limit: usize::try_from(open_files()).ok().filter(|most| *most < usize::MAX),
        cpu: cpu(),
    }
}

/// The bytes that `VmRSS` tells in kibibytes.
fn resident(status: &str) -> Option<usize> {
    let told = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = told.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Newer systems tell the number as the size of the folder; elsewhere its entries are counted.
fn opened() -> Option<usize> {
    const FOLDER: &str = "/proc/self/fd";
    let told = fs::metadata(FOLDER).ok().and_then(|folder| usize::try_from(folder.len()).ok());
    // The folder itself is open while it is read.
    told.filter(|count| *count > 0).or_else(|| Some(fs::read_dir(FOLDER).ok()?.count().saturating_sub(1)))
}

fn cpu() -> Option<Duration> {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(spent.tv_sec).ok()?, u32::try_from(spent.tv_nsec).ok()?);
    Some(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident("VmPeak:\t  9 kB\nVmRSS:\t   12 kB\n"), Some(12_288));
        assert_eq!(resident("VmPeak:\t  9 kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_is_opened_is_counted_and_work_takes_time() {
        let before = usage();
        let held: Vec<_> = (0..100).filter_map(|_| fs::File::open("/proc/self/status").ok()).collect();
        let mut sum = 0_u64;
        while cpu().unwrap() - before.cpu.unwrap() < Duration::from_millis(5) {
            sum = std::hint::black_box(sum + 1);
        }
        // Other tests of this process close files meanwhile, but not so many.
        assert!(usage().open_files.unwrap() > before.open_files.unwrap() + 50, "{before:?}");
        assert!(before.memory.unwrap() > 1 << 20 && before.open_files_limit.unwrap() > held.len());
    }
}
