//! The statements, each from a file of its own.

macro_rules! statements {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(pub(crate) const $name: &str = include_str!(concat!("../sql/", $file, ".sql"));)*
    };
}

statements! {
    CANCEL = "cancel",
    CHECKPOINT = "checkpoint",
    CLAIM = "claim",
    CONFIGURE_LIMIT = "configure_limit",
    DEFINE_QUEUE = "define_queue",
    ENQUEUE = "enqueue",
    EXPIRE_UNIQUE = "expire_unique",
    FILL = "fill",
    FILL_KEY = "fill_key",
    FLUSH = "flush",
    FORGET = "forget",
    LEASED = "leased",
    LIST = "list",
    MIGRATE_LOCK = "migrate_lock",
    SCHEMA_IS_FOREIGN = "schema_is_foreign",
    MOVE_DUE = "move_due",
    NOTIFY = "notify",
    PRUNE = "prune",
    QUEUE_ID = "queue_id",
    QUEUE_IDS = "queue_ids",
    REAP = "reap",
    REFILL = "refill",
    RENEW = "renew",
    REPLAY = "replay",
    RETRY = "retry",
    SET_LIMIT = "set_limit",
    SET_PAUSED = "set_paused",
    SETTLE = "settle",
    STATS = "stats",
    SWEEP = "sweep",
    TURN_PARTITIONS = "turn_partitions",
    VIEW = "view",
}
