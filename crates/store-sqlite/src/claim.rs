use std::collections::{BTreeSet, HashMap};

use job::LeaseToken;
use sqlx::{Row, sqlite::SqliteRow};
use store::{ClaimRequest, Claimed, StoreError, check_claim, units};

use crate::{
    json::{self, Id},
    leased,
    queue::Shared,
    queues::{QueueRow, Queues},
    sql, starved,
    throttle::{self, ThrottledKey},
    write::Write,
};

/// Rounds of one claim in one queue. Jobs are parked as soon as their key is full, so that a round meets few that may
/// not start; what ten rounds leave is for the next claim, which `more` asks for.
const ROUNDS_MAX: usize = 10;
/// Jobs that a round reads beyond those wanted, once the first round has met full keys.
const ROUND_EXTRA: usize = 500;

/// A ready job as a claim sees it.
pub(crate) struct Candidate {
    pub(crate) id: Id,
    pub(crate) key: String,
    pub(crate) priority: i64,
    pub(crate) pass: i64,
    pub(crate) limit: Option<i64>,
    pub(crate) leased: i64,
    /// The class, if it is throttled, and how many starts the throttle has left.
    pub(crate) throttled: Option<(String, i64)>,
}

impl Candidate {
    /// How many jobs of its key may start now.
    pub(crate) fn room(&self) -> i64 {
        let slots = self.limit.map_or(i64::MAX, |limit| limit - self.leased);
        slots.min(self.throttled.as_ref().map_or(i64::MAX, |(_, left)| *left))
    }
}

/// What a claim has found in one queue.
#[derive(Default)]
struct Taken {
    jobs: usize,
    more: bool,
}

pub(crate) async fn claim(shared: &Shared, request: &ClaimRequest) -> Result<Claimed, StoreError> {
    check_claim(request.max)?;
    let token = LeaseToken::from(*request.id.as_uuid());
    let mut write = Write::begin(shared, "claim").await?;
    let queues = Queues::load(&mut write).await?;
    let asked = request.queues.iter().map(|name| queues.find(name).ok_or_else(|| unknown(name)));
    let asked: Vec<&QueueRow> = asked.collect::<Result<_, _>>()?;
    let mut more = false;
    // A repeated claim answers what the first has leased, and leases nothing.
    if request.max > 0 && !leased::any(&mut write, token).await? {
        let mut left = request.max;
        for queue in &asked {
            if left == 0 {
                // What the later queues have was not looked at.
                more = true;
                break;
            }
            let found = claim_from(&mut write, queue, request, left).await?;
            left -= found.jobs;
            more |= found.more;
        }
    }
    let next_due_in = next_due_in(&mut write, &asked.iter().map(|q| q.id).collect::<Vec<_>>()).await?;
    write.commit().await?;
    // Read after the commit, so that the write lock is not held while payloads are on their way.
    let mut jobs = leased::read(shared, token).await?;
    jobs.sort_by_key(|leased| request.queues.iter().position(|name| *name == leased.job.queue));
    Ok(Claimed { jobs, more, next_due_in })
}

fn unknown(name: &job::QueueName) -> StoreError {
    StoreError::Invalid(format!("there is no queue {name}"))
}

async fn claim_from(
    write: &mut Write<'_>,
    queue: &QueueRow,
    request: &ClaimRequest,
    most: usize,
) -> Result<Taken, StoreError> {
    let room = queue_room(write, queue).await?;
    let most = most.min(room);
    let mut taken = Taken::default();
    if most == 0 {
        return Ok(taken);
    }
    taken.jobs = starved::claim(write, queue, request, most).await?;
    taken.more = taken.jobs == most;
    for round in 0..ROUNDS_MAX {
        let wanted = most - taken.jobs;
        if wanted == 0 {
            break;
        }
        // One more than wanted tells whether more are ready.
        let window = wanted + if round == 0 { 1 } else { ROUND_EXTRA };
        let candidates = read_window(write, queue.id, window).await?;
        let exhausted = candidates.len() < window;
        let Chosen { start, park, throttled, unseen } = choose(queue.id, candidates, wanted);
        write.each(sql::PARK, &park).await?;
        lease(write, queue.id, request, &start).await?;
        throttle::watch(write, &throttled).await?;
        taken.jobs += start.len();
        taken.more = unseen || !exhausted;
        if !taken.more {
            break;
        }
    }
    // Whatever is ready, a full queue starts nothing.
    taken.more &= taken.jobs < room;
    Ok(taken)
}

/// How many more jobs of the queue and its group may be leased, whatever their keys.
async fn queue_room(write: &mut Write<'_>, queue: &QueueRow) -> Result<usize, StoreError> {
    if queue.paused {
        return Ok(0);
    }
    let mut room = usize::MAX;
    let of_queue = queue.limit.map(|limit| (limit, sql::LEASED_COUNT, queue.id));
    let of_group = queue.group.and_then(|(group, limit)| Some((limit?, sql::GROUP_LEASED, group)));
    for (limit, count, id) in of_queue.into_iter().chain(of_group) {
        let fault = write.fault();
        let leased: i64 = sqlx::query_scalar(count).bind(id).fetch_one(write.connection()).await.map_err(fault)?;
        room = room.min(usize::try_from(limit - leased).unwrap_or(0));
    }
    Ok(room)
}

