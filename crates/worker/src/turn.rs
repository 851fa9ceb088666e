use std::{cmp::Reverse, sync::Arc, time::Duration};

use job::{QueueName, Weight};
use store::Claimed;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// How long a queue that had no job is taken to have none still. Within it the other queues' claims go to them alone, and
/// so late at most may a job of that queue come to its turn.
const DRY_FOR: Duration = Duration::from_millis(10);
/// What a start counts beside the time for which the job then holds its slot: a claim and a settlement are work too, and
/// jobs that take no time are shared by their number.
const START: Duration = Duration::from_micros(100);
/// How many times its share's room a queue may be given by one claim, so that short jobs of several queues need no claim
/// each. What it has too much is over with these jobs, and it has its next turn the later.
const STRETCH_MAX: usize = 8;
/// That part of the slots is the most that a queue may be given so beyond its share.
const STRETCH_PART: usize = 10;

/// Whose turn it is: shares a worker's slots among its queues by their weights.
///
/// A queue's share is its part, by weight, of the slots among the queues that are known to have jobs, rounded up. Of the
/// queues below their share the one is asked first that has used the least, in slot time by weight; what it does not take
/// goes to the others in that order, in the same claim. So whole slots are shared at once, and what is less than a slot in
/// the course of time, by how long it was held, however long or short the jobs of each queue are.
///
/// An answer tells of every queue before the last one with jobs that it has no more, and of that one that it may have. A
/// queue of which nothing is known is counted with all others: what it is asked for is never more than its share beside
/// them, since it may have none and leave that to the next.
///
/// With one queue each claim asks for all that is free.
#[derive(Debug)]
pub(crate) struct Turns {
    queues: Vec<Queue>,
    slots: usize,
    /// Until when the slots in use have been charged.
    charged_until: Instant,
}

#[derive(Debug)]
struct Queue {
    name: QueueName,
    weight: u32,
    /// Each slot that a job of the queue holds has a clone, so that no end of a job can be missed.
    held: Arc<()>,
    /// Slots that are charged to it, as of the last claim.
    charged: usize,
    /// The slot time that it has used for each unit of its weight.
    used: Duration,
    knowledge: Knowledge,
}

/// What the last answer that told of a queue has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    Nothing,
    /// More jobs may have been left.
    HasJobs,
    /// It had no more: until then it is taken to have none still.
    DryUntil(Instant),
}

/// Weights of several queues together.
#[derive(Debug, Clone, Copy)]
struct Sums {
    /// Of those that are known to have jobs.
    with_jobs: u32,
    /// Of those that may have.
    not_dry: u32,
}

/// One claim: what to ask for.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Queues in the order of asking.
    pub(crate) queues: Vec<QueueName>,
    /// Most jobs, at least 1.
    pub(crate) max: usize,
    /// The same queues by their place.
    order: Vec<usize>,
}

