//! Whatever a model writes is an answer or an error, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = review::parse_answer_text(text);
});
