//! Feeds [`entry::engineio`] whatever libFuzzer makes up.
#![no_main]

#[path = "../entry.rs"]
#[allow(dead_code)]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::engineio(data));
