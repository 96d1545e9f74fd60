//! Bodies of messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xc2_analyzer_fuzz::memory::Counting;
use xc2_analyzer_fuzz::notification::{body_of_example, check};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check(&body_of_example(text));
    }
});
