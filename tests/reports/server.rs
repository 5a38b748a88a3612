//! A small web server that records its requests and answers as a test tells it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The method and the path with its query.
    pub what: String,
    /// The head, line by line, in small letters.
    pub head: Vec<String>,
    /// The body.
    pub body: String,
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With this status line, more lines of the head, and this body.
    With(&'static str, String, &'static str),
    /// With nothing, while the connection stays open.
    Never,
    /// With a byte every now and then, without an end.
    Drip,
    /// The connection is closed.
    HangUp,
}

impl Answer {
    /// A plain answer of this status.
    pub fn status(line: &'static str) -> Self {
        Self::With(line, String::new(), "OK")
    }
}

/// A running server; it ends with the test's process.
#[derive(Debug)]
pub struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Starts it; each request is answered as `answer` says.
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (ledger, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (ledger, answer) = (Arc::clone(&ledger), Arc::clone(&answer));
                std::thread::spawn(move || serve(connection, &ledger, &*answer));
            }
        });
        Self { port, asked }
    }

    /// Everything is well.
    pub fn kind() -> Self {
        Self::start(|_| Answer::status("200 OK"))
    }

    /// An address at it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The methods and paths that were asked for, in order.
    pub fn whats(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.what).collect()
    }
}

fn serve(connection: TcpStream, ledger: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Answer) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut connection = connection;
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let what = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim_end().is_empty() {
            break;
        }
        let line = line.trim_end().to_lowercase();
        if let Some(number) = line.strip_prefix("content-length: ") {
            length = number.parse().unwrap();
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let asked = Asked { what, head, body: String::from_utf8(body).unwrap() };
    ledger.lock().unwrap().push(asked.clone());
    match answer(&asked) {
        Answer::With(status, more, body) => {
            let text = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}Connection: close\r\n\r\n{body}",
                body.len()
            );
            // Whoever asked may have gone.
            let _ = connection.write_all(text.as_bytes());
        }
        Answer::Never => std::thread::sleep(Duration::from_secs(120)),
        Answer::Drip => {
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ");
            while connection.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Answer::HangUp => {}
    }
}
