use std::collections::{HashMap, HashSet};

use super::shown_line;
use crate::{DraftFinding, Finding, Source, diff::RepoPath};

/// Shortest word, in characters, that tells something of a finding's subject.
const WORD_CHARS_MIN: usize = 4;

/// Words of that length that tell nothing.
const EMPTY_WORDS: &[&str] = &[
    "added", "call", "code", "file", "from", "here", "into", "line", "lines", "left", "must", "should", "that", "this",
    "with",
];

type Spot = (RepoPath, Option<u32>);

/// The findings that were let through, the most severe first, so that a later one that says the same can go.
#[derive(Default)]
pub(super) struct Kept {
    titles: HashSet<(Spot, String)>,
    rules: HashSet<(Spot, String)>,
    /// By place: who found it (`true`: a rule) and the words of its subject.
    subjects: HashMap<Spot, Vec<(bool, HashSet<String>)>>,
}

impl Kept {
    pub(super) fn says_the_same(&self, draft: &DraftFinding, finding: &Finding) -> bool {
        let spot = spot(draft, finding);
        if self.titles.contains(&(spot.clone(), title(finding))) {
            return true;
        }
        if let Source::Rule(id) = &finding.source
            && self.rules.contains(&(spot.clone(), id.clone()))
        {
            return true;
        }
        let (by_rule, words) = subject(finding);
        self.subjects.get(&spot).is_some_and(|kept| {
            // A rule and a model name the same fault in different words; two of a kind would have named it alike.
            spot.1.is_some() && kept.iter().any(|(rule, other)| *rule != by_rule && share_a_word(other, &words))
        })
    }

    pub(super) fn add(&mut self, draft: &DraftFinding, finding: &Finding) {
        let spot = spot(draft, finding);
        self.titles.insert((spot.clone(), title(finding)));
        if let Source::Rule(id) = &finding.source {
            self.rules.insert((spot.clone(), id.clone()));
        }
        self.subjects.entry(spot).or_default().push(subject(finding));
    }
}

fn spot(draft: &DraftFinding, finding: &Finding) -> Spot {
    (finding.path.clone(), shown_line(draft, finding.placement))
}

fn title(finding: &Finding) -> String {
    finding.title.to_lowercase()
}

fn subject(finding: &Finding) -> (bool, HashSet<String>) {
    let words = |text: &str| -> HashSet<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
        words.filter(|w| w.chars().count() >= WORD_CHARS_MIN && !EMPTY_WORDS.contains(&w.as_str())).collect()
    };
    match &finding.source {
        Source::Rule(id) => (true, words(&format!("{id} {}", finding.title))),
        Source::Model(_) => (false, words(&finding.title)),
    }
}

/// One word may be the other's stem, as in `secret` and `secrets`.
fn share_a_word(a: &HashSet<String>, b: &HashSet<String>) -> bool {
    a.iter().any(|x| b.iter().any(|y| x.starts_with(y.as_str()) || y.starts_with(x.as_str())))
}
