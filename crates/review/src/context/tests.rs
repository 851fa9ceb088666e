use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;

use super::{IndexFacts, LexicalIndex, LexicalSettings};
use crate::{
    Change, CommitId, ContextError, ContextQuery, ContextSource, Forge, ForgeError, PullRequest, RepositoryName,
    ShownLines, Snippet, SnippetReason, TreeFile, diff::RepoPath,
};

type Files = BTreeMap<String, String>;

/// A forge whose trees a test writes down, and which counts what is read.
#[derive(Default)]
struct Written {
    trees: Mutex<HashMap<(RepositoryName, CommitId), Files>>,
    reads: AtomicUsize,
    away: AtomicBool,
}

impl Written {
    fn put(&self, repository: &RepositoryName, at: &CommitId, files: Files) {
        self.trees.lock().unwrap().insert((repository.clone(), at.clone()), files);
    }

    fn files(&self, repository: &RepositoryName, at: &CommitId) -> Result<Files, ForgeError> {
        let key = (repository.clone(), at.clone());
        self.trees
            .lock()
            .unwrap()
            .get(&key)
            .cloned()
            .ok_or_else(|| ForgeError::UnknownCommit { repository: repository.clone(), commit: at.clone() })
    }
}

#[async_trait]
impl Forge for Written {
    async fn pull_request(&self, _: &Change) -> Result<PullRequest, ForgeError> {
        unreachable!("an index asks for trees and files only")
    }

    async fn diff(&self, _: &PullRequest) -> Result<Bytes, ForgeError> {
        unreachable!("an index asks for trees and files only")
    }

    async fn file(
        &self,
        repository: &RepositoryName,
        at: &CommitId,
        path: &RepoPath,
    ) -> Result<Option<Bytes>, ForgeError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        if self.away.load(Ordering::Relaxed) {
            return Err(ForgeError::Unavailable { what: "a test", source: "away".into() });
        }
        Ok(self.files(repository, at)?.remove(&*path.display()).map(Bytes::from))
    }

    async fn tree(&self, repository: &RepositoryName, at: &CommitId) -> Result<Vec<TreeFile>, ForgeError> {
        let entry = |(path, content): (String, String)| {
            let mut hasher = DefaultHasher::new();
            content.hash(&mut hasher);
            let content_id = hasher.finish().to_string();
            TreeFile { path: path.as_str().into(), content_id, bytes: content.len() as u64 }
        };
        Ok(self.files(repository, at)?.into_iter().map(entry).collect())
    }
}

fn repository(nth: usize) -> RepositoryName {
    format!("acme/r{nth}").parse().unwrap()
}

fn commit(nth: usize) -> CommitId {
    format!("{nth:040}").parse().unwrap()
}

fn files<const N: usize>(files: [(&str, &str); N]) -> Files {
    files.into_iter().map(|(path, content)| (path.to_owned(), content.to_owned())).collect()
}

fn index(forge: &Arc<Written>) -> LexicalIndex {
    LexicalIndex::new(Arc::clone(forge) as Arc<dyn Forge>, LexicalSettings::default())
}

/// An index of one repository that holds these files.
async fn index_of(written: Files) -> LexicalIndex {
    let forge = Arc::new(Written::default());
    forge.put(&repository(0), &commit(0), written);
    let index = index(&forge);
    index.ensure(&repository(0), &commit(0), None).await.unwrap();
    index
}

async fn found(index: &LexicalIndex, query: &ContextQuery, limit: usize) -> Vec<Snippet> {
    index.search(&repository(0), query, limit).await.unwrap()
}

fn text(text: &str) -> ContextQuery {
    ContextQuery { text: text.to_owned(), ..ContextQuery::default() }
}

fn symbol(symbol: &str) -> ContextQuery {
    ContextQuery { symbols: vec![symbol.to_owned()], ..ContextQuery::default() }
}

fn reasons(snippets: &[Snippet]) -> Vec<(String, SnippetReason)> {
    snippets.iter().map(|s| (s.path.display().into_owned(), s.reason.clone())).collect()
}

fn service() -> Files {
    files([
        (
            "src/lease.rs",
            "/// A lease.\npub struct Lease {\n    token: u64,\n}\n\nimpl Lease {\n    fn renew(&mut self) {}\n}\n",
        ),
        ("src/worker.rs", "fn run(lease: &mut Lease) {\n    lease.renew();\n}\n"),
        ("src/clock.rs", "fn wait_for_token(clock: &Clock) {\n    clock.sleep();\n}\n"),
        ("src/unrelated.rs", "fn paint(canvas: &Canvas) {}\n"),
        ("docs/guide.md", "A releaseLease is no Lease of leases.\n"),
    ])
}

