use std::ops::Range;

use super::{Diff, FileDiff, FileStatus, Hunk, LineKind, RepoPath};

impl Diff {
    /// The file that a reader means by this path: one that has it after the change, or else had it before (deleted or
    /// renamed away). A path that is deleted and added anew, as when a file becomes a link, means the new one.
    pub fn file(&self, path: &RepoPath) -> Option<&FileDiff> {
        let had = |f: &&FileDiff| f.status != FileStatus::Copied && f.old_path.as_ref() == Some(path);
        self.files.iter().find(|f| f.new_path.as_ref() == Some(path)).or_else(|| self.files.iter().find(had))
    }
}

impl FileDiff {
    /// The hunk that shows this line of the new side. A comment may stand on these lines and on no other.
    pub fn hunk_at(&self, line: u32) -> Option<&Hunk> {
        self.hunks.iter().find(|h| h.new_lines().contains(&line))
    }

    /// The hunk nearest to a line of the new side, and how many lines lie between (0 within it). Hunks that leave nothing
    /// on the new side are passed over; of two equally near ones it is the upper.
    pub fn nearest_hunk(&self, line: u32) -> Option<(&Hunk, u32)> {
        let shown = self.hunks.iter().filter(|h| h.new_count > 0);
        shown.map(|h| (h, distance(&h.new_lines(), line))).min_by_key(|(_, distance)| *distance)
    }
}

impl Hunk {
    /// The lines of the new side that it shows: added ones and context. Empty when it only deletes, without context.
    pub fn new_lines(&self) -> Range<u32> {
        self.new_start..self.new_start.saturating_add(self.new_count)
    }

    /// The added line nearest to a line of the new side, the upper of two; in a hunk that only deletes, the nearest line
    /// next to what was deleted. `None` when nothing of the new side is shown.
    pub fn nearest_changed(&self, line: u32) -> Option<u32> {
        let added = self.lines.iter().filter(|l| l.kind == LineKind::Added).map(|l| l.new);
        added.min_by_key(|n| n.abs_diff(line)).or_else(|| self.beside_deletion(line))
    }

    fn beside_deletion(&self, line: u32) -> Option<u32> {
        let pairs =
            self.lines.windows(2).filter(|w| (w[0].kind == LineKind::Removed) != (w[1].kind == LineKind::Removed));
        pairs.map(|w| w[0].new.max(w[1].new)).min_by_key(|n| n.abs_diff(line))
    }
}

fn distance(lines: &Range<u32>, line: u32) -> u32 {
    if line < lines.start { lines.start - line } else { line.saturating_sub(lines.end.saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
diff --git a/x b/x
--- a/x
+++ b/x
@@ -1,4 +1,5 @@
 1
-two
+2
 3
+4
 5
@@ -20,3 +21,2 @@
 21
-gone
 22
@@ -40,2 +41,0 @@
-gone
-gone
";

    #[test]
    fn a_comment_may_stand_on_added_and_context_lines_alone() {
        let diff = Diff::parse(TEXT).unwrap();
        let file = diff.file(&"x".into()).unwrap();
        let shown: Vec<_> = (0..60).filter(|n| file.hunk_at(*n).is_some()).collect();
        assert_eq!(shown, [1, 2, 3, 4, 5, 21, 22]);
    }

    #[test]
    fn the_nearest_hunk_is_one_that_a_comment_can_stand_in() {
        let diff = Diff::parse(TEXT).unwrap();
        let file = &diff.files[0];
        let nearest = |line| file.nearest_hunk(line).map(|(h, distance)| (h.new_start, distance));
        assert_eq!(nearest(3), Some((1, 0)));
        assert_eq!(nearest(6), Some((1, 1)));
        assert_eq!(nearest(13), Some((1, 8)));
        assert_eq!(nearest(14), Some((21, 7)));
        assert_eq!(nearest(41), Some((21, 19)));
        assert_eq!(nearest(u32::MAX), Some((21, u32::MAX - 22)));
    }

    #[test]
    fn the_nearest_changed_line_is_added_or_next_to_a_deletion() {
        let diff = Diff::parse(TEXT).unwrap();
        let [both, deletes, bare] = &diff.files[0].hunks[..] else { panic!("three hunks") };
        assert_eq!([0, 3, 4, 9].map(|n| both.nearest_changed(n)), [Some(2), Some(2), Some(4), Some(4)]);
        assert_eq!([1, 22, 99].map(|n| deletes.nearest_changed(n)), [Some(21), Some(22), Some(22)]);
        assert_eq!(bare.nearest_changed(41), None);
    }

    #[test]
    fn a_path_means_the_file_that_has_it_now() {
        let diff = Diff::parse(
            "diff --git a/l b/l\ndeleted file mode 100644\ndiff --git a/l b/l\nnew file mode 120000\n\
             diff --git a/from b/to\nsimilarity index 100%\nrename from from\nrename to to\n\
             diff --git a/one b/two\nsimilarity index 100%\ncopy from one\ncopy to two\n",
        )
        .unwrap();
        let status = |path: &str| diff.file(&path.into()).map(|f| f.status);
        assert_eq!(status("l"), Some(FileStatus::Added));
        assert_eq!(status("from"), Some(FileStatus::Renamed));
        assert_eq!(status("one"), None);
        assert_eq!(status("none"), None);
    }
}
