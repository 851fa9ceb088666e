use std::collections::{BTreeSet, HashMap, HashSet, hash_map::Entry};

use sqlx::{Row, sqlite::SqliteRow};
use store::{StoreError, codes};

use crate::{
    json::{self, Id},
    sql, throttle,
    write::Write,
};

/// Distance of two turns of a key of weight 1. It divides well by the weights, which reach to 1,000.
const STRIDE: i64 = 1_000_000;
/// The arrival of a job that has none yet: behind all that have.
const LAST: i64 = i64::MAX;

/// What a job waits among: the jobs of its key at its priority, under the limit of its class.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lane {
    pub(crate) queue: i64,
    pub(crate) key: String,
    pub(crate) class: Option<String>,
    pub(crate) priority: i64,
}

/// What the store knows of a place in a lane.
struct Facts {
    limit: Option<i64>,
    leased: i64,
    /// Jobs of the key that are ready and start before a job in this place.
    ahead: i64,
    /// Greatest of V and the passes that the lane has given out.
    last_pass: i64,
    /// Pass of the first ready job behind this place, if there is one.
    next_pass: Option<i64>,
    /// How many starts the throttle of its class has left, if there is one.
    starts_left: Option<i64>,
    /// Whether, under a throttle, a parked job of the key starts before a newcomer.
    parked_ahead: bool,
}

/// Decides who becomes ready, and with which turn: the only place that does.
///
/// A job becomes ready when the leased jobs of its key and the ready ones that start before it leave room under the
/// limit, and is parked otherwise. So "ready" means "may start", and claims hardly ever meet a job of a full key. Two more
/// things park it: a throttle that has no start left for it, and a leased job of the same supersede key.
///
/// Turns are given by stride: `pass = max(V, last pass of the lane) + STRIDE / weight`, where V is the greatest pass
/// leased so far at that priority. A key that comes anew starts next to V, and one with a long backlog has spread its
/// jobs out, so that the keys alternate along the index. Passes of a lane rise with the arrivals: a job that becomes
/// ready before a later one of its lane, because its limit was lowered meanwhile, is given that one's pass at most.
pub(crate) struct Lanes {
    facts: HashMap<(Lane, i64), Facts>,
    /// Jobs made ready here, which the facts do not know: of each key, how many at each priority.
    placed: HashMap<(i64, String), Vec<(i64, i64)>>,
    /// Last passes given here, which all classes of a key and priority share.
    passes: HashMap<(i64, String, i64), i64>,
    /// Supersede keys of which a job is leased.
    running: HashSet<(i64, String)>,
    /// Queues, classes and keys of jobs that were parked by a throttle here.
    throttled: BTreeSet<(i64, String, String)>,
}

/// What became of a job that asked for room.
pub(crate) enum Admission {
    Ready { pass: i64 },
    Parked,
}

impl Lanes {
    /// Loads what decides for jobs that come behind all others of their lanes, and have these supersede keys.
    pub(crate) async fn load(
        write: &mut Write<'_>,
        lanes: impl Iterator<Item = Lane>,
        supersede_keys: Vec<(i64, String)>,
    ) -> Result<Self, StoreError> {
        let running = running(write, supersede_keys).await?;
        Self::load_places(write, lanes.map(|lane| (lane, LAST)), running).await
    }

    async fn load_places(
        write: &mut Write<'_>,
        places: impl Iterator<Item = (Lane, i64)>,
        running: HashSet<(i64, String)>,
    ) -> Result<Self, StoreError> {
        let mut places: Vec<(Lane, i64)> = places.collect();
        places.sort_unstable();
        places.dedup();
        let asked: Vec<_> =
            places.iter().map(|(lane, arrival)| (lane.queue, &lane.key, &lane.class, lane.priority, arrival)).collect();
        let now_ms = write.now_ms;
        let rows = write.rows_with(sql::LANES, &asked, now_ms).await?;
        let mut facts = HashMap::with_capacity(rows.len());
        for row in &rows {
            let (at, known) = read_facts(row).map_err(write.fault())?;
            if let Some(place) = usize::try_from(at).ok().and_then(|at| places.get(at)) {
                facts.insert(place.clone(), known);
            }
        }
        Ok(Self { facts, placed: HashMap::new(), passes: HashMap::new(), running, throttled: BTreeSet::new() })
    }

