use std::{fmt::Write, ops::Range, path::Path};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue, Deserializer},
};

use super::error::{ConfigError, Mistake};

/// Most characters of a value that an error repeats.
const VALUE_SHOWN_MAX: usize = 60;

/// Keys whose value an error does not repeat: people write secrets there by mistake.
const UNSEEN: [&str; 5] = ["api_key_env", "base_url", "url", "listen_url", "redis_url"];

/// The file as it is written: gives an error its place.
pub struct Source<'a> {
    file: String,
    text: &'a str,
    tree: Spanned<DeTable<'a>>,
}

/// A place in the file: the keys that lead there, and the span of what stands there.
struct Place {
    keys: Vec<String>,
    span: Range<usize>,
    is_value: bool,
}

impl<'a> Source<'a> {
    pub fn parse(file: &Path, text: &'a str) -> Result<Self, ConfigError> {
        let file = file.display().to_string();
        match DeTable::parse(text) {
            Ok(tree) => Ok(Self { file, text, tree }),
            Err(error) => Err(ConfigError::File(Mistake {
                line: error.span().map(|span| line_of(text, span.start)),
                file,
                key: None,
                value: None,
                what: format!("no TOML: {}", error.message()),
            })),
        }
    }

    pub fn read<T: Deserialize<'a>>(&self) -> Result<T, ConfigError> {
        T::deserialize(Deserializer::from(self.tree.clone())).map_err(|error| {
            let place = error.span().and_then(|span| {
                let mut best = None;
                find(self.tree.get_ref(), &mut Vec::new(), &span, &mut best);
                best.or(Some(Place { keys: Vec::new(), span, is_value: false }))
            });
            self.mistake(place, error.message())
        })
    }

    /// A mistake at a key, which need not stand in the file.
    pub fn wrong(&self, keys: &[&str], what: impl AsRef<str>) -> ConfigError {
        match self.at(keys) {
            Some(place) => self.mistake(Some(place), what.as_ref()),
            None => ConfigError::File(Mistake {
                file: self.file.clone(),
                line: None,
                key: Some(dotted(&owned(keys))),
                value: None,
                what: what.as_ref().to_owned(),
            }),
        }
    }

    /// Whether a key stands in the file.
    pub fn has(&self, keys: &[&str]) -> bool {
        self.at(keys).is_some()
    }

    fn at(&self, keys: &[&str]) -> Option<Place> {
        let (last, tables) = keys.split_last()?;
        let mut table = self.tree.get_ref();
        for key in tables {
            table = find_entry(table, key)?.1.get_ref().as_table()?;
        }
        let (name, value) = find_entry(table, last)?;
        let is_value = !value.get_ref().is_table();
        Some(Place { keys: owned(keys), span: if is_value { value.span() } else { name.span() }, is_value })
    }

    fn mistake(&self, place: Option<Place>, what: &str) -> ConfigError {
        let line = place.as_ref().map(|p| line_of(self.text, p.span.start));
        let is_shown = |p: &&Place| p.is_value && !p.keys.last().is_some_and(|key| UNSEEN.contains(&key.as_str()));
        let value = place.as_ref().filter(is_shown).and_then(|p| self.text.get(p.span.clone())).map(shown);
        let key = place.filter(|p| !p.keys.is_empty()).map(|p| dotted(&p.keys));
        ConfigError::File(Mistake { file: self.file.clone(), line, key, value, what: what.trim_end().to_owned() })
    }
}

/// Finds the innermost key or value that a span lies in. A key stands for an error about its name, whose value is not
/// repeated: it may be a secret that was written where none belongs.
fn find(table: &DeTable<'_>, keys: &mut Vec<String>, wanted: &Range<usize>, best: &mut Option<Place>) {
    for (name, value) in table {
        keys.push(name.get_ref().to_string());
        let within = |span: &Range<usize>| span.start <= wanted.start && wanted.end <= span.end;
        if within(&name.span()) {
            *best = Some(Place { keys: keys.clone(), span: wanted.clone(), is_value: false });
        } else if within(&value.span()) {
            let is_value = !value.get_ref().is_table();
            *best = Some(Place { keys: keys.clone(), span: wanted.clone(), is_value });
        }
        if let DeValue::Table(inner) = value.get_ref() {
            find(inner, keys, wanted, best);
        }
        keys.pop();
    }
}

type Entry<'t, 'a> = (&'t Spanned<DeString<'a>>, &'t Spanned<DeValue<'a>>);

fn find_entry<'t, 'a>(table: &'t DeTable<'a>, key: &str) -> Option<Entry<'t, 'a>> {
    table.iter().find(|(name, _)| name.get_ref() == key)
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

fn shown(value: &str) -> String {
    let line = value.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(VALUE_SHOWN_MAX).collect();
    if cut.len() < value.len() { format!("{cut}…") } else { cut }
}

/// Keys as TOML writes them: `forge.repositories."acme/widgets"`.
fn dotted(keys: &[String]) -> String {
    let mut all = String::new();
    for key in keys {
        if !all.is_empty() {
            all.push('.');
        }
        let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        // Writing to a string does not fail.
        let _ = if bare { write!(all, "{key}") } else { write!(all, "{key:?}") };
    }
    all
}
