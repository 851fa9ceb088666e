use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use super::{
    snapshot::{Chunk, Snapshot, TermId},
    words,
};
use crate::{ContextQuery, ShownLines, Snippet, SnippetReason, diff::RepoPath};

/// How soon further occurrences of a word count less, and how much a long chunk must hold more: the usual values
/// (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, and Lucene's).
const K1: f32 = 1.2;
/// See [`K1`].
const B: f32 = 0.75;

/// Bytes of a query's text that are read.
const TEXT_BYTES_MAX: usize = 64 * 1_024;
/// Words of a query that are looked up, the rarest and most frequent in the query first.
const TERMS_MAX: usize = 64;
/// Symbols of a query that are looked up.
const SYMBOLS_MAX: usize = 32;
/// Snippets in an answer, whatever the caller asks for.
const SNIPPETS_MAX: usize = 200;
/// Definitions of one symbol that are taken.
const DEFINITIONS_PER_SYMBOL: usize = 2;
/// Users of one symbol that are taken.
const USES_PER_SYMBOL: usize = 2;
/// Chunks that are searched for a use of one symbol.
const USES_TRIED_MAX: usize = 40;
/// A symbol that has more definitions than this (`new`, `main`) points nowhere.
const DEFINITIONS_COMMON: usize = 20;
/// A symbol that stands in more chunks than this, and in more than a tenth of all, is no lead either.
const USES_COMMON: usize = 50;
/// The same for a symbol that the repository does not define: either the change removed it, and then its few users
/// matter most, or it belongs to a library.
const USES_COMMON_UNDEFINED: usize = 10;

/// A chunk to show, and why.
struct Hit {
    chunk: u32,
    reason: SnippetReason,
}

/// The best snippets of a snapshot for a query. The same commit and query give the same answer, however the snapshot came
/// about: ties are broken by path and line, never by the order in which things were indexed.
pub(super) fn search(snapshot: &Snapshot, query: &ContextQuery, limit: usize) -> Vec<Snippet> {
    let limit = limit.min(SNIPPETS_MAX);
    let weights = weights(snapshot, &query.text);
    let by_path = by_path(query);
    let shown = Shown::new(snapshot, query, &by_path);
    let search = Search { snapshot, scores: scores(snapshot, &weights), shown };
    let (defines, uses) = search.by_symbols(&query.symbols);
    let mut taken = HashSet::new();
    // Half for definitions, half of what is left for users; what stays free goes to the next and at last to all.
    let mut tiers = [Vec::new(), Vec::new(), Vec::new()];
    take(&mut tiers[0], &defines, limit.div_ceil(2), &mut taken);
    take(&mut tiers[1], &uses, (limit - taken.len()).div_ceil(2), &mut taken);
    let similar = search.similar(limit);
    take(&mut tiers[2], &similar, limit - taken.len(), &mut taken);
    take(&mut tiers[0], &defines, limit - taken.len(), &mut taken);
    take(&mut tiers[1], &uses, limit - taken.len(), &mut taken);
    let tiers = [2.0, 1.0, 0.0].into_iter().zip(&tiers);
    tiers
        .flat_map(|(floor, hits)| hits.iter().enumerate().map(move |(nth, hit)| (floor, nth, hit)))
        .map(|(floor, nth, hit)| {
            #[expect(clippy::cast_precision_loss, reason = "at most SNIPPETS_MAX")]
            let within = 1.0 / (nth as f32 + 2.0);
            search.snippet(hit, floor + within)
        })
        .collect()
}

fn take<'a>(into: &mut Vec<&'a Hit>, from: &'a [Hit], at_most: usize, taken: &mut HashSet<u32>) {
    let mut left = at_most;
    for hit in from {
        if left == 0 {
            return;
        }
        if taken.insert(hit.chunk) {
            into.push(hit);
            left -= 1;
        }
    }
}

