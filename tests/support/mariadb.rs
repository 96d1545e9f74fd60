//! A private MariaDB server for the tests of one process: started on first use, gone with the process.
//!
//! Nothing of it is left behind, however the process ends: the server is the child of a small shell that waits on a
//! pipe from us. When we end (by returning, by a panic, by kill -9), the system closes the pipe, and the shell kills
//! the server and removes its files.
#![allow(dead_code, reason = "each test binary that includes this file uses a part of it")]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;

const READY_TIMEOUT: Duration = Duration::from_secs(60);

pub struct MariaDb {
    pub port: u16,
    folder: PathBuf,
    /// Closing the pipe ends the server.
    keeper: Option<(Child, Mutex<ChildStdin>)>,
}

impl MariaDb {
    /// The server of this process: a private MariaDB, or the one that runs already at `XC2_TEST_MYSQL_PORT` (MySQL,
    /// say), whose `root` has no password.
    ///
    /// # Panics
    /// When no MariaDB is installed: a test that can't run must not look as if it had passed.
    pub fn shared() -> &'static MariaDb {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("XC2_TEST_MYSQL_PORT") {
            Ok(port) => {
                let port = port.parse().expect("XC2_TEST_MYSQL_PORT is a port");
                MariaDb { port, folder: PathBuf::new(), keeper: None }
            }
            Err(_) => MariaDb::start(),
        })
    }

    pub fn start() -> MariaDb {
        let server = program("XC2_TEST_MARIADBD", "mariadbd");
        let install = program("XC2_TEST_MARIADB_INSTALL_DB", "mariadb-install-db");
        let folder = std::env::temp_dir().join(format!("xc2-mariadb-{}-{}", std::process::id(), unique()));
        std::fs::create_dir_all(&folder).expect("create the server's folder");
        let port = free_port();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER])
            .env("FOLDER", &folder)
            .env("INSTALL", &install)
            .env("SERVER", &server)
            .env("PORT", port.to_string())
            .env("AS_USER", user_argument())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start sh");
        let lifeline = keeper.stdin.take().expect("a pipe");
        let server = MariaDb { port, folder, keeper: Some((keeper, Mutex::new(lifeline))) };
        server.await_ready();
        server
    }

    fn await_ready(&self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.folder.join("ended").exists();
            assert!(!ended && started.elapsed() < READY_TIMEOUT, "MariaDB did not start:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As a power failure: kill -9, in the middle of whatever it does.
    pub fn kill(&self) {
        self.say("kill");
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(started.elapsed() < READY_TIMEOUT, "MariaDB did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts it again on the same files and port.
    pub fn restart(&self) {
        self.say("start");
        self.await_ready();
    }

    fn say(&self, command: &str) {
        let (_, lifeline) = self.keeper.as_ref().expect("a server of our own");
        writeln!(lifeline.lock().expect("the lifeline"), "{command}").expect("the keeper reads");
    }

    fn logs(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        read("install.log") + &read("error.log")
    }

    /// `mysql://root@127.0.0.1:PORT/NAME` of a database that may or may not exist. The user has no password.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database of its own for one test; its name.
    pub async fn database(&self) -> String {
        // The process is part of the name: a server that runs already serves several.
        let name = format!("test_{}_{}", std::process::id(), unique());
        self.run(&format!("CREATE DATABASE {name}")).await;
        name
    }

    /// Runs a statement as the administrator, in no database.
    pub async fn run(&self, sql: &str) {
        let url = format!("mysql://root@127.0.0.1:{}/mysql?prefer_socket=false", self.port);
        let connected = mysql_async::Conn::from_url(url).await;
        let mut connection =
            connected.unwrap_or_else(|error| panic!("connect to the test server: {error}\n{}", self.logs()));
        connection.query_drop(sql).await.expect(sql);
        connection.disconnect().await.expect("disconnect");
    }
}

/// Installs and starts the server in a process group of its own (which also keeps a terminal's Ctrl-C from it), does
/// what it reads until the pipe ends, then ends the group and removes everything.
const KEEPER: &str = r#"
trap '' INT TERM HUP
cd "$FOLDER" || exit 1
# Not the common one: a server that starts removes all temporary tables from it, those of another's installation too.
mkdir tmp && export TMPDIR="$FOLDER/tmp"
start() {
    setsid sh -c '
    { [ -d data ] || "$INSTALL" --no-defaults $AS_USER --datadir="$FOLDER/data" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=normal >install.log 2>&1; } &&
    "$SERVER" --no-defaults $AS_USER --datadir="$FOLDER/data" --socket="$FOLDER/socket" --pid-file="$FOLDER/pid" \
        --log-error="$FOLDER/error.log" --bind-address=127.0.0.1 --port="$PORT" --skip-name-resolve \
        --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=128M --max-connections=300
    touch ended
    ' </dev/null & group=$!
}
stop() { kill -s KILL -- "-$group"; wait; }
start
while read -r command; do
    case $command in
    kill) stop ;;
    start) start ;;
    esac
done
stop
cd / && rm -rf "$FOLDER"
"#;

/// The server refuses to be root unless it is told so.
fn user_argument() -> &'static str {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if is_root { "--user=root" } else { "" }
}

/// From the environment, or from where packages put it.
fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no {name}: run `tests/run`, or `apt-get install mariadb-server`, or set {variable}")
    })
}

/// Free now; whoever takes it before the server does makes the test fail loudly, not wrongly.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind a free port");
    listener.local_addr().expect("an address").port()
}

fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
