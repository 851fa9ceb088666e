use std::{sync::PoisonError, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use store::StoreError;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    error::{fault, is_no_script},
    reply,
    script::Script,
};

/// How long a connection may take to be made.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long an answer may take before the call answers `Unavailable`.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// How long after a connection could not be made no other caller tries: all that wait for it are told at once.
const FAIL_FAST: Duration = Duration::from_millis(100);
/// Calls of a script that are under way together: their replies share a write to the disk, and Redis serves others between them.
pub(crate) const CALLS_MAX: usize = 8;
/// How often a call is sent again because the server did not have its script, or another node has the slot.
const TRIES_MAX: usize = 3;

/// One connection that all callers share, made anew when it is lost. A command that was under way is not repeated: the caller
/// knows whether it may.
pub(crate) struct Connection {
    meta: String,
    live: Mutex<Live>,
    client: std::sync::Mutex<Client>,
}

#[derive(Default)]
struct Live {
    connection: Option<MultiplexedConnection>,
    /// Counts the connections, so that one that is lost is dropped once.
    generation: u64,
    failed: Option<(Instant, RedisError)>,
}

// Derived, it would show the password of the address.
impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// Calls of one script.
pub(crate) struct Calls<'c> {
    what: &'static str,
    script: &'static Script,
    digest: &'static str,
    meta: &'c str,
    commands: Vec<Cmd>,
}

impl Connection {
    /// To the server of a client, for the namespace with this key of its own.
    pub(crate) fn new(client: Client, meta: String) -> Self {
        Self { meta, live: Mutex::default(), client: std::sync::Mutex::new(client) }
    }