    /// Asks for room for one more job behind all others of a lane that was loaded.
    pub(crate) fn admit(&mut self, lane: &Lane, weight: i64, supersede_key: Option<&str>) -> Admission {
        if supersede_key.is_some_and(|key| self.running.contains(&(lane.queue, key.to_owned()))) {
            return Admission::Parked;
        }
        self.admit_at(lane, LAST, weight)
    }

    /// Once the jobs stand where they were placed: sees to it that those parked by a throttle are looked at again.
    pub(crate) async fn watch_throttled(self, write: &mut Write<'_>) -> Result<(), StoreError> {
        throttle::watch(write, &self.throttled).await
    }

    /// Jobs of a key must be asked for in the order in which they are to start.
    fn admit_at(&mut self, lane: &Lane, arrival: i64, weight: i64) -> Admission {
        let Some(facts) = self.facts.get(&(lane.clone(), arrival)) else { return Admission::Parked };
        let placed = self.placed.entry((lane.queue, lane.key.clone())).or_default();
        let placed_ahead: i64 = placed.iter().filter(|(p, _)| *p >= lane.priority).map(|(_, n)| n).sum();
        if facts.limit.is_some_and(|limit| facts.leased + facts.ahead + placed_ahead >= limit) {
            return Admission::Parked;
        }
        let no_start_left = facts.starts_left.is_some_and(|left| facts.ahead + placed_ahead >= left);
        // Starts come back with time, before maintenance has given them to the parked jobs that have waited for them.
        if no_start_left || (facts.parked_ahead && arrival == LAST) {
            let class = lane.class.clone().unwrap_or_default();
            self.throttled.insert((lane.queue, class, lane.key.clone()));
            return Admission::Parked;
        }
        match placed.iter_mut().find(|(p, _)| *p == lane.priority) {
            Some((_, n)) => *n += 1,
            None => placed.push((lane.priority, 1)),
        }
        if let Some(pass) = facts.next_pass {
            return Admission::Ready { pass };
        }
        let last = match self.passes.entry((lane.queue, lane.key.clone(), lane.priority)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(facts.last_pass),
        };
        *last += STRIDE / weight.max(1);
        Admission::Ready { pass: *last }
    }
}

fn read_facts(row: &SqliteRow) -> Result<(i64, Facts), sqlx::Error> {
    let facts = Facts {
        limit: row.try_get(1)?,
        leased: row.try_get(2)?,
        ahead: row.try_get(3)?,
        last_pass: row.try_get(4)?,
        next_pass: row.try_get(5)?,
        starts_left: row.try_get(6)?,
        parked_ahead: row.try_get(7)?,
    };
    Ok((row.try_get(0)?, facts))
}

/// A job that waits to be placed.
pub(crate) struct Waiting {
    id: Id,
    lane: Lane,
    weight: i64,
    arrival: i64,
    supersede_key: Option<String>,
}

impl Waiting {
    pub(crate) fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let lane =
            Lane { queue: row.try_get(1)?, key: row.try_get(2)?, class: row.try_get(3)?, priority: row.try_get(4)? };
        let (weight, arrival, supersede_key) = (row.try_get(5)?, row.try_get(6)?, row.try_get(7)?);
        Ok(Self { id: row.try_get(0)?, lane, weight, arrival, supersede_key })
    }
}

/// Places scheduled jobs, in the order given, behind all that their keys have waiting.
pub(crate) async fn place_due(write: &mut Write<'_>, due: &[Waiting]) -> Result<(), StoreError> {
    if due.is_empty() {
        return Ok(());
    }
    let supersede_keys = due.iter().filter_map(|job| Some((job.lane.queue, job.supersede_key.clone()?))).collect();
    let mut lanes = Lanes::load(write, due.iter().map(|job| job.lane.clone()), supersede_keys).await?;
    let first_arrival = write.arrivals(due.len()).await?;
    let mut rows = Vec::with_capacity(due.len());
    for (arrival, job) in (first_arrival..).zip(due) {
        let (state, pass) = match lanes.admit(&job.lane, job.weight, job.supersede_key.as_deref()) {
            Admission::Ready { pass } => {
                write.became_ready();
                (codes::READY, pass)
            }
            Admission::Parked => (codes::PARKED, 0),
        };
        rows.push((job.id, state, pass, arrival));
    }
    let now_ms = write.now_ms;
    write.each_with(sql::PLACE, &rows, now_ms).await?;
    lanes.watch_throttled(write).await
}