#[tokio::test]
async fn definitions_come_first_then_users_then_what_is_alike() {
    let index = index_of(service()).await;
    let query = ContextQuery { text: "let token = wait(1);".to_owned(), ..symbol("Lease") };
    let snippets = found(&index, &query, 10).await;
    assert_eq!(
        reasons(&snippets),
        [
            ("src/lease.rs".to_owned(), SnippetReason::Defines("Lease".to_owned())),
            ("docs/guide.md".to_owned(), SnippetReason::Uses("Lease".to_owned())),
            ("src/worker.rs".to_owned(), SnippetReason::Uses("Lease".to_owned())),
            ("src/clock.rs".to_owned(), SnippetReason::Similar),
        ]
    );
    assert!(snippets.is_sorted_by(|a, b| a.score > b.score), "best first");
    assert_eq!((snippets[0].start_line, snippets[0].end_line), (1, 8));
    assert_eq!(snippets[2].text, "fn run(lease: &mut Lease) {\n    lease.renew();\n}");
    assert_eq!(found(&index, &query, 2).await.len(), 2);
    assert_eq!(found(&index, &query, 0).await, []);
}

#[tokio::test]
async fn a_type_is_shown_where_it_is_defined_and_not_where_it_is_extended() {
    let mut written = service();
    for nth in 0..5 {
        written
            .insert(format!("src/a{nth}.rs"), format!("impl Trait{nth} for Lease {{\n    // token token token\n}}\n"));
    }
    let query = ContextQuery { text: "token".to_owned(), ..symbol("Lease") };
    assert_eq!(found(&index_of(written).await, &query, 1).await[0].path, "src/lease.rs".into());
}

#[tokio::test]
async fn parts_of_identifiers_are_found_whatever_their_style() {
    let index = index_of(files([
        ("a.py", "def retryWithBackoff(): pass\n"),
        ("b.py", "def retry_policy(): pass\n"),
        ("c.py", "def other_thing(): pass\n"),
    ]))
    .await;
    let both = found(&index, &text("RETRY"), 9).await;
    assert_eq!(both.iter().map(|s| s.path.display()).collect::<Vec<_>>(), ["a.py", "b.py"]);
    assert_eq!(found(&index, &text("the backoff"), 9).await[0].path, "a.py".into());
    assert_eq!(found(&index, &text("return if the def"), 9).await, [], "keywords say nothing");
}

#[tokio::test]
async fn a_name_that_stands_for_everything_leads_nowhere() {
    let mut written = files([("lib.rs", "fn start() {}\n")]);
    for nth in 0..30 {
        written.insert(format!("m{nth}.rs"), format!("fn build() {{ part{nth}() }}\n"));
    }
    let index = index_of(written).await;
    assert_eq!(found(&index, &symbol("build"), 9).await, []);
    assert_eq!(found(&index, &symbol("start"), 9).await.len(), 1);
    assert_eq!(found(&index, &symbol("Start"), 9).await, [], "symbols are told apart by case");
    assert_eq!(found(&index, &symbol(""), 9).await, []);
}

#[tokio::test]
async fn what_the_diff_shows_is_not_shown_again() {
    let index = index_of(service()).await;
    let shown = |start_line, end_line| ContextQuery {
        shown: vec![ShownLines { path: "src/lease.rs".into(), start_line, end_line }],
        ..symbol("Lease")
    };
    let has_lease = async |query| found(&index, &query, 9).await.iter().any(|s| s.path == "src/lease.rs".into());
    assert!(has_lease(symbol("Lease")).await);
    assert!(!has_lease(shown(2, 8)).await);
    assert!(has_lease(shown(7, 7)).await, "what is shown in small part is still worth showing");
    assert!(has_lease(shown(100, 200)).await);
    let left_out = ContextQuery { exclude: vec!["src/lease.rs".into()], ..symbol("Lease") };
    assert!(!has_lease(left_out).await);
}

#[tokio::test]
async fn copies_are_shown_once() {
    let same = "fn reconcile() {}\n";
    let index = index_of(files([("a/x.rs", same), ("b/x.rs", same), ("c.rs", "fn other() {}\n")])).await;
    let snippets = found(&index, &symbol("reconcile"), 9).await;
    assert_eq!(snippets.iter().map(|s| s.path.display()).collect::<Vec<_>>(), ["a/x.rs"]);
    let without = ContextQuery { exclude: vec!["a/x.rs".into()], ..symbol("reconcile") };
    assert_eq!(found(&index, &without, 9).await[0].path, "b/x.rs".into());
}

