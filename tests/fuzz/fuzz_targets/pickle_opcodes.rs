//! Pickles that are made of opcodes that fit, mostly: what the machine does with them, the fast path and the general one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xc2_analyzer_fuzz::decode::{check, limits};
use xc2_analyzer_fuzz::memory::Counting;
use xc2_analyzer_fuzz::opcodes::pickles;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|data: &[u8]| {
    if let Some((&first, rest)) = data.split_first() {
        check(&pickles(rest), &limits(usize::from(first)));
    }
});
