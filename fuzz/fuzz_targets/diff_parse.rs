//! Any bytes are refused or understood: no panic, and every line of an accepted diff can be read and stood on.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use review::diff::{Diff, LineKind};

fuzz_target!(|raw: &[u8]| {
    let Ok(diff) = Diff::parse(Bytes::copy_from_slice(raw)) else { return };
    for file in &diff.files {
        assert!(file.old_path.is_some() || file.new_path.is_some());
        for hunk in &file.hunks {
            let count = |side| hunk.lines.iter().filter(|l| l.kind == side || l.kind == LineKind::Context).count();
            assert_eq!(count(LineKind::Removed), hunk.old_count as usize);
            assert_eq!(count(LineKind::Added), hunk.new_count as usize);
            let _ = diff.section(hunk);
            for line in &hunk.lines {
                let _ = diff.text(line);
                assert_eq!(line.kind != LineKind::Removed, hunk.new_lines().contains(&line.new));
            }
        }
    }
});
