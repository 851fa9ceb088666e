use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::cli::Global;

/// Emphasis of a heading.
pub const HEADING: Style = Style::new().bold();
/// What needs no attention.
pub const FAINT: Style = Style::new().dimmed();
/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What deserves a look.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// What went wrong.
pub const BAD: Style = AnsiColor::Red.on_default();

/// Standard output: people's lines, with colour on a terminal and without in a pipe, or JSON.
pub struct Output {
    out: Box<dyn Write>,
    json: bool,
    terminal: bool,
}

impl Output {
    /// As the command line asks for it. Whether it has colour is the choice of the whole process.
    pub fn new(global: &Global) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self { out: Box::new(anstream::AutoStream::auto(stdout)), json: global.json, terminal }
    }

    /// Whether JSON was asked for.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line for people.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Prints a value as one line of JSON.
    pub fn object(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value).map_err(io::Error::other)?;
        writeln!(self.out, "{text}")
    }

    /// Prints text as it is, without a line end.
    pub fn raw(&mut self, text: &[u8]) -> io::Result<()> {
        self.out.write_all(text)
    }

    /// Prints rows under a heading, columns aligned; the last column is left as it is.
    pub fn table(&mut self, heading: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count());
            cells.chain([heading[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heading.len()).map(width).collect();
        let row = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<String> = cells.zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
            padded.join("  ").trim_end().to_owned()
        };
        self.line(format_args!("{HEADING}{}{HEADING:#}", row(&mut heading.iter().copied())))?;
        rows.iter().try_for_each(|cells| self.line(row(&mut cells.iter().map(String::as_str))))
    }

    /// A progress bar on a terminal; in a pipe, and with JSON, nothing.
    pub fn progress(&self, what: &'static str, total: u64) -> ProgressBar {
        if self.json || !self.terminal || !io::stderr().is_terminal() {
            return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{msg:<12} [{bar:32}] {pos}/{len} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        ProgressBar::new(total).with_style(style).with_message(what)
    }
}

/// Text from outside as one harmless line: no control characters that could drive a terminal, and of bounded length.
pub fn one_line(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

/// So many of a thing, in words.
pub fn counted(count: impl TryInto<u64>, thing: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// A duration in people's units.
pub fn duration(of: std::time::Duration) -> String {
    let ms = of.as_secs_f64() * 1e3;
    match ms {
        0.0..10.0 => format!("{ms:.1} ms"),
        10.0..1_000.0 => format!("{ms:.0} ms"),
        1_000.0..60_000.0 => format!("{:.1} s", ms / 1e3),
        _ => format!("{:.0} min", ms / 6e4),
    }
}