    /// The name of a key of the namespace.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.meta.trim_end_matches("meta"))
    }

    /// The client that makes connections, for one that listens.
    pub(crate) fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn get(&self) -> Result<(MultiplexedConnection, u64), RedisError> {
        let mut live = self.live.lock().await;
        if let Some(connection) = &live.connection {
            return Ok((connection.clone(), live.generation));
        }
        if let Some((_, error)) = live.failed.as_ref().filter(|(at, _)| at.elapsed() < FAIL_FAST) {
            return Err(error.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WAIT))
            .set_response_timeout(Some(ANSWER_WAIT));
        match self.client().get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => {
                live.connection = Some(connection.clone());
                live.generation += 1;
                live.failed = None;
                Ok((connection, live.generation))
            }
            Err(error) => {
                live.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Closes the connection once the calls under way have ended; a later call makes another.
    pub(crate) async fn close(&self) {
        self.live.lock().await.connection = None;
    }

    /// Drops a connection that was lost, if nobody has done so yet.
    async fn lose(&self, generation: u64) {
        let mut live = self.live.lock().await;
        if live.generation == generation {
            live.connection = None;
        }
    }

    /// Sends commands together; answers for each, faults of the server among them.
    async fn send(&self, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let (mut connection, generation) = self.get().await?;
        let answers = connection.req_packed_commands(pipeline, 0, pipeline.len()).await;
        match &answers {
            Err(error) if error.is_io_error() || error.is_unrecoverable_error() => self.lose(generation).await,
            // The namespace has one slot: whoever has that is the one server to talk to from now on.
            Ok(answers) => {
                if let Some(moved) = answers.iter().find_map(moved_to) {
                    self.move_to(moved);
                    self.lose(generation).await;
                }
            }
            Err(_) => {}
        }
        answers
    }

    fn move_to(&self, (host, port): (String, u16)) {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let info = client.get_connection_info().clone();
        let address = match info.addr() {
            redis::ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                redis::ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => redis::ConnectionAddr::Tcp(host, port),
        };
        if let Ok(moved) = Client::open(info.set_addr(address)) {
            *client = moved;
        }
    }

    /// Sends plain commands together.
    pub(crate) async fn commands(&self, what: &'static str, commands: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        let all = self.answers(commands, None).await;
        whole(what, all.map_err(|error| fault(what, error))?)
    }

    /// Sends one plain command.
    pub(crate) async fn command(&self, what: &'static str, command: Cmd) -> Result<Value, StoreError> {
        Ok(self.commands(what, vec![command]).await?.pop().unwrap_or(Value::Nil))
    }

    /// Calls of a script to come, each made by [`Calls::add`]; what is tried is `what`.
    pub(crate) async fn calls(&self, what: &'static str, script: &'static Script) -> Result<Calls<'_>, StoreError> {
        let digest = match script.digest() {
            Some(digest) => digest,
            None => self.load(script).await.map_err(|error| fault(what, error))?,
        };
        Ok(Calls { what, script, digest, meta: &self.meta, commands: Vec::new() })
    }

    /// Runs calls of a script, in their order and as many at once as [`CALLS_MAX`].
    pub(crate) async fn run(&self, calls: Calls<'_>) -> Result<Vec<Value>, StoreError> {
        let Calls { what, script, mut commands, .. } = calls;
        let mut answers = Vec::with_capacity(commands.len());
        while !commands.is_empty() {
            let rest = commands.split_off(commands.len().min(CALLS_MAX));
            let now = std::mem::replace(&mut commands, rest);
            let found = self.answers(now, Some(script)).await;
            match found.map_err(|error| fault(what, error)).and_then(|found| whole(what, found)) {
                Ok(found) => answers.extend(found),
                // What an earlier call has done stays done.
                Err(error) if error.is_undone() && error.is_transient() && !answers.is_empty() => {
                    return Err(StoreError::Unavailable { what, source: Box::new(error) });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }

    /// Runs one call of a script.
    pub(crate) async fn run_one<A>(
        &self,
        what: &'static str,
        script: &'static Script,
        arguments: A,
    ) -> Result<Value, StoreError>
    where
        A: FnOnce(&mut Cmd),
    {
        let mut calls = self.calls(what, script).await?;
        calls.add(arguments);
        Ok(self.run(calls).await?.pop().unwrap_or(Value::Nil))
    }

    /// Sends commands until each has an answer of its own: those that the server could not run for want of the script, or that
    /// belong to another node, have changed nothing and are sent again.
    async fn answers(&self, commands: Vec<Cmd>, script: Option<&'static Script>) -> Result<Vec<Value>, RedisError> {
        let mut answers: Vec<Value> = vec![Value::Nil; commands.len()];
        let mut places: Vec<usize> = (0..commands.len()).collect();
        let mut pipeline = pipelined(commands);
        for attempt in 1..=TRIES_MAX {
            let mut again = (Vec::new(), Vec::new());
            let mut lacks_script = false;
            let found = self.send(&pipeline).await?;
            for ((at, command), answer) in places.iter().zip(pipeline.cmd_iter()).zip(found) {
                let no_script = matches!(&answer, Value::ServerError(error) if is_no_script(error));
                lacks_script |= no_script;
                if attempt < TRIES_MAX && (no_script || moved_to(&answer).is_some()) {
                    again.0.push(*at);
                    again.1.push(command.clone());
                } else {
                    answers[*at] = answer;
                }
            }
            if again.0.is_empty() {
                break;
            }
            if let Some(script) = script.filter(|_| lacks_script) {
                self.load(script).await?;
            }
            (places, pipeline) = (again.0, pipelined(again.1));
        }
        Ok(answers)
    }

    /// Gives the server a script; its digest.
    async fn load(&self, script: &'static Script) -> Result<&'static str, RedisError> {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(script.text());
        let answer = self.send(&pipelined(vec![command])).await?.pop().unwrap_or(Value::Nil).extract_error()?;
        Ok(script.know(redis::from_redis_value(answer)?))
    }
}

impl Calls<'_> {
    /// Adds a call with arguments of its own.
    pub(crate) fn add(&mut self, arguments: impl FnOnce(&mut Cmd)) {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.digest).arg(1).arg(self.meta);
        arguments(&mut command);
        self.commands.push(command);
    }
}

fn pipelined(commands: Vec<Cmd>) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}

/// The node that has the slot, when a command went to another.
fn moved_to(answer: &Value) -> Option<(String, u16)> {
    let Value::ServerError(error) = answer else { return None };
    let error = RedisError::from(error.clone());
    if error.kind() != ErrorKind::Server(ServerErrorKind::Moved) {
        return None;
    }
    let (address, _) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

/// All answers, or the first fault among them; one that has changed nothing is told as such only when no other command did.
fn whole(what: &'static str, answers: Vec<Value>) -> Result<Vec<Value>, StoreError> {
    let is_fault = |answer: &Value| matches!(answer, Value::ServerError(_));
    let some_done = !answers.iter().all(is_fault);
    let Some(first) = answers.iter().find(|answer| is_fault(answer)) else { return Ok(answers) };
    let Err(error) = first.clone().extract_error() else { return Ok(answers) };
    match fault(what, error) {
        error if some_done && error.is_transient() => Err(StoreError::Unavailable { what, source: Box::new(error) }),
        error => Err(error),
    }
}

/// The values of a hash's fields.
pub(crate) fn hash_fields(key: &str, fields: &[&[u8]]) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(key);
    for field in fields {
        command.arg(*field);
    }
    command
}

/// What [`hash_fields`] answers.
pub(crate) fn hash_values(answer: Value) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    reply::list(answer)?.into_iter().map(reply::maybe_bytes).collect()
}