/// Gives the room of keys to their best parked jobs, looking at `per_key` of each; how many became ready.
pub(crate) async fn unpark(write: &mut Write<'_>, keys: &[(i64, String)], per_key: usize) -> Result<usize, StoreError> {
    Ok(unpark_each(write, keys, per_key).await?.into_values().sum())
}

/// As [`unpark`]; how many of each key became ready.
pub(crate) async fn unpark_each(
    write: &mut Write<'_>,
    keys: &[(i64, String)],
    per_key: usize,
) -> Result<HashMap<(i64, String), usize>, StoreError> {
    if keys.is_empty() || per_key == 0 {
        return Ok(HashMap::new());
    }
    let text = json::array(keys)?;
    let most = i64::try_from(per_key).unwrap_or(i64::MAX);
    let fault = write.fault();
    let rows = sqlx::query(sql::BEST_PARKED).bind(text).bind(most).fetch_all(write.connection()).await;
    let rows = rows.map_err(fault)?;
    unpark_jobs(write, &rows).await
}

/// Gives room to the parked jobs of supersede keys whose leased job has ended.
pub(crate) async fn unpark_versions(write: &mut Write<'_>, keys: &[(i64, String)]) -> Result<(), StoreError> {
    let rows = write.rows_of(sql::PARKED_VERSIONS, keys).await?;
    unpark_jobs(write, &rows).await?;
    Ok(())
}

/// Places parked jobs that no leased one of their supersede key holds back, best first.
async fn unpark_jobs(write: &mut Write<'_>, rows: &[SqliteRow]) -> Result<HashMap<(i64, String), usize>, StoreError> {
    let parked = rows.iter().map(Waiting::read).collect::<Result<Vec<_>, _>>().map_err(write.fault())?;
    let asked = parked.iter().map(|job| (job.lane.clone(), job.arrival));
    let mut lanes = Lanes::load_places(write, asked, HashSet::new()).await?;
    let (mut placed, mut count) = (Vec::with_capacity(parked.len()), HashMap::new());
    for job in &parked {
        if let Admission::Ready { pass } = lanes.admit_at(&job.lane, job.arrival, job.weight) {
            placed.push((job.id, codes::READY, pass, job.arrival));
            *count.entry((job.lane.queue, job.lane.key.clone())).or_default() += 1;
            write.became_ready();
        }
    }
    let now_ms = write.now_ms;
    write.each_with(sql::PLACE, &placed, now_ms).await?;
    lanes.watch_throttled(write).await?;
    Ok(count)
}

/// Which of these supersede keys have a leased job.
async fn running(write: &mut Write<'_>, asked: Vec<(i64, String)>) -> Result<HashSet<(i64, String)>, StoreError> {
    let rows = write.rows_of(sql::RUNNING_VERSIONS, &asked).await?;
    let mut running = HashSet::with_capacity(rows.len());
    for row in &rows {
        let at: i64 = row.try_get(0).map_err(write.fault())?;
        running.extend(usize::try_from(at).ok().and_then(|at| asked.get(at)).cloned());
    }
    Ok(running)
}

/// The first `most` keys of a queue that have live jobs, after a key.
pub(crate) async fn keys_after(
    write: &mut Write<'_>,
    queue: i64,
    after: &str,
    most: usize,
) -> Result<Vec<(i64, String)>, StoreError> {
    let fault = write.fault();
    let keys: Vec<String> = sqlx::query_scalar(sql::KEYS_AFTER)
        .bind(queue)
        .bind(after)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(write.connection())
        .await
        .map_err(fault)?;
    Ok(keys.into_iter().map(|key| (queue, key)).collect())
}
