use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use jiff::Timestamp;
use job::{
    Concurrency, ConcurrencyKey, JobId, JobKind, LimitClass, Payload, PayloadError, QueueName, Supersede, SupersedeKey,
    TextError, Unique, UniqueKey, Version, VersionId,
};
use review::{Change, CommitId, RepositoryName};
use sha2::{Digest, Sha256};
use store::NewJob;
use uuid::Uuid;

use crate::{Config, ForgeKind, REVIEW_QUEUE, ReviewJob, TierConfig, TierName, USER_CLASS};

/// Most bytes of a user's name; it is part of a concurrency key, and stands in lists.
const USER_BYTES_MAX: usize = 128;
/// The rule for a user's name, in words.
pub const USER_ALLOWED: &str = "1 to 128 bytes without control characters";
/// The greatest number of a pull request that any forge gives.
const PULL_REQUEST_MAX: u32 = 2_147_483_647;
/// The rule for a pull request's number, in words.
pub const PULL_REQUEST_ALLOWED: &str = "a whole number from 1 to 2147483647";
/// Most repositories that a refusal names.
const REPOSITORIES_NAMED_MAX: usize = 20;

/// Makes jobs of the reviews that are asked for, with rank, limit and identity as the configuration says. The API and the
/// command line use the same one, so that the same change is the same job by either way.
#[derive(Debug, Clone)]
pub struct Intake {
    queue: QueueName,
    kind: JobKind,
    class: LimitClass,
    unique_window: Duration,
    max_attempts: u32,
    tiers: BTreeMap<TierName, TierConfig>,
    default_tier: TierName,
    /// All that there are, where they are known beforehand. `None`: the forge decides when the review runs.
    repositories: Option<BTreeSet<RepositoryName>>,
}

/// The push that made a commit the head of a pull request. Of the reviews of a pull request only that of the newest push is
/// wanted, whoever has pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push {
    /// The pull request's number, from 1 to 2,147,483,647.
    pub pull_request: u32,
    /// When it was pushed, by the forge's clock. A head that is pushed again later is another push.
    pub at: Timestamp,
}

/// Why a review is not taken on: which field, and what is allowed there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too short, too long, or with control characters.
    #[error("{0:?} is no user: allowed are {USER_ALLOWED}")]
    User(String),
    /// None of the configured ones.
    #[error("there is no tier {tier:?}: allowed are {allowed}")]
    Tier {
        /// What was asked for.
        tier: String,
        /// Which ones there are.
        allowed: String,
    },
    /// Zero, or greater than any forge gives.
    #[error("{0} is no pull request: allowed is {PULL_REQUEST_ALLOWED}")]
    PullRequest(u32),
    /// None of this service's.
    #[error("there is no repository {repository} here: allowed are {allowed}")]
    Repository {
        /// What was asked for.
        repository: RepositoryName,
        /// Which ones there are.
        allowed: String,
    },
}

