//! How many megabytes of diff are parsed a second: `cargo bench -p review --bench diff_parse [-- a.diff]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{error::Error, fmt::Write, hint::black_box, time::Instant};

use bytes::Bytes;
use review::diff::Diff;

/// Size of the synthetic diff, in bytes.
const SYNTHETIC_BYTES: usize = 50_000_000;

/// Runs of which the best counts, since a busy machine only ever slows one down.
const RUNS: usize = 7;

const HUNKS_PER_FILE: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    measure("synthetic", &synthetic()?.into())?;
    // Cargo passes flags of its own along.
    for path in std::env::args().skip(1).filter(|a| !a.starts_with('-')) {
        measure(&path, &std::fs::read(&path)?.into())?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure(name: &str, raw: &Bytes) -> Result<(), Box<dyn Error>> {
    let mut best = f64::MAX;
    let (mut files, mut lines) = (0, 0);
    for _ in 0..RUNS {
        let start = Instant::now();
        let diff = Diff::parse(black_box(raw.clone()))?;
        best = best.min(start.elapsed().as_secs_f64());
        (files, lines) = (diff.files.len(), diff.files.iter().map(|f| f.lines().count()).sum());
        black_box(diff);
    }
    let megabytes = raw.len() as f64 / 1e6;
    println!("{name}: {megabytes:.1} MB, {files} files, {lines} lines: {:.0} MB/s", megabytes / best);
    Ok(())
}

fn synthetic() -> Result<String, std::fmt::Error> {
    let mut out = String::with_capacity(SYNTHETIC_BYTES + 4096);
    let mut n = 0usize;
    while out.len() < SYNTHETIC_BYTES {
        n += 1;
        write!(out, "diff --git a/src/m{n}.rs b/src/m{n}.rs\nindex 1111111..2222222 100644\n")?;
        write!(out, "--- a/src/m{n}.rs\n+++ b/src/m{n}.rs\n")?;
        for hunk in 0..HUNKS_PER_FILE {
            let start = hunk * 100 + 1;
            writeln!(out, "@@ -{start},8 +{start},8 @@ fn handler_{hunk}() {{")?;
            for line in 0..3 {
                writeln!(out, "     let context_{line} = self.load(request, {n})?;")?;
            }
            for line in 0..2 {
                writeln!(
                    out,
                    "-    let value_{line} = old(context, {n});\n+    let value_{line} = renewed(&context, {n})?;"
                )?;
            }
            out.push_str(" \n     }\n }\n");
        }
    }
    Ok(out)
}
