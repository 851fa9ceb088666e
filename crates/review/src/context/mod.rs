//! Code related to a change, found by its words: an index in memory over the text files of a repository at a commit.
//!
//! Files are cut into windows of about forty lines, words are identifiers and their parts, and windows are ranked by BM25;
//! windows that define or use a symbol of the change come first. It is lexical and does not claim more: it finds what
//! shares names with the change, not what means the same.

mod chunk;
mod definition;
mod files;
mod index;
mod query;
mod search;
mod snapshot;
#[cfg(test)]
mod tests;
mod words;

pub use index::{IndexFacts, LexicalIndex, LexicalSettings};
pub use query::query_for;
