use super::{DiffError, Hunk, Line, LineKind, cursor::Cursor};

const OVERFLOW: &str = "a hunk's number is larger than 4294967295";
const HEADER: &str = "a hunk's header is not of the form @@ -1,2 +3,4 @@";

/// Where the two sides of a file stand between its hunks: both only move down.
#[derive(Default)]
pub(super) struct Sides {
    old: Side,
    new: Side,
}

/// One side of a file while its hunks are read.
#[derive(Default, Clone, Copy)]
struct Side {
    /// The number of its next line.
    next: u32,
    /// How many lines the hunk's header still promises.
    left: u32,
    /// Whether the file's last line was seen: one without a newline.
    ended: bool,
}

impl Side {
    /// Moves to a hunk's start. Git names the line before when a side is empty, hence the two rules.
    fn enter(&mut self, start: u32, count: u32) -> Result<(), &'static str> {
        if count > 0 && start == 0 {
            return Err("a hunk with lines begins at line 0");
        }
        let first = if count == 0 { start.checked_add(1) } else { Some(start) }.ok_or(OVERFLOW)?;
        first.checked_add(count).ok_or(OVERFLOW)?;
        if first < self.next {
            return Err("a hunk overlaps the one before or stands above it");
        }
        (self.next, self.left) = (first, count);
        Ok(())
    }

    fn take(&mut self) -> Result<u32, &'static str> {
        if self.ended {
            return Err("a line behind the end of its file");
        }
        self.left = self.left.checked_sub(1).ok_or("more lines of one side than the hunk's header counts")?;
        let number = self.next;
        self.next += 1;
        Ok(number)
    }
}

/// Reads the hunk whose header is the current line. Its lines are counted by the header's numbers, never by how a line
/// looks, since content can look like any header. `lines_left` is what remains of the whole diff's line limit.
pub(super) fn read(at: &mut Cursor<'_>, sides: &mut Sides, lines_left: &mut usize) -> Result<Hunk, DiffError> {
    let mut hunk = header(at, sides).map_err(|what| at.error(what))?;
    at.advance();
    while sides.old.left > 0 || sides.new.left > 0 {
        let Some(text) = at.line() else { return at.fail("the diff ends within a hunk") };
        *lines_left = lines_left.checked_sub(1).ok_or_else(|| at.error("too many lines"))?;
        let line = line(at, text, sides).map_err(|what| at.error(what))?;
        hunk.lines.push(line);
        at.advance();
        end_of_file(at, hunk.lines.last_mut(), sides);
    }
    Ok(hunk)
}

fn header(at: &Cursor<'_>, sides: &mut Sides) -> Result<Hunk, &'static str> {
    let line = at.line().unwrap_or_default();
    let rest = line.strip_prefix(b"@@ -").ok_or(HEADER)?;
    let (old_start, old_count, rest) = span(rest)?;
    let (new_start, new_count, rest) = span(rest.strip_prefix(b" +").ok_or(HEADER)?)?;
    let rest = rest.strip_prefix(b" @@").ok_or(HEADER)?;
    if old_count == 0 && new_count == 0 {
        return Err("a hunk without lines");
    }
    sides.old.enter(old_start, old_count)?;
    sides.new.enter(new_start, new_count)?;
    let section = at.range(line.len() - rest.strip_prefix(b" ").unwrap_or(rest).len(), line);
    Ok(Hunk { old_start, old_count, new_start, new_count, section, lines: Vec::new() })
}

/// `12,3` or `12`: a count that is left out is 1.
fn span(text: &[u8]) -> Result<(u32, u32, &[u8]), &'static str> {
    let (start, rest) = number(text)?;
    match rest.strip_prefix(b",") {
        Some(rest) => number(rest).map(|(count, rest)| (start, count, rest)),
        None => Ok((start, 1, rest)),
    }
}

fn number(text: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return Err(HEADER);
    }
    let (digits, rest) = text.split_at(digits);
    let value = digits.iter().try_fold(0u32, |n, d| n.checked_mul(10)?.checked_add(u32::from(d - b'0')));
    Ok((value.ok_or(OVERFLOW)?, rest))
}

fn line(at: &Cursor<'_>, text: &[u8], sides: &mut Sides) -> Result<Line, &'static str> {
    let (kind, old, new) = match text.first() {
        Some(b'+') => (LineKind::Added, 0, sides.new.take()?),
        Some(b'-') => (LineKind::Removed, sides.old.take()?, 0),
        // Mail programs cut off the blank of an empty context line.
        Some(b' ') | None => (LineKind::Context, sides.old.take()?, sides.new.take()?),
        Some(_) => return Err("a hunk has fewer lines than its header counts"),
    };
    Ok(Line { kind, old, new, no_newline: false, text: at.range(usize::from(!text.is_empty()), text) })
}

/// Takes `\ No newline at end of file`, whatever language it is in.
fn end_of_file(at: &mut Cursor<'_>, last: Option<&mut Line>, sides: &mut Sides) {
    if let (Some(line), Some([b'\\', b' ', ..])) = (last, at.line()) {
        line.no_newline = true;
        sides.old.ended |= line.kind != LineKind::Added;
        sides.new.ended |= line.kind != LineKind::Removed;
        at.advance();
    }
}
