use proptest::prelude::*;

/// One step. Numbers that pick a job or a lease are taken modulo those there are.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Enqueue(Vec<Offer>),
    Claim {
        max: usize,
    },
    Settle {
        lease: usize,
        how: End,
    },
    SettleStale {
        lease: usize,
    },
    Renew {
        lease: usize,
    },
    Reap,
    Advance {
        secs: u64,
    },
    Maintain,
    Cancel {
        job: usize,
    },
    Retry {
        job: usize,
    },
    Replay {
        max: usize,
    },
    LimitClass(Option<u32>),
    LimitKey(usize, Option<u32>),
    LimitQueue(Option<u32>),
    /// So many starts of each key in [`PERIOD_SECS`].
    Throttle(Option<u32>),
    PauseKey(usize, bool),
    PauseQueue(bool),
    Crash,
}

/// A job to be stored.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    /// One of [`KEYS`], or none.
    pub(super) key: Option<usize>,
    pub(super) priority: i16,
    pub(super) weight: u16,
    pub(super) unique: Option<usize>,
    /// One of [`VERSIONED`], the version's time and which of two ids it has.
    pub(super) version: Option<(usize, i64, bool)>,
    pub(super) delay_secs: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) enum End {
    Complete,
    Retry { delay_secs: u64 },
    Bury,
    Release,
    Cancel,
}

pub(super) const KEYS: [&str; 3] = ["a", "b", "c"];
pub(super) const VERSIONED: [&str; 2] = ["pull#1", "pull#2"];
pub(super) const UNIQUES: [&str; 2] = ["u", "v"];
/// Window of every unique key.
pub(super) const WINDOW_SECS: u64 = 20;
/// Period of every throttle.
pub(super) const PERIOD_SECS: u64 = 15;

fn offer() -> impl Strategy<Value = Offer> {
    let rare = |most: u64| prop_oneof![4 => Just(None), 1 => (0..most).prop_map(Some)];
    (
        prop_oneof![1 => Just(None), 4 => (0..KEYS.len()).prop_map(Some)],
        0_i16..3,
        prop_oneof![3 => Just(1_u16), 1 => 1_u16..=1000],
        prop_oneof![4 => Just(None), 1 => (0..UNIQUES.len()).prop_map(Some)],
        prop_oneof![2 => Just(None), 1 => (0..VERSIONED.len(), 0_i64..6, any::<bool>()).prop_map(Some)],
        rare(30),
    )
        .prop_map(|(key, priority, weight, unique, version, delay_secs)| Offer {
            key,
            priority,
            weight,
            unique,
            version,
            delay_secs,
        })
}

fn limit() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![1 => Just(None), 4 => (0_u32..4).prop_map(Some)]
}

impl Operation {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        let end = prop_oneof![
            3 => Just(End::Complete),
            2 => (0_u64..20).prop_map(|delay_secs| End::Retry { delay_secs }),
            1 => Just(End::Bury),
            2 => Just(End::Release),
            1 => Just(End::Cancel),
        ];
        prop_oneof![
            6 => proptest::collection::vec(offer(), 1..5).prop_map(Self::Enqueue),
            6 => (0_usize..5).prop_map(|max| Self::Claim { max }),
            6 => (any::<usize>(), end).prop_map(|(lease, how)| Self::Settle { lease, how }),
            1 => any::<usize>().prop_map(|lease| Self::SettleStale { lease }),
            1 => any::<usize>().prop_map(|lease| Self::Renew { lease }),
            1 => Just(Self::Reap),
            2 => (1_u64..25).prop_map(|secs| Self::Advance { secs }),
            2 => Just(Self::Maintain),
            1 => any::<usize>().prop_map(|job| Self::Cancel { job }),
            1 => any::<usize>().prop_map(|job| Self::Retry { job }),
            1 => (0_usize..3).prop_map(|max| Self::Replay { max }),
            1 => limit().prop_map(Self::LimitClass),
            1 => (0..KEYS.len(), limit()).prop_map(|(key, limit)| Self::LimitKey(key, limit)),
            1 => limit().prop_map(Self::LimitQueue),
            1 => prop_oneof![1 => Just(None), 2 => (1_u32..4).prop_map(Some)].prop_map(Self::Throttle),
            1 => (0..KEYS.len(), any::<bool>()).prop_map(|(key, on)| Self::PauseKey(key, on)),
            1 => any::<bool>().prop_map(Self::PauseQueue),
            1 => Just(Self::Crash),
        ]
    }
}
