use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    panic::resume_unwind,
    sync::{Arc, Mutex},
    time::Duration,
};

use job::{Job, JobId, Outcome, RetryPolicy, WorkerId};
use store::{NewJob, QueueBackend, QueueStore};
use tokio::time::sleep;
use worker::{Handlers, Options};

use crate::{
    fake::{ALL, Fake, State},
    support::{Worker, handlers, ms, new_job, options, secs, until},
};

/// Numbers that look random and are the same at each run of the test.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.thrown += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, self.thrown).hash(&mut hasher);
        hasher.finish() % sides
    }
}

/// Which jobs run now, and what should never be seen.
#[derive(Default)]
struct Witness {
    running: Mutex<HashSet<JobId>>,
    starts: Mutex<HashMap<JobId, usize>>,
    overlaps: Mutex<Vec<JobId>>,
}

struct Run(Arc<Witness>, JobId);

impl Run {
    fn start(witness: &Arc<Witness>, job: JobId) -> Self {
        if !witness.running.lock().unwrap().insert(job) {
            witness.overlaps.lock().unwrap().push(job);
        }
        *witness.starts.lock().unwrap().entry(job).or_default() += 1;
        Self(witness.clone(), job)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.running.lock().unwrap().remove(&self.1);
    }
}

/// Handlers that take up to three seconds and now and then fail, panic or run into their timeout.
fn handlers_of(witness: &Arc<Witness>, seed: u64) -> Handlers {
    let (witness, dice) = (witness.clone(), Mutex::new(Dice { seed, thrown: 0 }));
    handlers(move |job: Job, _| {
        let run = Run::start(&witness, job.id);
        let (takes, ends) = {
            let mut dice = dice.lock().unwrap();
            (ms(dice.below(3_000)), dice.below(12))
        };
        async move {
            sleep(takes).await;
            let _run = run;
            match ends {
                0 => resume_unwind(Box::new("as the dice say")),
                1 => Outcome::Transient { error: "as the dice say".into(), retry_after: Some(ms(100)) },
                _ => Outcome::Completed,
            }
        }
    })
}

fn start(store: &Arc<Fake>, witness: &Arc<Witness>, incarnation: u64) -> Worker {
    let forgiving = RetryPolicy { base: ms(50), cap: ms(500), max_crashes: 1_000, ..RetryPolicy::default() };
    let options = Options {
        worker: WorkerId::new(format!("worker/{incarnation}")).unwrap(),
        concurrency: 8,
        lease: secs(2),
        drain_grace: secs(1),
        retry: forgiving,
        ..options()
    };
    Worker::start(store.clone() as Arc<dyn QueueBackend>, handlers_of(witness, incarnation), options)
}

/// Half a minute of kills, drains, outages, slow calls and lost answers.
async fn disturb(store: &Arc<Fake>, witness: &Arc<Witness>, workers: &mut Vec<Worker>, dice: &mut Dice) {
    for incarnation in 100..160 {
        let op = ALL[usize::try_from(dice.below(5)).unwrap()];
        match dice.below(8) {
            0 => workers.swap_remove(0).kill().await,
            1 => drop(tokio::spawn(workers.swap_remove(0).drain())),
            2 => store.go_away(&ALL),
            3 => store.go_away(&[op]),
            4 => store.lose_answers(op, 2),
            5 => store.slow_down(op, ms(dice.below(1_500))),
            _ => store.come_back(),
        }
        if workers.len() < 3 {
            workers.push(start(store, witness, incarnation));
        }
        sleep(ms(500)).await;
    }
    store.come_back();
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_every_job_is_done_once_and_none_runs_beside_itself() {
    for seed in 0..8 {
        let (store, witness) = (Arc::new(Fake::default()), Arc::new(Witness::default()));
        let job = || NewJob { max_attempts: 1_000, timeout: ms(2_800), ..new_job() };
        let jobs: Vec<_> = (0..200).map(|_| job()).collect();
        store.enqueue(&jobs).await.unwrap();
        let mut workers: Vec<_> = (0..3).map(|n| start(&store, &witness, n)).collect();
        disturb(&store, &witness, &mut workers, &mut Dice { seed, thrown: 0 }).await;
        until(|| store.count(&State::Completed) == jobs.len()).await;
        assert_eq!(*witness.overlaps.lock().unwrap(), [], "seed {seed}");
        assert_eq!(witness.starts.lock().unwrap().len(), jobs.len());
        for worker in workers {
            worker.drain().await;
        }
        sleep(Duration::from_mins(1)).await;
        assert!(witness.running.lock().unwrap().is_empty());
    }
}
