//! Chance that can be called back: the same seed gives the same run, and a failing test names its seed.

use crate::runner;

/// A die.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A die that falls as that seed says.
    pub const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of `GATEWAY_TEST_SEED`, or else the usual one; the run says which.
    pub fn seed_or(usual: u64) -> u64 {
        let seed = runner::number("GATEWAY_TEST_SEED").unwrap_or(usual);
        runner::say(format_args!("seed: GATEWAY_TEST_SEED={seed}"));
        seed
    }

    /// A seed that nobody has chosen.
    pub fn seed() -> u64 {
        uuid::Uuid::new_v4().as_u64_pair().0
    }

    /// Any number (SplitMix64).
    pub const fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below that one.
    pub const fn below(&mut self, bound: usize) -> usize {
        (self.any() % bound as u64) as usize
    }

    /// Whether one in so many comes up.
    pub const fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}
