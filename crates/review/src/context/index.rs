use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    files,
    search::search,
    snapshot::{Builder, Snapshot},
};
use crate::{
    CommitId, ContextError, ContextQuery, ContextSource, Forge, ForgeError, RepositoryName, Snippet, TreeFile,
    diff::RepoPath,
};

/// Files that are asked of the forge at once.
const READS_AT_ONCE: usize = 4;
/// Bytes of files that are indexed in one go, on a thread where that may take its time.
const BATCH_BYTES: usize = 1 << 20;

/// Bytes of a file whatever the settings say: positions in a text have 32 bits, and replacing bytes that are no UTF-8 can
/// make it three times as long.
const FILE_BYTES_LIMIT: u64 = 1 << 30;
/// Bytes of a repository whatever the settings say: its words are counted in 32 bits.
const REPOSITORY_BYTES_LIMIT: u64 = 1 << 31;

/// Limits of [`LexicalIndex`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LexicalSettings {
    /// Repositories held at once; the one that was asked for longest ago goes first.
    pub repositories_max: usize,
    /// Files of a repository, without those that are left out by their path.
    pub files_max: usize,
    /// Bytes of these files together, at most 2 GiB.
    pub repository_bytes_max: u64,
    /// Bytes of a file, at most 1 GiB; a larger one is left out.
    pub file_bytes_max: u64,
    /// How long an index is taken for current wherever the repository has moved on to.
    pub fresh_for: Duration,
}

impl Default for LexicalSettings {
    /// 8 repositories of at most 100,000 files and 256 MiB, files up to 256 KiB: larger ones are seldom written by hand.
    fn default() -> Self {
        Self {
            repositories_max: 8,
            files_max: 100_000,
            repository_bytes_max: 256 << 20,
            file_bytes_max: 256 << 10,
            fresh_for: Duration::from_mins(5),
        }
    }
}

/// What is known of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFacts {
    /// The commit it stands at.
    pub at: CommitId,
    /// Contents that can be found; copies count once.
    pub files: usize,
    /// Contents that had to be read, since no earlier index knew them.
    pub files_read: usize,
    /// Windows of files.
    pub chunks: usize,
    /// About how many bytes of memory it takes.
    pub bytes: u64,
    /// How long it took to make.
    pub took: Duration,
}

/// Told how many files of how many are done.
type Progress<'a> = &'a (dyn Fn(usize, usize) + Send + Sync);

/// A lexical index in memory for each repository that is asked for, made of what a forge holds.
pub struct LexicalIndex {
    forge: Arc<dyn Forge>,
    settings: LexicalSettings,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    by_name: HashMap<RepositoryName, Slot>,
    /// Counts the uses, so that the one longest ago is known.
    uses: u64,
}

#[derive(Default)]
struct Slot {
    /// Held by the one that builds; the others wait for it and find the work done.
    turn: Arc<tokio::sync::Mutex<()>>,
    ready: Option<Ready>,
    used: u64,
}

#[derive(Clone)]
struct Ready {
    snapshot: Arc<Snapshot>,
    facts: IndexFacts,
    made: Instant,
}