#[tokio::test]
async fn a_moved_index_reads_only_what_it_does_not_know() {
    let forge = Arc::new(Written::default());
    let mut written = service();
    written.insert("data.txt".to_owned(), "\0binary".to_owned());
    forge.put(&repository(0), &commit(0), written.clone());
    written.insert("src/unrelated.rs".to_owned(), "fn draw(brush: &Brush) {}\n".to_owned());
    written.remove("src/clock.rs");
    let moved = written.remove("src/worker.rs").unwrap();
    written.insert("src/run/worker.rs".to_owned(), moved);
    forge.put(&repository(0), &commit(1), written);

    let index = index(&forge);
    let first = index.ensure(&repository(0), &commit(0), None).await.unwrap();
    assert_eq!((first.files, first.files_read), (5, 6));
    let second = index.ensure(&repository(0), &commit(1), None).await.unwrap();
    assert_eq!((second.at, second.files, second.files_read), (commit(1), 4, 1));
    assert_eq!(forge.reads.load(Ordering::Relaxed), 7);
    assert_eq!(found(&index, &symbol("draw"), 9).await.len(), 1);
    assert_eq!(found(&index, &symbol("paint"), 9).await, []);
    assert_eq!(found(&index, &text("clock"), 9).await, []);
    let users = found(&index, &symbol("Lease"), 9).await;
    assert!(users.iter().any(|s| s.path == "src/run/worker.rs".into()), "{users:?}");
}