async fn read_window(write: &mut Write<'_>, queue: i64, rows: usize) -> Result<Vec<Candidate>, StoreError> {
    let most = i64::try_from(rows).unwrap_or(i64::MAX);
    let (now_ms, fault) = (write.now_ms, write.fault());
    let rows = sqlx::query(sql::CLAIM_WINDOW).bind(queue).bind(most).bind(now_ms).fetch_all(write.connection()).await;
    rows.map_err(&fault)?.iter().map(read_candidate).collect::<Result<_, _>>().map_err(fault)
}

/// Reads a row of `claim_window` or `starved`.
pub(crate) fn read_candidate(row: &SqliteRow) -> Result<Candidate, sqlx::Error> {
    let throttled: Option<String> = row.try_get(6)?;
    Ok(Candidate {
        id: row.try_get(0)?,
        key: row.try_get(1)?,
        priority: row.try_get(2)?,
        pass: row.try_get(3)?,
        limit: row.try_get(4)?,
        leased: row.try_get(5)?,
        throttled: throttled.map(|class| Ok::<_, sqlx::Error>((class, row.try_get(7)?))).transpose()?,
    })
}

/// A window, divided.
struct Chosen {
    /// Jobs that start.
    start: Vec<Start>,
    /// Jobs whose key has no room.
    park: Vec<Id>,
    /// The keys of those that a throttle may hold back.
    throttled: BTreeSet<ThrottledKey>,
    /// Whether there are jobs that were wanted no more.
    unseen: bool,
}

fn choose(queue: i64, candidates: Vec<Candidate>, wanted: usize) -> Chosen {
    let mut starting: HashMap<String, i64> = HashMap::new();
    let (mut start, mut park) = (Vec::with_capacity(wanted), Vec::new());
    let mut throttled = BTreeSet::new();
    for job in candidates {
        let here = starting.entry(job.key.clone()).or_default();
        if *here >= job.room() {
            park.push(job.id);
            throttled.extend(job.throttled.map(|(class, _)| (queue, class, job.key)));
        } else if start.len() == wanted {
            return Chosen { start, park, throttled, unseen: true };
        } else {
            *here += 1;
            start.push(Start::from(job));
        }
    }
    Chosen { start, park, throttled, unseen: false }
}

/// A job that a claim leases.
pub(crate) struct Start {
    pub(crate) id: Id,
    pub(crate) priority: i64,
    pub(crate) pass: i64,
    /// Class and key, if the class is throttled.
    throttled: Option<(String, String)>,
}

impl From<Candidate> for Start {
    fn from(job: Candidate) -> Self {
        let throttled = job.throttled.map(|(class, _)| (class, job.key));
        Self { id: job.id, priority: job.priority, pass: job.pass, throttled }
    }
}

/// Leases jobs to the caller and raises the turns that new jobs are measured by.
pub(crate) async fn lease(
    write: &mut Write<'_>,
    queue: i64,
    request: &ClaimRequest,
    start: &[Start],
) -> Result<(), StoreError> {
    if start.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = start.iter().map(|s| s.id).collect();
    let now_ms = write.now_ms;
    let fault = write.fault();
    sqlx::query(sql::LEASE)
        .bind(json::array(&ids)?)
        .bind(Id(*request.id.as_uuid()))
        .bind(request.worker.as_str())
        .bind(now_ms)
        .bind(now_ms.saturating_add(units::millis(request.lease)))
        .execute(write.connection())
        .await
        .map_err(&fault)?;
    let mut turns: HashMap<i64, i64> = HashMap::new();
    for job in start {
        let v = turns.entry(job.priority).or_default();
        *v = job.pass.max(*v);
    }
    let turns: Vec<_> = turns.into_iter().map(|(priority, v)| (queue, priority, v)).collect();
    write.each(sql::TURN_RAISE, &turns).await?;
    let count = i64::try_from(start.len()).unwrap_or(0);
    sqlx::query(sql::STARTS_ADD).bind(queue).bind(count).execute(write.connection()).await.map_err(fault)?;
    let mut starts: HashMap<ThrottledKey, i64> = HashMap::new();
    for (class, key) in start.iter().filter_map(|job| job.throttled.clone()) {
        *starts.entry((queue, class, key)).or_default() += 1;
    }
    throttle::started(write, &starts).await
}

/// How long until something of these queues is due.
pub(crate) async fn next_due_in(
    write: &mut Write<'_>,
    queues: &[i64],
) -> Result<Option<std::time::Duration>, StoreError> {
    let (text, now_ms, fault) = (json::array(queues)?, write.now_ms, write.fault());
    let due: Option<i64> =
        sqlx::query_scalar(sql::NEXT_DUE).bind(text).fetch_one(write.connection()).await.map_err(fault)?;
    Ok(due.map(|at| units::duration(at.saturating_sub(now_ms))))
}