/// The words of a text that weigh most, heaviest first.
fn weights(snapshot: &Snapshot, text: &str) -> Vec<(TermId, f32)> {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let mut counts: HashMap<String, f32> = HashMap::new();
    let mut lower = String::new();
    for (_, identifier) in words::identifiers(text) {
        words::terms(identifier, &mut lower, |word| match counts.get_mut(word) {
            Some(count) => *count += 1.0,
            None => {
                counts.insert(word.to_owned(), 1.0);
            }
        });
    }
    let weigh = |(word, count): (String, f32)| {
        let term = snapshot.term(&word)?;
        Some((word, term, inverse_frequency(snapshot, term) * (1.0 + count.ln())))
    };
    let mut weights: Vec<(String, TermId, f32)> = counts.into_iter().filter_map(weigh).collect();
    weights.sort_unstable_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    weights.into_iter().take(TERMS_MAX).map(|(_, term, weight)| (term, weight)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a logarithm of counts needs no more digits")]
fn inverse_frequency(snapshot: &Snapshot, term: TermId) -> f32 {
    let (all, holding) = (snapshot.chunks.len() as f32, snapshot.postings(term).len() as f32);
    (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln()
}

/// Each chunk's BM25 score.
#[expect(clippy::cast_precision_loss, reason = "chunks are a few hundred words long")]
fn scores(snapshot: &Snapshot, weights: &[(TermId, f32)]) -> Vec<f32> {
    let mut scores = vec![0.0; snapshot.chunks.len()];
    for &(term, weight) in weights {
        for (chunk, count) in snapshot.postings(term) {
            let length = snapshot.chunks[chunk as usize].length as f32 / snapshot.mean_length;
            let count = f32::from(count);
            scores[chunk as usize] += weight * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length));
        }
    }
    scores
}

/// What of each file the diff shows already.
struct Shown<'a>(Vec<ShownOfFile<'a>>);

struct ShownOfFile<'a> {
    /// Under which path it may be shown; `None` if all are left out.
    path: Option<&'a RepoPath>,
    lines: &'a [&'a ShownLines],
}

/// The query's shown lines by their file.
fn by_path(query: &ContextQuery) -> HashMap<&RepoPath, Vec<&ShownLines>> {
    let mut by_path: HashMap<&RepoPath, Vec<&ShownLines>> = HashMap::new();
    for shown in &query.shown {
        by_path.entry(&shown.path).or_default().push(shown);
    }
    by_path
}

impl<'a> Shown<'a> {
    fn new(
        snapshot: &'a Snapshot,
        query: &'a ContextQuery,
        by_path: &'a HashMap<&'a RepoPath, Vec<&'a ShownLines>>,
    ) -> Self {
        let left_out: HashSet<&RepoPath> = query.exclude.iter().collect();
        let files = snapshot.files.iter().map(|file| ShownOfFile {
            path: file.paths.iter().find(|path| !left_out.contains(path)),
            lines: file.paths.iter().find_map(|path| by_path.get(path)).map_or(&[], Vec::as_slice),
        });
        Self(files.collect())
    }

    /// The path under which a chunk may be shown: none if the diff shows at least half of its lines, or leaves out its
    /// file.
    fn path(&self, chunk: &Chunk) -> Option<&'a RepoPath> {
        let file = &self.0[chunk.file as usize];
        let (first, last) = (chunk.window.start_line, chunk.window.end_line);
        let overlap = |s: &&ShownLines| (s.end_line.min(last) + 1).saturating_sub(s.start_line.max(first));
        let shown: u32 = file.lines.iter().map(overlap).fold(0, u32::saturating_add);
        file.path.filter(|_| shown.saturating_mul(2) < last + 1 - first)
    }
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    scores: Vec<f32>,
    shown: Shown<'a>,
}

