use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A server with the wire shape of `OpenAI`'s chat completions. It answers a number of calls at once and holds further ones
/// until it is opened, so that a test can kill a process in the middle of its work.
pub struct FakeModel {
    pub base_url: String,
    shared: Arc<Shared>,
}

struct Shared {
    free: Mutex<Option<usize>>,
    opened: Condvar,
    waiting: AtomicUsize,
    /// HTTP for the first calls, in turn; then for all others.
    first: Mutex<VecDeque<String>>,
    answer: String,
    requests: Mutex<Vec<String>>,
}

/// What the model writes unless a test has it say something else.
const NO_FINDINGS: &str = r#"{"summary":"Adds a function.","findings":[]}"#;

impl FakeModel {
    /// Answers `free` calls; later ones wait.
    pub fn holding_after(free: usize) -> Self {
        Self::start(Some(free), VecDeque::new(), &chat(NO_FINDINGS))
    }

    /// Answers every call with a completion of this text.
    pub fn writing(text: &str) -> Self {
        Self::start(None, VecDeque::new(), &chat(text))
    }

    /// Answers every call with these bytes of HTTP.
    pub fn sending(answer: &str) -> Self {
        Self::start(None, VecDeque::new(), answer)
    }

    /// Answers so many calls with a fault of the server, and later ones with a completion of this text.
    pub fn writing_after_faults(faults: usize, text: &str) -> Self {
        let fault = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
        Self::start(None, vec![fault.to_owned(); faults].into(), &chat(text))
    }

    fn start(free: Option<usize>, first: VecDeque<String>, answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            free: Mutex::new(free),
            opened: Condvar::new(),
            waiting: AtomicUsize::new(0),
            first: Mutex::new(first),
            answer: answer.to_owned(),
            requests: Mutex::default(),
        });
        let calls = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let calls = calls.clone();
                thread::spawn(move || serve(stream, &calls));
            }
        });
        Self { base_url, shared }
    }

    /// Calls that wait for an answer.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::SeqCst)
    }

    /// The bodies of all calls for a completion so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Answers every call from now on.
    pub fn open(&self) {
        *self.shared.free.lock().unwrap() = None;
        self.shared.opened.notify_all();
    }
}

impl Shared {
    fn next_answer(&self) -> String {
        self.first.lock().unwrap().pop_front().unwrap_or_else(|| self.answer.clone())
    }

    fn pass(&self) {
        let mut free = self.free.lock().unwrap();
        if *free == Some(0) {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            free = self.opened.wait_while(free, |free| *free == Some(0)).unwrap();
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        if let Some(left) = free.as_mut() {
            *left -= 1;
        }
    }
}

/// A completion of this text that has cost 100 tokens and 10.
fn chat(text: &str) -> String {
    let body = serde_json::json!({
        "id": "1", "object": "chat.completion", "model": "fake-1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    });
    json(&body.to_string())
}

fn json(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    // A client that is killed leaves a broken connection, which ends this thread.
    while let Some((line, body)) = read_request(&mut reader) {
        let answer = if line.starts_with("GET /v1/models ") {
            json(r#"{"object":"list","data":[{"id":"nomic-embed-text"},{"id":"fake-1"}]}"#)
        } else {
            shared.requests.lock().unwrap().push(body);
            shared.pass();
            shared.next_answer()
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The request's first line and its body.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut length = 0;
    let mut first = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let whole = line.trim_end().to_owned();
        let line = whole.to_ascii_lowercase();
        first.get_or_insert(whole);
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first?, String::from_utf8(body).ok()?))
}
