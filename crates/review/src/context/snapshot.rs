use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    chunk::{Defined, Window, analyse},
    definition::Family,
    words::{self, STOP_WORDS},
};
use crate::{CommitId, diff::RepoPath};

/// A word's number in one snapshot. Stop words have the first ones.
pub(super) type TermId = u32;

/// The index of one repository at one commit. Never changed: a newer one takes its place, and shares the texts of the
/// files that stayed.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub at: CommitId,
    pub files: Vec<File>,
    pub chunks: Vec<Chunk>,
    terms: HashMap<Arc<str>, TermId>,
    postings: Postings,
    definitions: HashMap<TermId, Vec<Definition>>,
    /// Mean of the chunks' lengths in words.
    pub mean_length: f32,
    /// Contents that were read and hold nothing to index.
    unreadable: HashSet<Arc<str>>,
}

/// A content, and where it stands.
#[derive(Debug)]
pub(super) struct File {
    /// In order; several if the repository holds copies.
    pub paths: Vec<RepoPath>,
    pub content: Arc<Content>,
    /// Its first chunk; the others follow.
    first_chunk: u32,
}

/// What stays the same as long as a content does. Its text is held here and nowhere else: read again from the forge for
/// each answer it would cost a request each on a remote one, and be gone once a force-push has dropped the commit.
#[derive(Debug)]
pub(super) struct Content {
    pub id: Arc<str>,
    pub text: Box<str>,
    /// In which language its definitions were looked for.
    family: Family,
    defined: Vec<Defined>,
}

/// What a snapshot knows of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Its windows, with definitions as that family has them.
    Indexed(Family),
    /// That there is nothing to index.
    Unreadable,
}

impl Known {
    /// Whether that holds for the content at these paths too.
    pub(super) fn fits(self, paths: &[RepoPath]) -> bool {
        match self {
            Self::Indexed(family) => family == family_of(paths),
            Self::Unreadable => true,
        }
    }
}

/// A window of a file, and how many words it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub file: u32,
    pub window: Window,
    pub length: u32,
}

/// Where a symbol is defined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Definition {
    pub chunk: u32,
    pub defined: Defined,
}

/// For each term the chunks that hold it, in order, and how often: five bytes each.
#[derive(Debug, Default)]
struct Postings {
    /// Where each term's chunks begin, and the end of the last one's.
    offsets: Vec<u32>,
    chunks: Vec<u32>,
    /// At most 255: beyond a dozen BM25 hardly tells counts apart.
    counts: Vec<u8>,
}

impl Snapshot {
    pub(super) fn term(&self, word: &str) -> Option<TermId> {
        self.terms.get(word).copied().filter(|id| (*id as usize) >= STOP_WORDS.len())
    }

    /// The chunks that hold a term, in order, and how often each does.
    pub(super) fn postings(&self, term: TermId) -> impl ExactSizeIterator<Item = (u32, u8)> + '_ {
        let (chunks, counts) = self.postings.of(term);
        chunks.iter().copied().zip(counts.iter().copied())
    }

    /// The definitions of a symbol, whose term is its name in lower case.
    pub(super) fn definitions(&self, term: TermId, symbol: &str) -> Vec<Definition> {
        let named = |d: &&Definition| {
            let text = &self.file_of(d.chunk).content.text;
            text.get(d.defined.start as usize..d.defined.end as usize) == Some(symbol)
        };
        self.definitions.get(&term).map(|all| all.iter().filter(named).copied().collect()).unwrap_or_default()
    }

    pub(super) fn file_of(&self, chunk: u32) -> &File {
        &self.files[self.chunks[chunk as usize].file as usize]
    }

    pub(super) fn text_of(&self, chunk: u32) -> &str {
        let window = self.chunks[chunk as usize].window;
        &self.file_of(chunk).content.text[window.start as usize..window.end as usize]
    }

    /// The contents that were read for this snapshot, and so need not be read for the next.
    pub(super) fn known(&self) -> HashMap<&str, Known> {
        let indexed = self.files.iter().map(|f| (&*f.content.id, Known::Indexed(f.content.family)));
        indexed.chain(self.unreadable.iter().map(|id| (&**id, Known::Unreadable))).collect()
    }

    /// About how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> u64 {
        // A word's text, its length and counts, its number and its share of the table.
        const TERM_BYTES: usize = 48;
        let texts: usize = self.files.iter().map(|f| f.content.text.len()).sum();
        let defined: usize = self.files.iter().map(|f| f.content.defined.len()).sum();
        let fixed = self.files.len() * size_of::<File>() + self.chunks.len() * size_of::<Chunk>();
        let terms = self.terms.len() * TERM_BYTES;
        let definitions = defined * (size_of::<Defined>() + size_of::<Definition>());
        let postings = self.postings.chunks.len() * (size_of::<u32>() + size_of::<u8>());
        (texts + fixed + terms + definitions + postings) as u64
    }
}

