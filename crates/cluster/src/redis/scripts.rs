//! What is run inside Redis. Each script is one step for all nodes.

use redis::Cmd;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    Open,
    Beat,
    Seat,
    Leave,
    Members,
    Reap,
    Post,
    Recall,
    Write,
    Knock,
    Spend,
}

/// All of them, in the order of [`Script`].
const SOURCES: [&str; 11] = [
    concat!(include_str!("scripts/generation.lua"), include_str!("scripts/open.lua")),
    concat!(include_str!("scripts/generation.lua"), include_str!("scripts/beat.lua")),
    include_str!("scripts/seat.lua"),
    include_str!("scripts/leave.lua"),
    include_str!("scripts/members.lua"),
    include_str!("scripts/reap.lua"),
    concat!(include_str!("scripts/room.lua"), include_str!("scripts/post.lua")),
    concat!(include_str!("scripts/room.lua"), include_str!("scripts/recall.lua")),
    include_str!("scripts/write.lua"),
    include_str!("scripts/knock.lua"),
    include_str!("scripts/spend.lua"),
];

/// The names under which a Redis keeps them.
#[derive(Clone, Debug)]
pub(crate) struct Scripts {
    hashes: Vec<String>,
}

impl Scripts {
    /// The commands that load them; their answers are the names.
    pub(crate) fn loading() -> redis::Pipeline {
        let mut pipeline = redis::pipe();
        for source in SOURCES {
            pipeline.cmd("SCRIPT").arg("LOAD").arg(source);
        }
        pipeline
    }

    /// Those names.
    pub(crate) fn loaded(answers: &[redis::Value]) -> Option<Self> {
        let hashes: Option<Vec<String>> =
            answers.iter().map(|hash| super::reply::text(hash).map(str::to_owned)).collect();
        hashes.filter(|hashes| hashes.len() == SOURCES.len()).map(|hashes| Self { hashes })
    }

    /// Begins the command that runs one, on these keys.
    pub(crate) fn run(&self, script: Script, keys: &[String]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.hashes.get(script as usize).map_or("", String::as_str)).arg(keys.len()).arg(keys);
        command
    }
}
