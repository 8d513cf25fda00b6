//! How large a cluster may become, by simulation: members of rooms are put on nodes by chance, and counted is what one Redis
//! has to do for it. The costs are those that `measure` found (see `docs/cluster.md`); change them for your own machine.
#![allow(clippy::print_stdout, reason = "a tool for a terminal")]

/// Connections of one node.
const CONNECTIONS_A_NODE: u64 = 50_000;
/// Processor time of Redis (us): for a post that a room remembers, for one that it does not, for each node that hears
/// it, for a seat, for a knock, for a beat, and for each node that a beat tells of.
const REMEMBERED: f64 = 25.0;
const FORGOTTEN: f64 = 6.4;
const HEARD: f64 = 0.4;
const SEAT: f64 = 10.0;
const KNOCK: f64 = 8.0;
const BEAT: f64 = 31.0;
const BEAT_TELLS: f64 = 0.25;
/// Bytes of Redis for a seat with all that hangs on it, and of an event on the wire with what the link adds.
const SEAT_BYTES: u64 = 340;
const EVENT_BYTES: f64 = 600.0;
/// How much of its one thread Redis should be busy at most, and how much it may send (bytes a second: 10 Gbit/s).
const BUSY: f64 = 0.7;
const SENDS: f64 = 1.25e9;
/// In which time everybody comes again after all nodes went away.
const COMES_AGAIN_IN: f64 = 300.0;
const DRAWS: usize = 200;

struct Chance(u64);

impl Chance {
    /// SplitMix64: good enough to put members on nodes, and the same in every run.
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % most
    }

    /// On how many nodes a room of so many members is followed, on average.
    fn nodes_of(&mut self, members: u64, nodes: u64) -> f64 {
        let mut total = 0;
        for _ in 0..DRAWS {
            let mut on: Vec<u64> = (0..members.min(20_000)).map(|_| self.below(nodes)).collect();
            on.sort_unstable();
            on.dedup();
            total += on.len();
        }
        total as f64 / DRAWS as f64
    }
}

fn main() {
    let mut chance = Chance(7);
    let columns =
        "connections | nodes | memory | beats | all again in 5 min | put back | rooms of 2 | rooms of 100 | one room";
    println!("| {columns} | what ends it |\n|{}", "---|".repeat(10));
    for connections in [10_000, 100_000, 1_000_000, 3_000_000, 10_000_000_u64] {
        let nodes = connections.div_ceil(CONNECTIONS_A_NODE).max(3);
        let beats = nodes as f64 * (BEAT + nodes as f64 * BEAT_TELLS) / 1e6;
        // A handshake knocks for its address and for its user, and takes a seat.
        let again = connections as f64 / COMES_AGAIN_IN * (SEAT + 2.0 * KNOCK) / 1e6;
        let put_back = connections as f64 * SEAT / 1e6;
        let left = (BUSY - beats).max(0.0) * 1e6;
        let mut ends = "";
        let rates = [(2, REMEMBERED), (100, REMEMBERED), (connections, FORGOTTEN)].map(|(members, cost)| {
            let heard = chance.nodes_of(members, nodes);
            let (by_thread, by_wire) = (left / (cost + heard * HEARD), SENDS / (heard * EVENT_BYTES));
            ends = if by_thread < by_wire { "the thread of Redis" } else { "its network" };
            let rate = (by_thread.min(by_wire) / 100.0).round() as u64 * 100;
            format!("{} on {heard:.1}", with_commas(rate))
        });
        println!(
            "| {} | {nodes} | {:.2} GB | {:.1} % | {:.0} % | {put_back:.1} s | {} | {ends} |",
            with_commas(connections),
            (connections * SEAT_BYTES) as f64 / 1e9,
            beats * 100.0,
            again * 100.0,
            rates.join(" | "),
        );
    }
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
