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

const READY_TIMEOUT: Duration = Duration::from_secs(180);

/// Ports of the tests' servers: below 32768, from where on Linux takes the ports of outgoing connections. One of those
/// could be gone between our look and the server's start, or while a killed server waits for its restart; and whoever
/// connects to one that nobody listens on may, by chance, be connected with himself.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

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
        let shared = SHARED.get_or_init(|| match std::env::var("XC2_TEST_MYSQL_PORT") {
            Ok(port) => {
                let port = port.parse().expect("XC2_TEST_MYSQL_PORT is a port");
                MariaDb { port, folder: PathBuf::new(), keeper: None }
            }
            Err(_) => MariaDb::start(),
        });
        // Nobody kills the shared one. A test that comes after its end tells why, instead of a refused connection.
        assert!(!shared.has_ended(), "the shared MariaDB ended by itself:\n{}", shared.logs());
        shared
    }

    pub fn start() -> MariaDb {
        Self::start_with("")
    }

    /// With more arguments of the server's, separated by spaces.
    pub fn start_with(arguments: &str) -> MariaDb {
        // Another process may take the port before the server does: then the server ends, and another port is tried.
        for _ in 0..5 {
            let server = MariaDb::start_at(free_port(), arguments);
            if server.is_ready() {
                return server;
            }
            let logs = server.logs();
            assert!(logs.contains("Address already in use"), "MariaDB did not start:\n{logs}");
        }
        panic!("five ports in a row were taken by others");
    }

    fn start_at(port: u16, arguments: &str) -> MariaDb {
        let server = program("XC2_TEST_MARIADBD", "mariadbd");
        let install = program("XC2_TEST_MARIADB_INSTALL_DB", "mariadb-install-db");
        let folder = std::env::temp_dir().join(format!("xc2-mariadb-{}-{}", std::process::id(), unique()));
        std::fs::create_dir_all(&folder).expect("create the server's folder");
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER])
            .env("FOLDER", &folder)
            .env("INSTALL", &install)
            .env("SERVER", &server)
            .env("PORT", port.to_string())
            .env("AS_USER", user_argument())
            .env("ARGUMENTS", arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start sh");
        let lifeline = keeper.stdin.take().expect("a pipe");
        MariaDb { port, folder, keeper: Some((keeper, Mutex::new(lifeline))) }
    }

    /// Waits until the server listens; false when it ended instead. That something answers at the port is not enough:
    /// it could be another's. The server writes its pid file when it listens.
    fn is_ready(&self) -> bool {
        let started = Instant::now();
        while !self.folder.join("pid").exists() || TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if self.has_ended() {
                return false;
            }
            assert!(started.elapsed() < READY_TIMEOUT, "MariaDB did not start:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Whether it has ended by itself, and not by [`MariaDb::kill`].
    fn has_ended(&self) -> bool {
        self.folder.join("ended").exists()
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
        assert!(self.is_ready(), "MariaDB did not start again:\n{}", self.logs());
    }

    fn say(&self, command: &str) {
        let (_, lifeline) = self.keeper.as_ref().expect("a server of our own");
        writeln!(lifeline.lock().expect("the lifeline"), "{command}").expect("the keeper reads");
    }

    fn logs(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        read("install.log") + &read("error.log") + &read("ended")
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
/// what it reads until the pipe ends, then ends the group and removes everything. A group is ended once: its number may
/// be another's afterwards. Each server has its own folder for temporary files: when a server starts, it removes all
/// temporary tables that it finds there, and in /tmp those would be the ones that others are using.
const KEEPER: &str = r#"
trap '' INT TERM HUP
mkdir -p "$FOLDER/tmp" && cd "$FOLDER" || exit 1
export TMPDIR="$FOLDER/tmp"
group=
start() {
    rm -f pid
    setsid sh -c '
    { [ -d data ] || "$INSTALL" --no-defaults $AS_USER --datadir="$FOLDER/data" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=normal >install.log 2>&1; } &&
    "$SERVER" --no-defaults $AS_USER --datadir="$FOLDER/data" --socket="$FOLDER/socket" --pid-file="$FOLDER/pid" \
        --log-error="$FOLDER/error.log" --bind-address=127.0.0.1 --port="$PORT" --skip-name-resolve \
        --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=128M --max-connections=300 $ARGUMENTS
    echo "it ended by itself, with status $?" >ended.new && mv ended.new ended
    ' </dev/null & group=$!
}
stop() {
    [ "$group" ] || return
    kill -s KILL -- "-$group"
    wait
    group=
}
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

/// One that is free now.
fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(PORTS));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("endless")
}

fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
