use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// What a client sends before all else to ask for encryption, and what a server without any answers:
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const ENCRYPTION_ASKED: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const NO_ENCRYPTION: &[u8] = b"N";
/// What a server answers to whoever comes while it recovers.
const STARTING_UP: &[u8] = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
/// Bytes passed on at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A TCP proxy before a server, for the faults of networks that no server makes. It ends with the process.
#[derive(Debug)]
pub struct Proxy {
    /// The address of the server's database `postgres` through it.
    pub url: String,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    tried: AtomicUsize,
    recovers: AtomicBool,
    /// The connection on which a client says this hangs from then on.
    hang_at: Mutex<Option<&'static str>>,
    open: Mutex<Vec<Arc<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    /// Whether all that is sent is swallowed, without a word to either side.
    hangs: AtomicBool,
    client: TcpStream,
    server: TcpStream,
}

impl Proxy {
    /// Starts one before the server with this address.
    pub fn start(server: &str) -> Self {
        let (user, place) = server.split_once('@').unwrap();
        let (behind, database) = place.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{user}@{}/{database}", listener.local_addr().unwrap());
        let (state, behind) = (Arc::<State>::default(), behind.to_owned());
        let of_thread = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                of_thread.tried.fetch_add(1, Ordering::Relaxed);
                let (state, behind) = (of_thread.clone(), behind.clone());
                thread::spawn(move || state.serve(client.unwrap(), &behind));
            }
        });
        Self { url, state }
    }

    /// The address of a database through it.
    pub fn url_of(&self, database: &str) -> String {
        let (base, _) = self.url.rsplit_once('/').unwrap();
        format!("{base}/{database}")
    }

    /// Connections that were asked for so far, those that were refused among them.
    pub fn tried(&self) -> usize {
        self.state.tried.load(Ordering::Relaxed)
    }

    /// Leaves all connections open and passes nothing on any more, as a firewall that has forgotten them. New ones work.
    pub fn hang(&self) {
        for connection in self.state.open.lock().unwrap().iter() {
            connection.hangs.store(true, Ordering::Relaxed);
        }
    }

    /// As [`Proxy::hang`], for the one connection on which a client next says this, from there on.
    pub fn hang_at(&self, said: &'static str) {
        *self.state.hang_at.lock().unwrap() = Some(said);
    }

    /// Cuts all connections and refuses new ones as a server does that recovers, or ends that.
    pub fn recover(&self, recovers: bool) {
        self.state.recovers.store(recovers, Ordering::Relaxed);
        if recovers {
            for connection in self.state.open.lock().unwrap().drain(..) {
                // Either side may be gone already.
                let _ = connection.client.shutdown(Shutdown::Both);
                let _ = connection.server.shutdown(Shutdown::Both);
            }
        }
    }
}

impl State {
    fn serve(&self, client: TcpStream, behind: &str) {
        if self.recovers.load(Ordering::Relaxed) {
            // A client may leave before it is answered.
            let _ = refuse(client);
            return;
        }
        // Without a server behind it, the client sees its connection end.
        let Ok(server) = TcpStream::connect(behind) else { return };
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let connection = Arc::new(Connection { hangs: AtomicBool::new(false), client, server });
        self.open.lock().unwrap().push(connection.clone());
        let answers = connection.clone();
        thread::spawn(move || answers.pass_on(&answers.server, &answers.client, |_| ()));
        connection.pass_on(&connection.client, &connection.server, |chunk| {
            let mut at = self.hang_at.lock().unwrap();
            if at.is_some_and(|said| chunk.windows(said.len()).any(|word| word == said.as_bytes())) {
                *at = None;
                connection.hangs.store(true, Ordering::Relaxed);
            }
        });
    }
}

impl Connection {
    /// Passes on what one side sends, having shown it, until that side ends.
    fn pass_on(&self, mut from: &TcpStream, mut to: &TcpStream, seen: impl Fn(&[u8])) {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(bytes @ 1..) = from.read(&mut chunk) {
            seen(&chunk[..bytes]);
            if !self.hangs.load(Ordering::Relaxed) && to.write_all(&chunk[..bytes]).is_err() {
                break;
            }
        }
        if !self.hangs.load(Ordering::Relaxed) {
            // The other side may have ended first.
            let _ = to.shutdown(Shutdown::Both);
        }
    }
}

/// Answers whatever is asked that the server is starting up.
fn refuse(mut client: TcpStream) -> std::io::Result<()> {
    let mut asked = [0; 8];
    client.read_exact(&mut asked)?;
    if asked == ENCRYPTION_ASKED {
        client.write_all(NO_ENCRYPTION)?;
        client.read_exact(&mut asked)?;
    }
    let length = u32::try_from(STARTING_UP.len() + 4).unwrap();
    client.write_all(&[b"E", length.to_be_bytes().as_slice(), STARTING_UP].concat())?;
    // What is left unread would make the end of the connection a reset, which may overtake the answer.
    client.shutdown(Shutdown::Write)?;
    std::io::copy(&mut client, &mut std::io::sink()).map(drop)
}