#[tokio::test]
async fn callers_that_want_the_same_share_the_work() {
    let forge = Arc::new(Written::default());
    forge.put(&repository(0), &commit(0), service());
    let index = index(&forge);
    let (name, at) = (repository(0), commit(0));
    let all = futures_util::future::join_all((0..20).map(|_| index.ensure(&name, &at, None))).await;
    let facts: Vec<IndexFacts> = all.into_iter().map(Result::unwrap).collect();
    assert!(facts.iter().all(|f| *f == facts[0]));
    assert_eq!(forge.reads.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_work_to_the_next() {
    let forge = Arc::new(Written::default());
    forge.put(&repository(0), &commit(0), service());
    let index = index(&forge);
    let (name, at) = (repository(0), commit(0));
    {
        let mut given_up = std::pin::pin!(index.ensure(&name, &at, None));
        assert!(futures_util::poll!(given_up.as_mut()).is_pending());
    }
    index.ensure(&name, &at, None).await.unwrap();
    assert_eq!(found(&index, &symbol("Lease"), 1).await.len(), 1);
}

#[tokio::test]
async fn a_failed_build_leaves_the_earlier_index_in_place() {
    let forge = Arc::new(Written::default());
    forge.put(&repository(0), &commit(0), service());
    forge.put(&repository(0), &commit(1), files([("new.rs", "fn new_one() {}\n")]));
    let index = index(&forge);
    index.ensure(&repository(0), &commit(0), None).await.unwrap();
    forge.away.store(true, Ordering::Relaxed);
    assert!(matches!(
        index.ensure(&repository(0), &commit(1), None).await,
        Err(ContextError::Forge(ForgeError::Unavailable { .. }))
    ));
    assert!(matches!(
        index.ensure(&repository(0), &commit(9), None).await,
        Err(ContextError::Forge(ForgeError::UnknownCommit { .. }))
    ));
    assert_eq!(found(&index, &symbol("Lease"), 1).await.len(), 1);
    assert!(index.ensure(&repository(7), &commit(0), None).await.is_err());
    assert_eq!(index.search(&repository(7), &symbol("Lease"), 9).await.unwrap(), []);
}

#[tokio::test]
async fn the_repository_used_longest_ago_gives_way() {
    let forge = Arc::new(Written::default());
    for nth in 0..3 {
        forge.put(&repository(nth), &commit(0), service());
    }
    let settings = LexicalSettings { repositories_max: 2, ..LexicalSettings::default() };
    let index = LexicalIndex::new(Arc::clone(&forge) as Arc<dyn Forge>, settings);
    let answers = async |nth| !index.search(&repository(nth), &symbol("Lease"), 1).await.unwrap().is_empty();
    index.ensure(&repository(0), &commit(0), None).await.unwrap();
    index.ensure(&repository(1), &commit(0), None).await.unwrap();
    assert!(answers(0).await, "which makes the other one the oldest");
    index.ensure(&repository(2), &commit(0), None).await.unwrap();
    assert!(answers(0).await && answers(2).await && !answers(1).await);
    assert_eq!(index.ensure(&repository(1), &commit(0), None).await.unwrap().files_read, 5);
}

#[tokio::test]
async fn limits_are_told_and_large_files_left_out() {
    let forge = Arc::new(Written::default());
    forge.put(&repository(0), &commit(0), service());
    for (settings, says) in [
        (LexicalSettings { files_max: 4, ..LexicalSettings::default() }, "5 files, at most 4"),
        (LexicalSettings { repository_bytes_max: 10, ..LexicalSettings::default() }, "bytes, at most 10"),
    ] {
        let index = LexicalIndex::new(Arc::clone(&forge) as Arc<dyn Forge>, settings);
        let error = index.ensure(&repository(0), &commit(0), None).await.unwrap_err();
        assert!(matches!(&error, ContextError::TooLarge(what) if what.contains(says)), "{error}");
    }
    let settings = LexicalSettings { file_bytes_max: 50, ..LexicalSettings::default() };
    let index = LexicalIndex::new(Arc::clone(&forge) as Arc<dyn Forge>, settings);
    assert_eq!(index.ensure(&repository(0), &commit(0), None).await.unwrap().files, 3);
}

#[tokio::test]
async fn progress_ends_at_all_files() {
    let forge = Arc::new(Written::default());
    let lines = "let number = other_number;\n".repeat(8_000);
    let many = (0..12).map(|nth| (format!("f{nth:02}.rs"), format!("// {nth}\n{lines}")));
    forge.put(&repository(0), &commit(0), many.collect());
    let told = Mutex::new(Vec::new());
    let tell = |done, all| told.lock().unwrap().push((done, all));
    index(&forge).ensure(&repository(0), &commit(0), Some(&tell)).await.unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.is_sorted() && told.len() > 2, "{told:?}");
    assert_eq!((told.first(), told.last()), (Some(&(0, 12)), Some(&(12, 12))));
}

/// Files of words that differ in case and in their parts, some of them defined, some of them blank.
fn any_files() -> impl Strategy<Value = Files> {
    let word = prop::sample::select(vec!["alpha", "Alpha", "beta_gamma", "betaGamma", "delta", "x1", "größe"]);
    let line = prop_oneof![
        4 => prop::collection::vec(word.clone(), 0..5).prop_map(|words| words.join(" ")),
        1 => word.prop_map(|name| format!("fn {name}() {{")),
    ];
    let content = prop::collection::vec(line, 0..90).prop_map(|lines| lines.join("\n"));
    let path = prop::sample::select(vec!["a.rs", "b.rs", "dir/c.rs", "d.py", "e.md", "f.rs"]).prop_map(str::to_owned);
    prop::collection::btree_map(path, content, 0..6)
}

fn any_query() -> impl Strategy<Value = ContextQuery> {
    let words = vec!["alpha", "Alpha", "beta_gamma", "betaGamma", "gamma", "delta", "x1", "größe", "none"];
    let word = prop::sample::select(words).prop_map(str::to_owned);
    (prop::collection::vec(word.clone(), 0..6), prop::collection::vec(word, 0..4))
        .prop_map(|(text, symbols)| ContextQuery { text: text.join(" "), symbols, ..ContextQuery::default() })
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_snippet_is_of_the_repository_that_was_asked(
        mine in any_files(), others in any_files(), query in any_query(), limit in 0_usize..30,
    ) {
        let mark = |files: Files, mark: &str| -> Files {
            files.into_iter().map(|(path, content)| (path, format!("// {mark}\n{content}"))).collect()
        };
        let (mine, others) = (mark(mine, "mine"), mark(others, "others"));
        run(async {
            let forge = Arc::new(Written::default());
            forge.put(&repository(0), &commit(0), mine.clone());
            forge.put(&repository(1), &commit(0), others);
            let index = index(&forge);
            index.ensure(&repository(0), &commit(0), None).await.unwrap();
            index.ensure(&repository(1), &commit(0), None).await.unwrap();
            let snippets = found(&index, &query, limit).await;
            assert!(snippets.len() <= limit);
            for snippet in snippets {
                let lines: Vec<&str> = mine[&*snippet.path.display()].lines().map(str::trim_end).collect();
                let (first, last) = (snippet.start_line as usize - 1, snippet.end_line as usize);
                let text: Vec<&str> = snippet.text.lines().map(str::trim_end).collect();
                assert_eq!(text, lines[first..last], "{snippet:?}");
            }
        });
    }

    #[test]
    fn a_moved_index_answers_like_a_new_one(
        before in any_files(), after in any_files(), query in any_query(),
    ) {
        run(async {
            let forge = Arc::new(Written::default());
            forge.put(&repository(0), &commit(0), before);
            forge.put(&repository(0), &commit(1), after);
            let (moved, new) = (index(&forge), index(&forge));
            moved.ensure(&repository(0), &commit(0), None).await.unwrap();
            let moved_facts = moved.ensure(&repository(0), &commit(1), None).await.unwrap();
            let new_facts = new.ensure(&repository(0), &commit(1), None).await.unwrap();
            assert_eq!((moved_facts.chunks, moved_facts.bytes), (new_facts.chunks, new_facts.bytes));
            assert_eq!(found(&moved, &query, 20).await, found(&new, &query, 20).await);
        });
    }
}
