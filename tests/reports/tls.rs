//! `--ping` to an encrypted address, with certificates of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::killed::Killed;
use crate::support::sandbox::{Finished, Sandbox, wait_until};

/// Answers each request and writes it down; its port goes to a file.
const SERVER: &str = "
import http.server, ssl, sys
directory = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        open(directory + '/asked', 'a').write(f'{self.command} {self.path}\\n')
        if '/away' in self.path:
            self.send_response(302)
            self.send_header('Location', 'http://127.0.0.1:9/plain')
        else:
            self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()
    do_GET = do_POST = answer
    def log_message(self, *args): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(directory + '/server.pem', directory + '/server.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
open(directory + '/port.new', 'w').write(str(server.server_port))
import os
os.rename(directory + '/port.new', directory + '/port')
server.serve_forever()
";

struct Server {
    _child: Killed,
    dir: PathBuf,
    url: String,
}

fn openssl(dir: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.split(' ')).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Server {
    /// A server for `localhost` whose certificate comes from an authority of ours, `ca.pem` in its directory.
    fn start(sandbox: &Sandbox) -> Self {
        let dir = sandbox.path().join("tls");
        fs::create_dir(&dir).unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&dir, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=Test"));
        openssl(&dir, &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
        fs::write(dir.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
        openssl(
            &dir,
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
        );
        let child =
            Command::new("python3").args(["-c", SERVER]).arg(&dir).stdin(Stdio::null()).spawn().unwrap();
        let mut server = Self { _child: Killed(child), url: String::new(), dir };
        assert!(wait_until(|| server.dir.join("port").exists()));
        let port = fs::read_to_string(server.dir.join("port")).unwrap();
        server.url = format!("https://localhost:{port}");
        server
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.dir.join("asked")).unwrap_or_default()
    }
}

/// Clones with this path at the server, which is trusted if its authority is.
fn clone(sandbox: &Sandbox, server: &Server, path: &str, authority: &Path) -> Finished {
    let mut command = sandbox.command(sandbox.arguments(["--ping", &format!("{}{path}", server.url)]));
    for name in ["HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy", "SSL_CERT_DIR"] {
        command.env_remove(name);
    }
    Finished::from(command.env("SSL_CERT_FILE", authority).output().unwrap())
}

#[test]
fn a_trusted_service_is_told_and_no_other() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let server = Server::start(&sandbox);
    let trusted = server.dir.join("ca.pem");
    let finished = clone(&sandbox, &server, "/x", &trusted);
    finished.assert_code(0).assert_err("").assert_no_log("could not be told");
    assert_eq!(server.asked(), "GET /x/start\nPOST /x\n");
    // It leads away to where everybody can listen.
    let finished = clone(&sandbox, &server, "/away", &trusted);
    finished.assert_code(0).assert_log(
        "Warning: https://localhost could not be pinged at the end of the run: it redirects to an unencrypted address.",
    );
    let before = server.asked();
    // Nobody vouches for it: not a byte of the address leaves the machine.
    openssl(
        &server.dir,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout o.key -out o.pem -days 2 -subj /CN=Other",
    );
    let finished = clone(&sandbox, &server, "/secret", &server.dir.join("o.pem"));
    finished
        .assert_code(0)
        .assert_log("Warning: https://localhost could not be pinged at the end of the run: ");
    finished.assert_log("certificate").assert_no_log("/secret");
    assert_eq!(server.asked(), before);
    // The machine knows no authority at all.
    let finished = clone(&sandbox, &server, "/secret", &sandbox.path().join("nothing"));
    finished
        .assert_code(0)
        .assert_log("Warning: https://localhost could not be pinged at the end of the run: ");
    assert_eq!(server.asked(), before);
}