impl Search<'_> {
    /// Definitions and uses, each in the order of the symbols.
    fn by_symbols(&self, symbols: &[String]) -> (Vec<Hit>, Vec<Hit>) {
        let (mut defines, mut uses) = (Vec::new(), Vec::new());
        for symbol in symbols.iter().take(SYMBOLS_MAX) {
            let Some(term) = self.snapshot.term(&symbol.to_ascii_lowercase()) else { continue };
            let definitions = self.snapshot.definitions(term, symbol);
            if definitions.len() > DEFINITIONS_COMMON {
                continue;
            }
            let defining: HashSet<u32> = definitions.iter().map(|d| d.chunk).collect();
            uses.extend(self.uses(term, symbol, &defining));
            let mut found: Vec<(bool, u32)> = definitions.iter().map(|d| (d.defined.extends, d.chunk)).collect();
            found.retain(|(_, chunk)| self.path(*chunk).is_some());
            found.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.better(a.1, b.1)));
            found.dedup_by_key(|(_, chunk)| *chunk);
            let hit = |(_, chunk)| Hit { chunk, reason: SnippetReason::Defines(symbol.clone()) };
            defines.extend(found.into_iter().take(DEFINITIONS_PER_SYMBOL).map(hit));
        }
        (defines, uses)
    }

    fn uses(&self, term: TermId, symbol: &str, defining: &HashSet<u32>) -> Vec<Hit> {
        let postings = self.snapshot.postings(term);
        let defined_common = USES_COMMON.max(self.snapshot.chunks.len() / 10);
        if postings.len() > if defining.is_empty() { USES_COMMON_UNDEFINED } else { defined_common } {
            return Vec::new();
        }
        let mut chunks: Vec<u32> =
            postings.map(|(chunk, _)| chunk).filter(|c| !defining.contains(c) && self.path(*c).is_some()).collect();
        chunks.sort_unstable_by(|a, b| self.better(*a, *b));
        let uses = chunks.into_iter().take(USES_TRIED_MAX);
        uses.filter(|chunk| words::holds_word(self.snapshot.text_of(*chunk), symbol))
            .take(USES_PER_SYMBOL)
            .map(|chunk| Hit { chunk, reason: SnippetReason::Uses(symbol.to_owned()) })
            .collect()
    }

    /// The best chunks by their words; twice `limit` of them, since the symbols' hits may be among them.
    fn similar(&self, limit: usize) -> Vec<Hit> {
        let scored = (0..).zip(&self.scores).filter(|(_, score)| **score > 0.0).map(|(chunk, _)| chunk);
        let mut chunks: Vec<u32> = scored.filter(|chunk| self.path(*chunk).is_some()).collect();
        let enough = limit * 2;
        if enough < chunks.len() {
            chunks.select_nth_unstable_by(enough, |a, b| self.better(*a, *b));
            chunks.truncate(enough);
        }
        chunks.sort_unstable_by(|a, b| self.better(*a, *b));
        chunks.into_iter().map(|chunk| Hit { chunk, reason: SnippetReason::Similar }).collect()
    }

    fn path(&self, chunk: u32) -> Option<&RepoPath> {
        self.shown.path(&self.snapshot.chunks[chunk as usize])
    }

    /// By score, then by path and line.
    fn better(&self, a: u32, b: u32) -> Ordering {
        let place =
            |chunk: u32| (&self.snapshot.file_of(chunk).paths, self.snapshot.chunks[chunk as usize].window.start);
        let (of_a, of_b) = (self.scores[a as usize], self.scores[b as usize]);
        of_b.total_cmp(&of_a).then_with(|| place(a).cmp(&place(b)))
    }

    fn snippet(&self, hit: &Hit, score: f32) -> Snippet {
        let window = self.snapshot.chunks[hit.chunk as usize].window;
        Snippet {
            path: self.path(hit.chunk).cloned().unwrap_or_else(|| RepoPath::new("")),
            start_line: window.start_line,
            end_line: window.end_line,
            text: self.snapshot.text_of(hit.chunk).to_owned(),
            score,
            reason: hit.reason.clone(),
        }
    }
}
