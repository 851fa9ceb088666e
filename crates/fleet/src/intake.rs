use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use job::{
    Concurrency, ConcurrencyKey, JobId, JobKind, LimitClass, Payload, PayloadError, QueueName, TextError, Unique,
    UniqueKey,
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

    /// The job for a change. Without a tier, the default one's.
    pub fn job(
        &self,
        change: Change,
        user: String,
        tier: Option<&str>,
        trace_parent: Option<String>,
    ) -> Result<NewJob, IntakeError> {
        self.check_repository(&change.repository)?;
        if !(1..=USER_BYTES_MAX).contains(&user.len()) || user.contains(char::is_control) {
            return Err(Refusal::User(user).into());
        }
        let (tier, settings) = self.tier(tier)?;
        let key = ConcurrencyKey::new(format!("user:{user}"))?;
        let unique = Unique { key: unique_key(&change)?, window: self.unique_window };
        Ok(NewJob {
            id: JobId::from(Uuid::now_v7()),
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            payload: Payload::of(&ReviewJob { change, user, tier: tier.to_string() })?,
            priority: settings.priority,
            weight: settings.weight,
            concurrency: Some(Concurrency { key, class: self.class.clone() }),
            unique: Some(unique),
            supersede: None,
            run_at: None,
            max_attempts: self.max_attempts,
            timeout: settings.timeout,
            trace_parent,
        })
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

/// Names a change in few bytes: a start for people to read, and a digest over all of it. None of the digest's parts can
/// hold the NUL between them, so that no two changes run together.
fn unique_key(change: &Change) -> Result<UniqueKey, TextError> {
    let base = change.base.as_ref().map_or("", CommitId::as_str);
    let mut digest = Sha256::new();
    for part in [change.repository.as_str(), base, change.head.as_str()] {
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
        let keys: BTreeSet<_> = changes.iter().map(|c| unique_key(c).unwrap()).collect();
        assert_eq!(keys.len(), changes.len());
        assert_eq!(unique_key(&changes[0]).unwrap(), unique_key(&change("acme/widgets", None, 'A')).unwrap());
    }

    #[test]
    fn a_refusal_names_what_is_allowed() {
        let config = Config { forge: crate::ForgeConfig::default(), ..Config::default() };
        let intake = Intake::of(&config).unwrap();
        let ask = |user: &str, tier| intake.job(change("acme/widgets", None, 'a'), user.to_owned(), tier, None);
        assert_eq!(
            ask("ann", None).unwrap_err().to_string(),
            "there is no repository acme/widgets here: allowed are none, since none is configured"
        );
        let intake = Intake { repositories: None, ..intake.clone() };
        let ask = |user: &str, tier| intake.job(change("acme/widgets", None, 'a'), user.to_owned(), tier, None);
        assert!(ask("ann", Some("PRO")).is_ok());
        assert_eq!(
            ask("ann", Some("GOLD")).unwrap_err().to_string(),
            "there is no tier \"GOLD\": allowed are ENTERPRISE, FREE, PRO, TEAM"
        );
        assert!(ask("", None).unwrap_err().to_string().contains("1 to 128 bytes"));
        assert!(ask("a\nb", None).is_err() && ask(&"x".repeat(129), None).is_err());
    }
}