impl Postings {
    fn of(&self, term: TermId) -> (&[u32], &[u8]) {
        let range = self.offsets[term as usize] as usize..self.offsets[term as usize + 1] as usize;
        (&self.chunks[range.clone()], &self.counts[range])
    }

    /// From entries in which each term's chunks are in order: counted, then put in place.
    fn from_entries(entries: &[Entry], terms: usize) -> Self {
        let mut offsets = vec![0_u32; terms + 1];
        for entry in entries {
            offsets[entry.term as usize + 1] += 1;
        }
        for term in 0..terms {
            offsets[term + 1] += offsets[term];
        }
        let mut next = offsets.clone();
        let (mut chunks, mut counts) = (vec![0; entries.len()], vec![0; entries.len()]);
        for entry in entries {
            let place = &mut next[entry.term as usize];
            chunks[*place as usize] = entry.chunk;
            counts[*place as usize] = entry.count;
            *place += 1;
        }
        Self { offsets, chunks, counts }
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    term: TermId,
    chunk: u32,
    count: u8,
}

/// Makes a snapshot: first of what an earlier one knows, then file by file.
#[derive(Debug)]
pub(super) struct Builder {
    files: Vec<File>,
    chunks: Vec<Chunk>,
    terms: HashMap<Arc<str>, TermId>,
    entries: Vec<Entry>,
    unreadable: HashSet<Arc<str>>,
    /// How often the chunk in work holds each term, and which ones it holds.
    counts: Vec<u8>,
    held: Vec<TermId>,
    lower: String,
}

impl Builder {
    pub(super) fn new() -> Self {
        let terms: HashMap<Arc<str>, TermId> = (0..).zip(STOP_WORDS).map(|(id, word)| (Arc::from(*word), id)).collect();
        Self {
            files: Vec::new(),
            chunks: Vec::new(),
            counts: vec![0; terms.len()],
            terms,
            entries: Vec::new(),
            unreadable: HashSet::new(),
            held: Vec::new(),
            lower: String::new(),
        }
    }

    /// Takes over what `old` knows of the contents at these paths; all of them fit (see [`Known::fits`]).
    pub(super) fn keep(&mut self, old: &Snapshot, paths: &mut HashMap<String, Vec<RepoPath>>) {
        self.unreadable.extend(old.unreadable.iter().filter(|id| paths.remove(&***id).is_some()).cloned());
        let mut moved = vec![None; old.chunks.len()];
        let mut kept: Vec<Option<u32>> = vec![None; old.files.len()];
        for (nth, file) in old.files.iter().enumerate() {
            if let Some(paths) = paths.remove(&*file.content.id) {
                kept[nth] = Some(index(self.files.len()));
                self.files.push(File { paths, content: Arc::clone(&file.content), first_chunk: 0 });
            }
        }
        for (nth, chunk) in old.chunks.iter().enumerate() {
            if let Some(file) = kept[chunk.file as usize] {
                moved[nth] = Some(index(self.chunks.len()));
                self.chunks.push(Chunk { file, ..*chunk });
            }
        }
        self.keep_postings(old, &moved);
        self.number_first_chunks();
    }

    /// Words that no chunk holds any longer are left behind.
    fn keep_postings(&mut self, old: &Snapshot, moved: &[Option<u32>]) {
        for (word, term) in old.terms.iter().filter(|(_, term)| **term as usize >= STOP_WORDS.len()) {
            let mut new_term = None;
            for (chunk, count) in old.postings(*term) {
                if let Some(chunk) = moved[chunk as usize] {
                    let term = *new_term.get_or_insert_with(|| intern(&mut self.terms, &mut self.counts, word));
                    self.entries.push(Entry { term, chunk, count });
                }
            }
        }
    }

