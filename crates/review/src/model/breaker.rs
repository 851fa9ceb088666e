use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{LanguageModel, ModelAnswer, ModelError, ModelErrorKind, ModelRequest, TokenUsage};

/// How long a single call may try a model whose breaker was open, before the next one may. It need not end: a call whose
/// caller gave up tells nothing.
const TRIAL: Duration = Duration::from_secs(30);

/// When a model is left alone, so that its calls fail at once and the next model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Calls that fail in a row, each after the adapter's own retries, before the model is left alone.
    pub failures_max: u32,
    /// For how long.
    pub open: Duration,
    /// For how long after a limit that no short wait mends.
    pub sticky: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures_max: 5, open: Duration::from_secs(30), sticky: Duration::from_mins(15) }
    }
}

/// A model that is left alone for a while when it keeps failing.
pub(super) struct Guarded {
    model: Arc<dyn LanguageModel>,
    settings: BreakerSettings,
    breaker: Mutex<Breaker>,
}

/// What the last calls told. Times are this process's monotonic ones and are compared with no other's.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Instant,
    sticky: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Works,
    Fails,
    UsedUp,
}

impl Guarded {
    pub(super) fn new(model: Arc<dyn LanguageModel>, settings: BreakerSettings) -> Self {
        Self { model, settings, breaker: Mutex::default() }
    }