/// Why no job came about.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// What was asked for cannot be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A name or key came out that the queue does not take.
    #[error("the job's names cannot be made")]
    Text(#[from] TextError),
    /// The payload came out as one that the queue does not take.
    #[error("the job's payload cannot be made")]
    Payload(#[from] PayloadError),
}

impl Intake {
    /// As the configuration says.
    pub fn of(config: &Config) -> Result<Self, TextError> {
        let queue = QueueName::new(REVIEW_QUEUE)?;
        Ok(Self {
            unique_window: config.queues.get(&queue).cloned().unwrap_or_default().unique_window,
            queue,
            kind: JobKind::new(ReviewJob::KIND)?,
            class: LimitClass::new(USER_CLASS)?,
            max_attempts: config.retry.max_attempts(),
            tiers: config.tiers.clone(),
            default_tier: config.api.default_tier.clone(),
            repositories: match config.forge.kind {
                ForgeKind::Local => Some(config.forge.repositories.keys().cloned().collect()),
            },
        })
    }

    /// The job for a change. Without a tier, the default one's. One for a push takes the place of those for earlier pushes to
    /// the same pull request, and comes to nothing after a later one.
    pub fn job(
        &self,
        change: Change,
        user: String,
        tier: Option<&str>,
        push: Option<Push>,
        trace_parent: Option<String>,
    ) -> Result<NewJob, IntakeError> {
        self.check_repository(&change.repository)?;
        if !(1..=USER_BYTES_MAX).contains(&user.len()) || user.contains(char::is_control) {
            return Err(Refusal::User(user).into());
        }
        let pull_request = push.map(|push| push.pull_request);
        if let Some(number) = pull_request.filter(|number| !(1..=PULL_REQUEST_MAX).contains(number)) {
            return Err(Refusal::PullRequest(number).into());
        }
        let (tier, settings) = self.tier(tier)?;
        let key = ConcurrencyKey::new(format!("user:{user}"))?;
        let unique = Unique { key: unique_key(&change, pull_request)?, window: self.unique_window };
        let supersede = push.map(|push| supersede(&change, push)).transpose()?;
        Ok(NewJob {
            id: JobId::from(Uuid::now_v7()),
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            payload: Payload::of(&ReviewJob { change, user, tier: tier.to_string(), pull_request })?,
            priority: settings.priority,
            weight: settings.weight,
            concurrency: Some(Concurrency { key, class: self.class.clone() }),
            unique: Some(unique),
            supersede,
            run_at: None,
            max_attempts: self.max_attempts,
            timeout: settings.timeout,
            trace_parent,
        })
    }

    /// Reviews that a user of a tier, or of the default one, has a day, with the tier's name; `None` where there is no quota.
    pub fn quota(&self, tier: Option<&str>) -> Option<(&TierName, u32)> {
        let (tier, settings) = self.tier(tier).ok()?;
        settings.daily.map(|daily| (tier, daily))
    }

    fn tier(&self, name: Option<&str>) -> Result<(&TierName, &TierConfig), Refusal> {
        let name = name.unwrap_or(self.default_tier.as_str());
        self.tiers.iter().find(|(tier, _)| tier.as_str() == name).ok_or_else(|| Refusal::Tier {
            tier: name.to_owned(),
            allowed: self.tiers.keys().map(TierName::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    fn check_repository(&self, repository: &RepositoryName) -> Result<(), Refusal> {
        match &self.repositories {
            Some(known) if !known.contains(repository) => {
                Err(Refusal::Repository { repository: repository.clone(), allowed: named(known) })
            }
            _ => Ok(()),
        }
    }
}

fn named(repositories: &BTreeSet<RepositoryName>) -> String {
    if repositories.is_empty() {
        return "none, since none is configured".to_owned();
    }
    let named: Vec<_> = repositories.iter().take(REPOSITORIES_NAMED_MAX).map(RepositoryName::as_str).collect();
    match repositories.len() - named.len() {
        0 => named.join(", "),
        more => format!("{}, and {more} more", named.join(", ")),
    }
}

/// The head is the version's id: two pushes within one tick of the forge's clock are two versions.
fn supersede(change: &Change, push: Push) -> Result<Supersede, TextError> {
    let key = SupersedeKey::new(format!("{}#{}", change.repository, push.pull_request))?;
    Ok(Supersede { key, version: Version { at: push.at, id: VersionId::new(change.head.as_str())? } })
}

/// Names a change in few bytes: a start for people to read, and a digest over all of it. None of the digest's parts can
/// hold the NUL between them, so that no two changes run together. In two pull requests a change is reviewed twice: the
/// second would be without its review when a push to the first supersedes that.
fn unique_key(change: &Change, pull_request: Option<u32>) -> Result<UniqueKey, TextError> {
    let base = change.base.as_ref().map_or("", CommitId::as_str);
    let number = pull_request.map(|number| number.to_string());
    let mut digest = Sha256::new();
    for part in [change.repository.as_str(), base, change.head.as_str()].into_iter().chain(number.as_deref()) {
        digest.update(part);
        digest.update([0]);
    }
    let mut key = format!("review:{}:", change.head.short());
    for byte in digest.finalize() {
        // Writing to a string does not fail.
        let _ = write!(key, "{byte:02x}");
    }
    UniqueKey::new(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(repository: &str, base: Option<char>, head: char) -> Change {
        let commit = |c: char| c.to_string().repeat(40).parse().unwrap();
        Change { repository: repository.parse().unwrap(), head: commit(head), base: base.map(commit) }
    }

    #[test]
    fn each_change_has_a_unique_key_of_its_own() {
        let changes = [
            change("acme/widgets", None, 'a'),
            change("acme/widgets", None, 'b'),
            change("acme/widgets", Some('b'), 'a'),
            change("acme/widgets", Some('a'), 'b'),
            change("acme/widget", None, 'a'),
            change("acme/widget", Some('b'), 'a'),
            // Written one after the other, its parts are those of the change above.
            change(&format!("acme/widget{}", "b".repeat(40)), None, 'a'),
            change(&format!("{}/{}", "x".repeat(100), "y".repeat(100)), Some('b'), 'a'),
        ];
        let keys: BTreeSet<_> = changes
            .iter()
            .flat_map(|c| [None, Some(1), Some(11)].map(|number| unique_key(c, number).unwrap()))
            .collect();
        assert_eq!(keys.len(), 3 * changes.len());
        let in_capitals = change("acme/widgets", None, 'A');
        assert_eq!(unique_key(&changes[0], None).unwrap(), unique_key(&in_capitals, None).unwrap());
    }

    #[test]
    fn a_refusal_names_what_is_allowed() {
        let config = Config { forge: crate::ForgeConfig::default(), ..Config::default() };
        let intake = Intake::of(&config).unwrap();
        let ask = |user: &str, tier| intake.job(change("acme/widgets", None, 'a'), user.to_owned(), tier, None, None);
        assert_eq!(
            ask("ann", None).unwrap_err().to_string(),
            "there is no repository acme/widgets here: allowed are none, since none is configured"
        );
        let intake = Intake { repositories: None, ..intake.clone() };
        let ask = |user: &str, tier| intake.job(change("acme/widgets", None, 'a'), user.to_owned(), tier, None, None);
        assert!(ask("ann", Some("PRO")).is_ok());
        assert_eq!(
            ask("ann", Some("GOLD")).unwrap_err().to_string(),
            "there is no tier \"GOLD\": allowed are ENTERPRISE, FREE, PRO, TEAM"
        );
        assert!(ask("", None).unwrap_err().to_string().contains("1 to 128 bytes"));
        assert!(ask("a\nb", None).is_err() && ask(&"x".repeat(129), None).is_err());
    }

    #[test]
    fn pushes_to_a_pull_request_are_versions_of_one_key_whoever_pushes() {
        let intake = Intake { repositories: None, ..Intake::of(&Config::default()).unwrap() };
        let job = |user: &str, head, pull_request, second| {
            let push = Push { pull_request, at: Timestamp::from_second(second).unwrap() };
            intake.job(change("acme/widgets", None, head), user.to_owned(), None, Some(push), None)
        };
        let (first, second) = (job("ann", 'a', 123, 1).unwrap(), job("bob", 'b', 123, 2).unwrap());
        assert_eq!(first.payload.to::<ReviewJob>().unwrap().pull_request, Some(123));
        let (first, second) = (first.supersede.unwrap(), second.supersede.unwrap());
        assert_eq!(first.key.as_str(), "acme/widgets#123");
        assert_eq!((first.key == second.key, first.version.is_older_than(&second.version)), (true, true));
        assert_ne!(job("ann", 'a', 124, 1).unwrap().supersede.unwrap().key, first.key);
        let longest = format!("{}/{}", "o".repeat(100), "n".repeat(100));
        let push = Push { pull_request: PULL_REQUEST_MAX, at: Timestamp::MAX };
        assert!(intake.job(change(&longest, None, 'a'), "ann".into(), None, Some(push), None).is_ok());
        for number in [0, PULL_REQUEST_MAX + 1, u32::MAX] {
            let error = job("ann", 'a', number, 1).unwrap_err().to_string();
            assert!(error.contains("a whole number from 1 to 2147483647"), "{error}");
        }
    }

    #[test]
    fn a_payload_from_before_pull_requests_were_named_is_read() {
        let head = "a".repeat(40);
        let change = format!(r#"{{"repository":"acme/widgets","head":"{head}","base":null}}"#);
        let old = Payload::parse(format!(r#"{{"change":{change},"user":"u","tier":"PRO"}}"#)).unwrap();
        assert_eq!(old.to::<ReviewJob>().unwrap().pull_request, None);
        let intake = Intake { repositories: None, ..Intake::of(&Config::default()).unwrap() };
        let new = intake.job(self::change("acme/widgets", None, 'a'), "u".into(), None, None, None).unwrap();
        assert!(!new.payload.as_str().contains("pull_request"));
    }
}