impl std::fmt::Debug for LexicalIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LexicalIndex").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl LexicalIndex {
    /// An empty index over a forge's repositories.
    pub fn new(forge: Arc<dyn Forge>, settings: LexicalSettings) -> Self {
        let settings = LexicalSettings {
            repository_bytes_max: settings.repository_bytes_max.min(REPOSITORY_BYTES_LIMIT),
            file_bytes_max: settings.file_bytes_max.min(FILE_BYTES_LIMIT),
            ..settings
        };
        Self { forge, settings, slots: Mutex::default() }
    }

    /// Makes the index of a repository stand at a commit, and waits for it. Callers that want the same share the work;
    /// an index at another commit is moved, and reads the contents only that it does not know. What is asked of the
    /// repository meanwhile is answered from where it stood. `progress` is told of files done and files to read.
    ///
    /// Lines that a query names as shown are those of the change's head, so that this is the commit to stand at.
    pub async fn ensure(
        &self,
        repository: &RepositoryName,
        at: &CommitId,
        progress: Option<Progress<'_>>,
    ) -> Result<IndexFacts, ContextError> {
        let turn = self.turn(repository);
        let built = {
            let _turn = turn.lock().await;
            let old = self.ready(repository);
            match old {
                Some(ready) if ready.snapshot.at == *at => Ok(ready.facts),
                old => self.build(repository, at, old.map(|r| r.snapshot), progress).await.map(|ready| {
                    let facts = ready.facts.clone();
                    self.put(repository, ready);
                    facts
                }),
            }
        };
        drop(turn);
        self.forget();
        built
    }

    async fn build(
        &self,
        repository: &RepositoryName,
        at: &CommitId,
        old: Option<Arc<Snapshot>>,
        progress: Option<Progress<'_>>,
    ) -> Result<Ready, ContextError> {
        let started = Instant::now();
        let mut paths = by_content(self.listed(repository, at).await?);
        let known = old.as_ref().map(|o| o.known()).unwrap_or_default();
        let mut unread: Vec<(String, Vec<RepoPath>)> =
            paths.extract_if(|id, paths| !known.get(id.as_str()).is_some_and(|k| k.fits(paths))).collect();
        drop(known);
        // By path, so that neighbours are read together and progress looks the same each time.
        unread.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        let mut builder = Builder::new();
        if let Some(old) = old {
            builder = blocking(move || {
                builder.keep(&old, &mut paths);
                builder
            })
            .await?;
        }
        let files_read = unread.len();
        builder = self.read(repository, at, unread, builder, progress).await?;
        let commit = at.clone();
        let snapshot = blocking(move || builder.finish(commit)).await?;
        let facts = IndexFacts {
            at: at.clone(),
            files: snapshot.files.len(),
            files_read,
            chunks: snapshot.chunks.len(),
            bytes: snapshot.bytes(),
            took: started.elapsed(),
        };
        Ok(Ready { snapshot: Arc::new(snapshot), facts, made: Instant::now() })
    }

    /// The files of a commit that can be indexed.
    async fn listed(&self, repository: &RepositoryName, at: &CommitId) -> Result<Vec<TreeFile>, ContextError> {
        let settings = self.settings;
        let mut listed = self.forge.tree(repository, at).await?;
        listed.retain(|f| f.bytes <= settings.file_bytes_max && files::is_source(&f.path));
        if listed.len() > settings.files_max {
            return Err(ContextError::TooLarge(format!("{} files, at most {}", listed.len(), settings.files_max)));
        }
        let bytes = listed.iter().fold(0_u64, |sum, f| sum.saturating_add(f.bytes));
        if bytes > settings.repository_bytes_max {
            return Err(ContextError::TooLarge(format!("{bytes} bytes, at most {}", settings.repository_bytes_max)));
        }
        Ok(listed)
    }

    async fn read(
        &self,
        repository: &RepositoryName,
        at: &CommitId,
        unread: Vec<(String, Vec<RepoPath>)>,
        mut builder: Builder,
        progress: Option<Progress<'_>>,
    ) -> Result<Builder, ContextError> {
        let (all, mut done) = (unread.len(), 0);
        let tell = |done| {
            if let Some(tell) = progress {
                tell(done, all);
            }
        };
        tell(0);
        let read = |(id, paths): (String, Vec<RepoPath>)| async move {
            let content = match paths.first() {
                Some(path) => self.forge.file(repository, at, path).await?,
                None => None,
            };
            Ok::<_, ForgeError>((id, paths, content))
        };
        let mut contents = stream::iter(unread).map(read).buffered(READS_AT_ONCE);
        let (mut batch, mut batch_bytes) = (Vec::new(), 0);
        while let Some((id, paths, content)) = contents.try_next().await? {
            batch_bytes += content.as_ref().map_or(0, Bytes::len);
            batch.push((id, paths, content));
            if batch_bytes >= BATCH_BYTES {
                done += batch.len();
                builder = add(builder, std::mem::take(&mut batch)).await?;
                batch_bytes = 0;
                tell(done);
            }
        }
        builder = add(builder, batch).await?;
        tell(all);
        Ok(builder)
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // Nothing in here can panic half-way.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, repository: &RepositoryName) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.lock().by_name.entry(repository.clone()).or_default().turn)
    }

    fn ready(&self, repository: &RepositoryName) -> Option<Ready> {
        let mut slots = self.lock();
        slots.uses += 1;
        let uses = slots.uses;
        let slot = slots.by_name.get_mut(repository)?;
        slot.used = uses;
        slot.ready.clone()
    }

    fn put(&self, repository: &RepositoryName, ready: Ready) {
        let mut slots = self.lock();
        slots.uses += 1;
        let used = slots.uses;
        let slot = slots.by_name.entry(repository.clone()).or_default();
        (slot.ready, slot.used) = (Some(ready), used);
        while slots.by_name.values().filter(|s| s.ready.is_some()).count() > self.settings.repositories_max.max(1) {
            let oldest = slots.by_name.values_mut().filter(|s| s.ready.is_some()).min_by_key(|s| s.used);
            if let Some(slot) = oldest {
                slot.ready = None;
            }
        }
    }

    /// Lets go of repositories that have no index and that nobody waits for.
    fn forget(&self) {
        self.lock().by_name.retain(|_, slot| slot.ready.is_some() || Arc::strong_count(&slot.turn) > 1);
    }
}

#[async_trait]
impl ContextSource for LexicalIndex {
    /// An index that was made less than [`LexicalSettings::fresh_for`] ago stays where it stands: commits of one
    /// repository differ little, and moving costs a walk over all its files.
    async fn prepare(&self, repository: &RepositoryName, at: &CommitId) -> Result<(), ContextError> {
        match self.ready(repository) {
            Some(ready) if ready.made.elapsed() < self.settings.fresh_for => Ok(()),
            _ => self.ensure(repository, at, None).await.map(|_| ()),
        }
    }

    /// Answers from the repository's index as [`LexicalIndex::ensure`] made it last; with nothing, if it did not or if the
    /// index had to give way to others.
    async fn search(
        &self,
        repository: &RepositoryName,
        query: &ContextQuery,
        limit: usize,
    ) -> Result<Vec<Snippet>, ContextError> {
        let Some(ready) = self.ready(repository) else { return Ok(Vec::new()) };
        let query = query.clone();
        blocking(move || search(&ready.snapshot, &query, limit)).await
    }
}

fn by_content(listed: Vec<TreeFile>) -> HashMap<String, Vec<RepoPath>> {
    let mut paths: HashMap<String, Vec<RepoPath>> = HashMap::new();
    for file in listed {
        paths.entry(file.content_id).or_default().push(file.path);
    }
    for copies in paths.values_mut() {
        copies.sort_unstable();
    }
    paths
}

async fn add(
    mut builder: Builder,
    batch: Vec<(String, Vec<RepoPath>, Option<Bytes>)>,
) -> Result<Builder, ContextError> {
    blocking(move || {
        for (id, paths, content) in batch {
            builder.add(&id, paths, content.as_deref().and_then(files::readable));
        }
        builder
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ContextError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| ForgeError::Unavailable { what: "working on the index", source: Box::new(e) }.into())
}
