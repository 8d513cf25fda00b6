//! What the machine gives to a process: open files, the queue of newcomers, tracked connections, memory.

use std::fs;

use gateway_transport::listener::BACKLOG;
use rustix::process::{Resource, getrlimit};

use super::finding::Report;
use crate::config::Config;

/// Files that a gateway has open beside its connections: listeners, books, key sets, webhooks.
const BESIDE: u64 = 64;
/// Fewer open files than this are a default that nobody chose for a server.
const FEW_FILES: u64 = 4_096;
/// What an idle connection takes, with room for what is on its way: see docs/performance.md for what was measured.
const BYTES_OF_CONNECTION: u64 = 16 << 10;
/// Fewer places than this for connections that nobody accepted yet are fewer than today's kernels give by themselves.
const FEW_PLACES: u64 = 4_096;

/// Looks at all of it; without a configuration, at what needs none.
pub(super) fn look(config: Option<&Config>, open_files: u64, report: &mut Report) {
    let most = config.and_then(|config| config.limits.connections.in_force(open_files)).map(u64::from);
    let hard = getrlimit(Resource::Nofile).maximum;
    files(open_files, hard, most, report);
    let kernel = |name: &str| number(&format!("/proc/sys/net/{name}"));
    backlog(kernel("core/somaxconn"), report);
    tracked(kernel("netfilter/nf_conntrack_max"), most, report);
    memory(room(), most, report);
    if rustix::process::getuid().is_root() {
        let what = "this runs as root, who may read and write everything: rights to files cannot be judged";
        report.note("user", what, "Run it again as the user that the gateway runs as");
    }
}

fn files(open: u64, hard: Option<u64>, most: Option<u64>, report: &mut Report) {
    let holds = most.map_or_else(|| "any number of".to_owned(), |most| most.to_string());
    let what = format!("{open} files may be open, and the node holds {holds} connections");
    let raise = "LimitNOFILE=65536 in a unit of systemd, --ulimit nofile=65536:65536 for a container";
    if most.is_some_and(|most| most.saturating_add(BESIDE) > open) {
        let what = format!("{what}: those beyond the limit would fail when they are accepted");
        report.change("open files", what, format!("Raise the limit ({raise}), or lower limits.connections"));
    } else if open < FEW_FILES {
        let shell =
            hard.filter(|hard| *hard > open).map_or_else(String::new, |hard| format!("; here: ulimit -n {hard}"));
        report.note("open files", what, format!("Raise the limit before it is needed: {raise}{shell}"));
    } else {
        report.fine("open files", what);
    }
}

fn backlog(most: Option<u64>, report: &mut Report) {
    match most {
        Some(most) if most < FEW_PLACES => report.note(
            "kernel",
            format!("net.core.somaxconn is {most}: when all come back at once, more are turned away by the kernel"),
            format!("sysctl -w net.core.somaxconn={BACKLOG}, and the same in /etc/sysctl.d"),
        ),
        Some(most) => report.fine("kernel", format!("{most} newcomers may wait to be accepted")),
        // In a container it may be hidden.
        None => {}
    }
}

fn tracked(table: Option<u64>, most: Option<u64>, report: &mut Report) {
    if let (Some(table), Some(most)) = (table, most)
        && table < most.saturating_mul(2)
    {
        let what = format!("the firewall tracks {table} connections, and the node holds {most}");
        let remedy = format!("sysctl -w net.netfilter.nf_conntrack_max={}", most.saturating_mul(2));
        report.note("kernel", what, remedy);
    }
}

fn memory(room: Option<u64>, most: Option<u64>, report: &mut Report) {
    let (Some(room), Some(most)) = (room, most) else { return };
    let wanted = most.saturating_mul(BYTES_OF_CONNECTION);
    let mib = |bytes: u64| bytes >> 20;
    let what = format!("{} MiB for {most} idle connections, of {} MiB that there are", mib(wanted), mib(room));
    if wanted > room / 2 {
        let remedy = "Lower limits.connections, or give it more; outboxes and histories come on top of it";
        report.note("memory", what, remedy);
    } else {
        report.fine("memory", what);
    }
}

/// The memory of the container, or of the machine.
fn room() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let container = number("/sys/fs/cgroup/memory.max");
    [machine, container].into_iter().flatten().min()
}

fn number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    fn judged(look: impl FnOnce(&mut Report)) -> Vec<Verdict> {
        let mut report = Report::default();
        look(&mut report);
        report.findings().iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn open_files_must_do_for_the_connections() {
        assert_eq!(judged(|report| files(65_536, None, Some(58_982), report)), [Verdict::Fine]);
        assert_eq!(judged(|report| files(1_024, Some(4_096), Some(921), report)), [Verdict::Note]);
        assert_eq!(judged(|report| files(65_536, None, Some(65_500), report)), [Verdict::Change]);
        assert_eq!(judged(|report| files(65_536, None, None, report)), [Verdict::Fine]);
    }

    #[test]
    fn the_kernel_and_the_memory_are_compared_with_the_connections() {
        assert_eq!(judged(|report| backlog(Some(128), report)), [Verdict::Note]);
        assert_eq!(judged(|report| backlog(Some(4_096), report)), [Verdict::Fine]);
        assert_eq!(judged(|report| backlog(None, report)), []);
        assert_eq!(judged(|report| tracked(Some(1_000), Some(900), report)), [Verdict::Note]);
        assert_eq!(judged(|report| tracked(Some(262_144), Some(900), report)), []);
        assert_eq!(judged(|report| memory(Some(1 << 30), Some(60_000), report)), [Verdict::Note]);
        assert_eq!(judged(|report| memory(Some(8 << 30), Some(60_000), report)), [Verdict::Fine]);
    }
}