    fn number_first_chunks(&mut self) {
        for (nth, chunk) in self.chunks.iter().enumerate().rev() {
            self.files[chunk.file as usize].first_chunk = index(nth);
        }
    }

    /// Adds a content; `None` for one that holds nothing to index.
    pub(super) fn add(&mut self, id: &str, paths: Vec<RepoPath>, text: Option<String>) {
        let id: Arc<str> = id.into();
        let Some(text) = text else {
            self.unreadable.insert(id);
            return;
        };
        let family = family_of(&paths);
        let (windows, defined) = analyse(&text, family);
        let (file, first_chunk) = (index(self.files.len()), index(self.chunks.len()));
        for window in windows {
            let chunk = index(self.chunks.len());
            let length = self.count(chunk, &text[window.start as usize..window.end as usize]);
            self.chunks.push(Chunk { file, window, length });
        }
        let content = Arc::new(Content { id, text: text.into_boxed_str(), family, defined });
        self.files.push(File { paths, content, first_chunk });
    }

    /// Adds the entries of a chunk; answers with its length in words.
    fn count(&mut self, chunk: u32, text: &str) -> u32 {
        let Self { terms, counts, held, lower, entries, .. } = self;
        let mut length = 0;
        for (_, identifier) in words::identifiers(text) {
            words::terms(identifier, lower, |word| {
                let term = match terms.get(word) {
                    Some(term) => *term,
                    None => intern(terms, counts, &Arc::from(word)),
                };
                if term as usize >= STOP_WORDS.len() {
                    length += 1;
                    let count = &mut counts[term as usize];
                    if *count == 0 {
                        held.push(term);
                    }
                    *count = count.saturating_add(1);
                }
            });
        }
        for term in held.drain(..) {
            let count = std::mem::take(&mut counts[term as usize]);
            entries.push(Entry { term, chunk, count });
        }
        length
    }

    pub(super) fn finish(mut self, at: CommitId) -> Snapshot {
        let definitions = self.definitions();
        let words: u64 = self.chunks.iter().map(|c| u64::from(c.length)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a mean needs no more digits")]
        let mean_length = (words as f32 / self.chunks.len().max(1) as f32).max(1.0);
        let postings = Postings::from_entries(&self.entries, self.terms.len());
        self.terms.shrink_to_fit();
        Snapshot {
            at,
            files: self.files,
            chunks: self.chunks,
            terms: self.terms,
            postings,
            definitions,
            mean_length,
            unreadable: self.unreadable,
        }
    }

    fn definitions(&mut self) -> HashMap<TermId, Vec<Definition>> {
        let mut definitions: HashMap<TermId, Vec<Definition>> = HashMap::new();
        for (nth, file) in self.files.iter().enumerate() {
            let mut chunk = file.first_chunk;
            for &defined in &file.content.defined {
                // Both are in the order of lines, and every line that is not blank lies in a chunk.
                while self.chunks[chunk as usize].window.end_line < defined.line {
                    chunk += 1;
                }
                debug_assert_eq!(self.chunks[chunk as usize].file as usize, nth);
                self.lower.clear();
                self.lower.push_str(&file.content.text[defined.start as usize..defined.end as usize]);
                self.lower.make_ascii_lowercase();
                if let Some(term) = self.terms.get(&*self.lower) {
                    definitions.entry(*term).or_default().push(Definition { chunk, defined });
                }
            }
        }
        definitions
    }
}

fn family_of(paths: &[RepoPath]) -> Family {
    paths.first().map_or(Family::Other, Family::of)
}

fn intern(terms: &mut HashMap<Arc<str>, TermId>, counts: &mut Vec<u8>, word: &Arc<str>) -> TermId {
    let next = index(terms.len());
    let term = *terms.entry(Arc::clone(word)).or_insert(next);
    if term == next {
        counts.push(0);
    }
    term
}

/// Texts are limited so that neither words nor chunks reach four billion.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
