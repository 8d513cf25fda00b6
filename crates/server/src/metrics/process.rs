//! The process: memory, files, processor time, tasks, how long it runs and what it is.
//!
//! What only the system knows is asked by a function that the app hands in; the runtime is asked here.

use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use gateway_domain::Tick;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::runtime::Handle;

use super::level;
use crate::clock;

/// What the system knows of this process; nothing where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Bytes of memory in use.
    pub memory: Option<usize>,
    /// Files and sockets that are open.
    pub open_files: Option<usize>,
    /// How many may be.
    pub open_files_limit: Option<usize>,
    /// Processor time so far.
    pub cpu: Option<Duration>,
}

/// Asks the system.
pub type Probe = Arc<dyn Fn() -> Usage + Send + Sync>;

/// What is told of the process.
#[derive(Default)]
pub struct Process {
    probe: OnceLock<Probe>,
    began: OnceLock<Tick>,
    memory: Gauge,
    open_files: Gauge,
    open_files_limit: Gauge,
    cpu: Seconds,
    uptime: Gauge<f64, AtomicU64>,
    tasks: Gauge,
    workers: Gauge,
    busy: Seconds,
    build: Family<Build, Gauge>,
}

type Seconds = Counter<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

impl Process {
    /// From now on the system is asked by that.
    pub fn ask(&self, probe: Probe) {
        // There is one, and it is given once.
        let _ = self.probe.set(probe);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("memory_bytes", "Resident memory", self.memory.clone());
        registry.register("open_files", "Files and sockets that are open", self.open_files.clone());
        registry.register("open_files_limit", "Files and sockets that may be open", self.open_files_limit.clone());
        registry.register("cpu_seconds", "Processor time of the process", self.cpu.clone());
        registry.register("uptime_seconds", "Since the process began", self.uptime.clone());
        registry.register("tasks", "Tasks of the runtime that are alive", self.tasks.clone());
        registry.register("workers", "Threads that run tasks", self.workers.clone());
        registry.register("worker_busy_seconds", "Time that workers spent on tasks, added up", self.busy.clone());
        registry.register("build_info", "Which version this is", self.build.clone());
        self.build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        let _ = self.began.set(clock::tick());
    }

    pub(super) fn read(&self) {
        let now = clock::tick();
        self.uptime.set(now.since(*self.began.get_or_init(|| now)).as_secs_f64());
        let usage = self.probe.get().map(|probe| probe()).unwrap_or_default();
        for (gauge, told) in [
            (&self.memory, usage.memory),
            (&self.open_files, usage.open_files),
            (&self.open_files_limit, usage.open_files_limit),
        ] {
            if let Some(told) = told {
                level(gauge, told);
            }
        }
        if let Some(cpu) = usage.cpu {
            raise(&self.cpu, cpu);
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let runtime = runtime.metrics();
        level(&self.tasks, runtime.num_alive_tasks());
        level(&self.workers, runtime.num_workers());
        #[cfg(target_has_atomic = "64")]
        raise(&self.busy, (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum());
    }
}

/// A sum that is told from outside only grows.
fn raise(counter: &Seconds, sum: Duration) {
    let more = sum.as_secs_f64() - counter.get();
    if more > 0.0 {
        counter.inc_by(more);
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}