    /// No code panics while it holds the lock, and each write leaves a valid state: a poisoned one is as good.
    fn with<T>(&self, f: impl FnOnce(&mut Breaker) -> T) -> T {
        f(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn refusal(&self, open: Open, now: Instant) -> ModelError {
        let left = open.until.saturating_duration_since(now);
        let kind = if open.sticky {
            ModelErrorKind::RateLimited { retry_after: Some(left), sticky: true }
        } else {
            ModelErrorKind::Unavailable(format!("left alone for {} s more after failures in a row", left.as_secs()))
        };
        ModelError { model: self.model.name().to_owned(), kind, usage: TokenUsage::default() }
    }
}

#[async_trait]
impl LanguageModel for Guarded {
    fn name(&self) -> &str {
        self.model.name()
    }

    async fn generate(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError> {
        let now = Instant::now();
        self.with(|b| b.admit(now)).map_err(|open| self.refusal(open, now))?;
        let result = self.model.generate(request).await;
        let verdict = Verdict::of(&result);
        if self.with(|b| b.record(verdict, Instant::now(), &self.settings)) {
            tracing::warn!(model = self.name(), ?verdict, "a model is left alone for a while");
        }
        result
    }
}

impl Verdict {
    const fn of(result: &Result<ModelAnswer, ModelError>) -> Self {
        match result {
            // Whoever refuses or withholds, or writes nonsense, is there: another question may do better.
            Ok(_) => Self::Works,
            Err(error) => match error.kind {
                ModelErrorKind::RateLimited { sticky: true, .. } => Self::UsedUp,
                ModelErrorKind::Unavailable(_) | ModelErrorKind::RateLimited { .. } | ModelErrorKind::Unauthorized => {
                    Self::Fails
                }
                ModelErrorKind::Refused(_) | ModelErrorKind::Unreadable(_) | ModelErrorKind::Blocked(_) => Self::Works,
            },
        }
    }
}

impl Breaker {
    fn admit(&mut self, now: Instant) -> Result<(), Open> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if now < open.until {
            return Err(*open);
        }
        // This call is the trial; it alone, until it has told or its time is over.
        open.until = now + TRIAL;
        Ok(())
    }

    /// Whether the model is left alone from now on.
    fn record(&mut self, verdict: Verdict, now: Instant, settings: &BreakerSettings) -> bool {
        let was_open = self.open.is_some();
        match verdict {
            Verdict::Works => *self = Self::default(),
            Verdict::UsedUp => self.open = Some(Open { until: now + settings.sticky, sticky: true }),
            Verdict::Fails => {
                self.failures = self.failures.saturating_add(1);
                // Calls that began before a sticky limit was known must not shorten it.
                let keeps = self.open.is_some_and(|o| o.until > now + settings.open);
                if self.failures >= settings.failures_max && !keeps {
                    self.open = Some(Open { until: now + settings.open, sticky: false });
                }
            }
        }
        !was_open && self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{Finish, model::testing};

    const SETTINGS: BreakerSettings =
        BreakerSettings { failures_max: 3, open: Duration::from_mins(1), sticky: Duration::from_mins(10) };

    fn failed(breaker: &mut Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.record(Verdict::Fails, now, &SETTINGS);
        }
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        failed(&mut breaker, 2, now);
        breaker.record(Verdict::Works, now, &SETTINGS);
        failed(&mut breaker, 2, now);
        assert!(breaker.admit(now).is_ok());
        failed(&mut breaker, 1, now);
        assert!(breaker.admit(now).is_err());
        assert!(breaker.admit(now + SETTINGS.open.mul_f64(0.99)).is_err());
    }

    #[test]
    fn after_its_time_one_call_tries_and_decides() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        failed(&mut breaker, 3, now);
        let later = now + SETTINGS.open;
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later).is_err(), "a second trial beside the first");
        failed(&mut breaker, 1, later);
        assert!(breaker.admit(later + SETTINGS.open / 2).is_err());
        let latest = later + SETTINGS.open;
        assert!(breaker.admit(latest).is_ok());
        breaker.record(Verdict::Works, latest, &SETTINGS);
        assert!(breaker.admit(latest).is_ok() && breaker.admit(latest).is_ok());
    }

    #[test]
    fn a_trial_that_never_ends_blocks_nobody_for_ever() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        failed(&mut breaker, 3, now);
        let later = now + SETTINGS.open;
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later + TRIAL).is_ok());
    }

    #[test]
    fn a_used_up_quota_opens_it_at_once_and_a_late_failure_does_not_shorten_that() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(breaker.record(Verdict::UsedUp, now, &SETTINGS));
        failed(&mut breaker, 3, now);
        assert!(breaker.admit(now + SETTINGS.open * 2).unwrap_err().sticky);
        assert!(breaker.admit(now + SETTINGS.sticky).is_ok());
    }

    struct Fake(AtomicUsize, fn() -> Result<(), ModelErrorKind>);

    #[async_trait]
    impl LanguageModel for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }

        async fn generate(&self, _: &ModelRequest) -> Result<ModelAnswer, ModelError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            let usage = TokenUsage::default();
            match (self.1)() {
                Ok(()) => Ok(ModelAnswer { text: String::new(), finish: Finish::Stop, usage, model_version: None }),
                Err(kind) => Err(ModelError { model: "fake".to_owned(), kind, usage }),
            }
        }
    }

    async fn calls_that_reach(answer: fn() -> Result<(), ModelErrorKind>) -> (usize, String) {
        let fake = Arc::new(Fake(AtomicUsize::new(0), answer));
        let guarded = Guarded::new(fake.clone(), SETTINGS);
        let mut last = String::new();
        for _ in 0..5 {
            last =
                guarded.generate(&testing::request()).await.map_or_else(|e| e.to_string(), |_| "an answer".to_owned());
        }
        (fake.0.load(Ordering::SeqCst), last)
    }

    #[tokio::test]
    async fn a_model_that_is_left_alone_is_not_called_and_says_why() {
        let (calls, last) = calls_that_reach(|| Err(ModelErrorKind::Unavailable("HTTP 503".to_owned()))).await;
        assert_eq!(calls, 3);
        assert!(last.starts_with("model fake: it is not reachable: left alone for 59 s"), "{last}");
        let (calls, last) =
            calls_that_reach(|| Err(ModelErrorKind::RateLimited { retry_after: None, sticky: true })).await;
        assert_eq!((calls, last.as_str()), (1, "model fake: it is over its rate limit for the day"));
    }

    #[tokio::test]
    async fn a_model_that_answers_in_whatever_way_is_asked_again() {
        let answers: [fn() -> Result<(), ModelErrorKind>; 4] = [
            || Ok(()),
            || Err(ModelErrorKind::Refused(String::new())),
            || Err(ModelErrorKind::Unreadable(String::new())),
            || Err(ModelErrorKind::Blocked(String::new())),
        ];
        for answer in answers {
            assert_eq!(calls_that_reach(answer).await.0, 5);
        }
    }
}
