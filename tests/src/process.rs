//! What the system says of a process: its threads, its open files, its memory.

use std::{fs, time::Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files a process has open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// How much memory of a process is resident, in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

/// How long the threads of a process have run so far, in microseconds; those that ended apart.
pub fn cpu_micros(pid: u32) -> u64 {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let line = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        total += line.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or_default();
    }
    total / 1000
}

/// Lets this process, and those that it starts from now on, open more files, as far as the system lets it.
pub fn allow_open_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted.min(most)), maximum: limit.maximum });
        raised.expect("a soft limit may be raised to the hard one");
    }
}

/// A watch that runs from now on, for the bounds that the requirements give.
#[allow(clippy::disallowed_methods, reason = "a harness measures real time")]
pub fn stopwatch() -> Instant {
    Instant::now()
}
