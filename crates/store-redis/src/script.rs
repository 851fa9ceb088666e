//! The scripts, one for each operation. Each is made of what it shares with others and of a file of its own.

use std::sync::OnceLock;

/// What a script does when Redis has no memory left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    /// It is refused, before it has changed anything: it stores something new.
    Refuse,
    /// It runs all the same: it frees memory, or what has begun could not end without it.
    Allow,
}

/// A script and the digest by which the server knows it.
#[derive(Debug)]
pub(crate) struct Script {
    memory: Memory,
    parts: &'static [&'static str],
    digest: OnceLock<String>,
}

impl Script {
    const fn new(memory: Memory, parts: &'static [&'static str]) -> Self {
        Self { memory, parts, digest: OnceLock::new() }
    }

    /// Its text, as the server gets it.
    pub(crate) fn text(&self) -> String {
        let flags = match self.memory {
            Memory::Refuse => "#!lua\n",
            Memory::Allow => "#!lua flags=allow-oom\n",
        };
        [flags].iter().chain(self.parts).copied().collect()
    }

    /// Its digest, once a server has told it.
    pub(crate) fn digest(&'static self) -> Option<&'static str> {
        self.digest.get().map(String::as_str)
    }

    /// Keeps its digest, which is the same on every server.
    pub(crate) fn know(&'static self, digest: String) -> &'static str {
        self.digest.get_or_init(|| digest)
    }
}

const PRELUDE: &str = include_str!("../lua/prelude.lua");
const LANES: &str = include_str!("../lua/lanes.lua");
const JOBS: &str = include_str!("../lua/jobs.lua");
const STORING: &str = include_str!("../lua/storing.lua");

macro_rules! scripts {
    ($($name:ident: $memory:ident, [$($shared:ident),*], $file:literal;)*) => {
        $(pub(crate) static $name: Script =
            Script::new(Memory::$memory, &[PRELUDE, $($shared,)* include_str!(concat!("../lua/", $file, ".lua"))]);)*
    };
}

scripts! {
    OPEN: Refuse, [], "open";
    ENQUEUE: Refuse, [LANES, JOBS, STORING], "enqueue";
    CLAIM: Allow, [LANES], "claim";
    RENEW: Allow, [], "renew";
    SETTLE: Allow, [LANES, JOBS], "settle";
    CHECKPOINT: Refuse, [], "checkpoint";
    REAP: Allow, [], "reap";
    DUE: Allow, [LANES, JOBS], "due";
    EXPIRE: Allow, [LANES, JOBS], "expire";
    FILL: Allow, [LANES], "fill";
    STATS: Allow, [LANES], "stats";
    QUEUE_SET: Refuse, [LANES], "queue_set";
    QUEUE_PAUSE: Allow, [LANES], "queue_pause";
    CLASS_SET: Refuse, [], "class_set";
    KEY_SET: Allow, [LANES], "key_set";
    GROUP_SET: Refuse, [LANES], "group_set";
    SETTINGS: Allow, [], "settings";
    CANCEL: Allow, [LANES, JOBS], "cancel";
    RETRY: Allow, [LANES, JOBS], "retry";
    REPLAY: Allow, [LANES, JOBS], "replay";
    PRUNE: Allow, [LANES, JOBS], "prune";
    LIST: Allow, [LANES, JOBS], "list";
    VIEW: Allow, [LANES, JOBS], "view";
    CRON_SET: Refuse, [LANES], "cron_set";
    CRON_REMOVE: Allow, [], "cron_remove";
    CRON_LIST: Allow, [], "cron_list";
    CRON_FIRE: Refuse, [LANES, JOBS, STORING], "cron_fire";
}
