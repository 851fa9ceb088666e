//! Generated diffs: whatever files are edited, the parser gives the edit back, and nothing makes it panic.

mod generate;
mod render;

use proptest::prelude::*;

use self::generate::{Edited, edited_files};
use super::{Diff, FileDiff, LineKind};

type Side = Vec<(u32, String, bool)>;

/// What is seen of one side: number, text and whether the file ends there.
fn shown(diff: &Diff, file: &FileDiff, side: LineKind) -> Side {
    let lines = file.lines().filter(|l| l.kind == side || l.kind == LineKind::Context);
    let number = |l: &super::Line| if side == LineKind::Removed { l.old } else { l.new };
    lines.map(|l| (number(l), diff.text(l).into_owned(), l.no_newline)).collect()
}

/// The new side, made from the old one and the diff.
fn apply(diff: &Diff, file: &FileDiff, old: &[String]) -> Vec<String> {
    let (mut new, mut done) = (Vec::new(), 0);
    for line in file.lines() {
        let upto = match line.kind {
            LineKind::Added => done + usize::try_from(line.new).unwrap() - 1 - new.len(),
            _ => usize::try_from(line.old).unwrap() - 1,
        };
        new.extend_from_slice(&old[done..upto]);
        done = upto;
        match line.kind {
            LineKind::Added => new.push(diff.text(line).into_owned()),
            LineKind::Removed => done += 1,
            LineKind::Context => {
                new.push(old[done].clone());
                done += 1;
            }
        }
    }
    new.extend_from_slice(&old[done..]);
    new
}

fn check(diff: &Diff, file: &FileDiff, edited: &Edited) {
    assert_eq!(file.status, edited.status);
    assert_eq!(file.old_path.as_ref(), edited.old_path());
    assert_eq!(file.new_path.as_ref(), edited.new_path());
    let (old, new) = (edited.texts(LineKind::Removed), edited.texts(LineKind::Added));
    for (side, texts) in [(LineKind::Removed, &old), (LineKind::Added, &new)] {
        for (number, text, no_newline) in shown(diff, file, side) {
            let at = usize::try_from(number).unwrap();
            assert_eq!(texts[at - 1], text);
            assert_eq!(no_newline, at == texts.len() && edited.lacks_newline(side));
        }
    }
    assert_eq!(apply(diff, file, &old), new);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_parsed_diff_turns_the_old_side_into_the_new(files in edited_files()) {
        let text: Vec<u8> = files.iter().flat_map(Edited::diff).collect();
        let diff = Diff::parse(text).unwrap();
        prop_assert_eq!(diff.files.len(), files.len());
        for (file, edited) in diff.files.iter().zip(&files) {
            check(&diff, file, edited);
        }
    }

    #[test]
    fn a_damaged_diff_is_refused_or_understood_as_a_whole(
        files in edited_files(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..5u8, any::<u8>()), 1..4),
    ) {
        let mut text: Vec<u8> = files.iter().flat_map(Edited::diff).collect();
        for (at, how, byte) in damage {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 => drop(text.remove(at)),
                3 => text.truncate(at + 1),
                _ => drop(text.drain(at..(at + usize::from(byte)).min(text.len() - 1).max(at))),
            }
        }
        render::understood_as_a_whole(text);
    }

    #[test]
    fn any_bytes_are_refused_or_understood_as_a_whole(text in prop::collection::vec(any::<u8>(), 0..300)) {
        render::understood_as_a_whole(text);
    }

    #[test]
    fn any_sequence_of_header_lines_is_refused_or_understood_as_a_whole(
        lines in prop::collection::vec(prop::sample::select(render::PIECES), 0..14),
    ) {
        render::understood_as_a_whole(lines.join("\n").into_bytes());
    }
}