/// That a job of a queue holds a slot; while it exists, the slot counts as the queue's.
#[derive(Debug)]
pub(crate) struct Share(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl Turns {
    pub(crate) fn new(queues: impl IntoIterator<Item = (QueueName, Weight)>, slots: usize, now: Instant) -> Self {
        let queue = |(name, weight): (QueueName, Weight)| Queue {
            name,
            weight: weight.get().into(),
            held: Arc::default(),
            charged: 0,
            used: Duration::ZERO,
            knowledge: Knowledge::Nothing,
        };
        Self { queues: queues.into_iter().map(queue).collect(), slots, charged_until: now }
    }

    /// What to ask for with so many free slots.
    pub(crate) fn next(&mut self, free: usize, now: Instant) -> Turn {
        self.charge(now);
        let sums = self.sums(now);
        let mut order: Vec<usize> = (0..self.queues.len()).collect();
        // Stable: queues that are owed the same keep their order.
        order.sort_by_key(|&place| {
            let queue = &self.queues[place];
            (queue.is_dry(now), self.room(queue, sums, now) == 0, queue.used, Reverse(queue.weight))
        });
        let mut room = usize::MAX;
        for &place in &order {
            let queue = &self.queues[place];
            room = room.min(self.room(queue, sums, now));
            if queue.knowledge == Knowledge::HasJobs {
                break;
            }
        }
        let room = room.max(1);
        let stretched = room.saturating_mul(STRETCH_MAX).min(room.saturating_add(self.slots / STRETCH_PART));
        let max = if free <= stretched { free } else { room };
        Turn { queues: order.iter().map(|&place| self.queues[place].name.clone()).collect(), max, order }
    }

    /// Takes in what came of a claim, before its jobs take their slots; whether more may be ready.
    pub(crate) fn answered(&mut self, turn: &Turn, claimed: &Claimed, now: Instant) -> bool {
        self.charge(now);
        let more = claimed.more || claimed.jobs.len() >= turn.max;
        if !more {
            // No queue has a job that waits: none is owed anything.
            for queue in &mut self.queues {
                (queue.used, queue.charged, queue.knowledge) = (Duration::ZERO, 0, Knowledge::Nothing);
            }
            return false;
        }
        let mut last = None;
        for leased in &claimed.jobs {
            let place = turn.order.iter().position(|&place| self.queues[place].name == leased.job.queue);
            if let Some(place) = place {
                let queue = &mut self.queues[turn.order[place]];
                queue.charged += 1;
                queue.used += START / queue.weight;
                last = last.max(Some(place));
            }
        }
        let Some(last) = last else { return true };
        // The store asks a queue only once those before it have no more.
        for &dry in &turn.order[..last] {
            self.queues[dry].knowledge = Knowledge::DryUntil(now + DRY_FOR);
        }
        self.queues[turn.order[last]].knowledge = Knowledge::HasJobs;
        self.forget(now);
        true
    }

    /// Has a job of the queue hold a slot.
    pub(crate) fn hold(&self, name: &QueueName) -> Option<Share> {
        self.queues.iter().find(|queue| queue.name == *name).map(|queue| Share(queue.held.clone()))
    }

    /// Charges each queue for the slots that it had since the last time. They are held until now: the first that comes
    /// free brings about a claim.
    fn charge(&mut self, now: Instant) {
        let time = now - self.charged_until;
        for queue in &mut self.queues {
            let charged = u32::try_from(queue.charged).unwrap_or(u32::MAX);
            queue.used = queue.used.saturating_add(time.saturating_mul(charged) / queue.weight);
            queue.charged = queue.held();
        }
        self.charged_until = now;
    }

    /// Forgets what time must not pile up: a queue without jobs saves no turns up for later, and none is charged for what
    /// it got because others had no jobs.
    fn forget(&mut self, now: Instant) {
        let with_jobs = self.queues.iter().filter(|queue| queue.knowledge == Knowledge::HasJobs);
        let least = with_jobs.map(|queue| queue.used).min().unwrap_or_default();
        let sums = self.sums(now);
        for place in 0..self.queues.len() {
            let most = self.share(&self.queues[place], sums, now) + self.slots / STRETCH_PART;
            let queue = &mut self.queues[place];
            queue.charged = queue.charged.min(most);
            if queue.is_dry(now) {
                queue.used = queue.used.max(least);
            }
        }
    }

    fn sums(&self, now: Instant) -> Sums {
        let sum = |of: &dyn Fn(&Queue) -> bool| self.queues.iter().filter(|q| of(q)).map(|q| q.weight).sum();
        Sums { with_jobs: sum(&|q| q.knowledge == Knowledge::HasJobs), not_dry: sum(&|q| !q.is_dry(now)) }
    }

    /// Slots of a queue, rounded up: among those with jobs one has less as long as a slot is free.
    fn share(&self, queue: &Queue, sums: Sums, now: Instant) -> usize {
        let of = match queue.knowledge {
            Knowledge::HasJobs => sums.with_jobs,
            _ if queue.is_dry(now) => sums.not_dry + queue.weight,
            _ => sums.not_dry,
        };
        (self.slots * queue.weight as usize).div_ceil(of as usize)
    }

    /// How many more slots a queue may have.
    fn room(&self, queue: &Queue, sums: Sums, now: Instant) -> usize {
        self.share(queue, sums, now).saturating_sub(queue.held())
    }
}

impl Queue {
    fn held(&self) -> usize {
        Arc::strong_count(&self.held) - 1
    }

    fn is_dry(&self, now: Instant) -> bool {
        matches!(self.knowledge, Knowledge::DryUntil(until) if now < until)
    }
}
