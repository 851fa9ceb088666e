use redis::{Client, Value};
use store::StoreError;

use crate::{connection::Connection, error::fault, reply, script};

/// How records and keys are laid out; a program that knows another refuses the namespace.
const LAYOUT: u32 = 1;
/// Most bytes of a namespace's name, which stands in every key.
const NAMESPACE_MAX_BYTES: usize = 64;

/// What must be on the disk of Redis before a call is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// All that was answered outlives `kill -9` of Redis and a crash of its machine. Refused unless Redis keeps a log
    /// (`appendonly yes`) and puts each write on disk before it answers (`appendfsync always`, and not suspended while the log
    /// is rewritten: `no-appendfsync-on-rewrite no`).
    #[default]
    Strict,
    /// What Redis is set to: with `appendfsync everysec` a crash loses at most the last second, without a log all since the
    /// last snapshot.
    Relaxed,
}

/// Checks the address and the namespace's name.
pub(crate) fn connection(url: &str, namespace: &str) -> Result<Connection, StoreError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if namespace.is_empty() || namespace.len() > NAMESPACE_MAX_BYTES || !namespace.chars().all(is_plain) {
        return Err(StoreError::Invalid(format!(
            "a namespace must have 1 to {NAMESPACE_MAX_BYTES} of a-z, A-Z, 0-9, '.', '_' and '-', and is {namespace:?}"
        )));
    }
    let client = Client::open(url).map_err(|error| fault("the address of Redis", error))?;
    Ok(Connection::new(client, format!("{{{namespace}}}:meta")))
}

/// Makes sure that the server keeps what it is given, and that the namespace is this program's.
pub(crate) async fn check(connection: &Connection, durability: Durability) -> Result<(), StoreError> {
    let settings = Settings::read(connection).await?;
    settings.check(durability)?;
    let answer = connection.run_one("open the namespace", &script::OPEN, |command| {
        command.arg(LAYOUT);
    });
    let layout = reply::text(answer.await?)?;
    if layout == LAYOUT.to_string() {
        return Ok(());
    }
    Err(StoreError::Schema(format!(
        "the namespace in Redis has layout {layout:?}, and this program knows {LAYOUT}: use the program that made it"
    )))
}

/// What decides whether Redis keeps what it is given. `None`: it does not tell.
#[derive(Debug, Default)]
struct Settings {
    appendonly: Option<bool>,
    appendfsync: Option<String>,
    fsync_pauses: Option<bool>,
    eviction: Option<String>,
}

impl Settings {
    /// Asks for the configuration, and where that is forbidden, as with a managed Redis, for what it says of itself.
    async fn read(connection: &Connection) -> Result<Self, StoreError> {
        let mut settings = Self::default();
        let mut config = redis::cmd("CONFIG");
        config.arg("GET").arg("*append*");
        let mut memory = redis::cmd("CONFIG");
        memory.arg("GET").arg("maxmemory-policy");
        // Refused or unknown, it is no fault: what is not told is asked for below.
        for command in [config, memory] {
            match connection.command("the configuration of Redis", command).await {
                Ok(answer) => settings.take_configuration(answer)?,
                Err(error @ StoreError::Unavailable { .. }) => return Err(error),
                Err(_) => {}
            }
        }
        let mut info = redis::cmd("INFO");
        info.arg("everything");
        let info = info_text(connection.command("the state of Redis", info).await?)?;
        for line in info.lines() {
            match line.split_once(':') {
                Some(("aof_enabled", on)) => settings.appendonly = settings.appendonly.or(Some(on == "1")),
                Some(("maxmemory_policy", policy)) => {
                    settings.eviction.get_or_insert_with(|| policy.to_owned());
                }
                _ => {}
            }
        }
        Ok(settings)
    }

    fn take_configuration(&mut self, answer: Value) -> Result<(), StoreError> {
        let flat = match answer {
            Value::Map(pairs) => pairs.into_iter().flat_map(|(name, value)| [name, value]).collect(),
            answer => reply::list(answer)?,
        };
        let mut flat = flat.into_iter();
        while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
            let (name, value) = (reply::text(name)?, reply::text(value)?);
            match name.as_str() {
                "appendonly" => self.appendonly = Some(value == "yes"),
                "appendfsync" => self.appendfsync = Some(value),
                "no-appendfsync-on-rewrite" => self.fsync_pauses = Some(value == "yes"),
                "maxmemory-policy" => self.eviction = Some(value),
                _ => {}
            }
        }
        Ok(())
    }

    fn check(&self, durability: Durability) -> Result<(), StoreError> {
        match self.eviction.as_deref() {
            None | Some("noeviction") => {}
            Some(policy) => {
                return Err(StoreError::Invalid(format!(
                    "Redis has maxmemory-policy {policy}, and would throw jobs away when its memory is full: allowed is noeviction"
                )));
            }
        }
        if durability == Durability::Relaxed {
            return Ok(());
        }
        let refuse = |text: &str| Err(StoreError::Invalid(format!("durability is strict, and Redis {text}")));
        match (self.appendonly, self.appendfsync.as_deref(), self.fsync_pauses) {
            (Some(false) | None, ..) => {
                refuse("keeps no log: set appendonly to yes, or durability to relaxed to bear the loss of jobs")
            }
            (_, None, _) => refuse(
                "does not tell its appendfsync, since CONFIG is forbidden: allow CONFIG GET, or set durability to relaxed",
            ),
            (_, Some("always"), Some(true)) => refuse(
                "has no-appendfsync-on-rewrite yes, and would answer before the disk has it while the log is rewritten: set it to no",
            ),
            (_, Some("always"), _) => Ok(()),
            (_, Some(policy), _) => refuse(&format!(
                "has appendfsync {policy}: set it to always, or durability to relaxed to bear the loss of the last jobs"
            )),
        }
    }
}

fn info_text(value: Value) -> Result<String, StoreError> {
    match value {
        Value::VerbatimString { text, .. } => Ok(text),
        value => reply::text(value),
    }
}
