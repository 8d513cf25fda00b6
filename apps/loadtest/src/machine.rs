//! What this machine gives: processors to be pinned to, files that may be open, and what a process has used.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::{
    process::{Resource, getrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// Files that are open besides the sockets of clients.
const OTHER_FILES: u64 = 64;
/// A tick of `/proc/PID/stat`: 1/100 s, on every Linux there is.
const TICK: Duration = Duration::from_millis(10);

/// Which processors server and client run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    server: usize,
    client: usize,
}

impl Cores {
    /// Two of those that this process may use, where there are two.
    pub fn found() -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        Some(Self { server: cores.next()?, client: cores.next()? })
    }

    /// Does something on the server's processor: what is started there stays there.
    pub fn on_server<T>(self, work: impl FnOnce() -> T) -> T {
        pin(self.server);
        let done = work();
        pin(self.client);
        done
    }

    /// Does something on both: what is started there goes where the system puts it.
    pub fn on_both<T>(self, work: impl FnOnce() -> T) -> T {
        stay_on(&[self.server, self.client]);
        let done = work();
        pin(self.client);
        done
    }

    /// Goes to the client's processor.
    pub fn take_client(self) {
        pin(self.client);
    }
}

fn pin(core: usize) {
    stay_on(&[core]);
}

fn stay_on(cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    // Where it is not allowed, the figures are noisier, and nothing else.
    let _ = sched_setaffinity(None, &set);
}

/// How many processors there are.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The kernel, as it calls itself.
pub fn system() -> String {
    let version = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", version.trim())
}

/// How many clients there may be.
pub fn most_clients() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX)
}

/// Refuses more clients than files may be open.
pub fn check_open_files(clients: usize) -> Result<()> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    let needed = clients as u64 + OTHER_FILES;
    ensure!(
        needed <= limit,
        "{clients} clients need {needed} open files, and this process may open {limit}: ask for at most {} clients, or \
         raise the limit first (`ulimit -n {needed}`)",
        limit.saturating_sub(OTHER_FILES)
    );
    Ok(())
}

/// The processor time that a process has used, all its threads together.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let times: Option<Vec<u64>> = tasks.flatten().map(|task| on_processor(&task.path())).collect();
    match times {
        Some(nanos) if !nanos.is_empty() => Some(Duration::from_nanos(nanos.iter().sum())),
        // A kernel without schedstat, or a thread that has just ended.
        _ => coarse_cpu_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?),
    }
}

fn on_processor(task: &Path) -> Option<u64> {
    fs::read_to_string(task.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
}

/// User and system time in a line of `/proc/PID/stat`.
fn coarse_cpu_time(stat: &str) -> Option<Duration> {
    // The name of the program stands in parentheses, and may hold spaces.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(TICK * user.saturating_add(system))
}

/// The memory that a process has in use, in KiB.
pub fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Sees that a process is there before anything is measured by its id.
pub fn check_process(pid: u32) -> Result<()> {
    cpu_time(pid).map(drop).with_context(|| {
        format!("there is no process {pid} whose processor time can be read: give the gateway's own with --pid")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_hides_no_times() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 5 0 12345 1000 200";
        assert_eq!(coarse_cpu_time(stat), Some(Duration::from_secs(2)));
        assert_eq!(coarse_cpu_time("42"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let pid = std::process::id();
        assert!(cpu_time(pid).unwrap() > Duration::ZERO);
        assert!(resident_kib(pid).unwrap() > 100);
        check_process(pid).unwrap();
        assert!(check_process(u32::MAX).unwrap_err().to_string().contains("--pid"));
    }

    #[test]
    fn more_clients_than_open_files_are_refused_kindly() {
        check_open_files(1).unwrap();
        if getrlimit(Resource::Nofile).current.is_some() {
            let refused = check_open_files(1 << 40).unwrap_err().to_string();
            assert!(refused.contains("ulimit -n") && refused.contains("at most"), "{refused}");
        }
    }
}
