//! A private MariaDB server for the tests of one process: started on first use, gone with the process.
//!
//! Nothing of it is left behind, however the process ends: the server is the child of a small shell that waits on a
//! pipe from us. When we end (by returning, by a panic, by kill -9), the system closes the pipe, and the shell kills
//! the server and removes its files.
#![allow(dead_code, reason = "each test binary that includes this file uses a part of it")]

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;

const READY_TIMEOUT: Duration = Duration::from_secs(60);

pub struct MariaDb {
    pub port: u16,
    folder: PathBuf,
    _keeper: Child,
    /// Closing it ends the server.
    _lifeline: ChildStdin,
}

impl MariaDb {
    /// The server of this process.
    ///
    /// # Panics
    /// When no MariaDB is installed: a test that can't run must not look as if it had passed.
    pub fn shared() -> &'static MariaDb {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(MariaDb::start)
    }

    pub fn start() -> MariaDb {
        let server = program("XC2_TEST_MARIADBD", "mariadbd");
        let install = program("XC2_TEST_MARIADB_INSTALL_DB", "mariadb-install-db");
        let folder = std::env::temp_dir().join(format!("xc2-mariadb-{}-{}", std::process::id(), unique()));
        std::fs::create_dir_all(&folder).expect("create the server's folder");
        install_into(&install, &folder);
        let port = free_port();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&folder)
            .arg(&server)
            .args(server_arguments(&folder, port))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start sh");
        let lifeline = keeper.stdin.take().expect("a pipe");
        let server = MariaDb { port, folder, _keeper: keeper, _lifeline: lifeline };
        server.await_ready();
        server
    }

    fn await_ready(&self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || std::fs::read_to_string(self.folder.join("error.log")).unwrap_or_default();
            assert!(started.elapsed() < READY_TIMEOUT, "MariaDB did not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `mysql://root@127.0.0.1:PORT/NAME` of a database that may or may not exist. The user has no password.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database of its own for one test; its name.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", unique());
        self.run(&format!("CREATE DATABASE {name}")).await;
        name
    }

    /// Runs a statement as the administrator, in no database.
    pub async fn run(&self, sql: &str) {
        let url = format!("mysql://root@127.0.0.1:{}/mysql?prefer_socket=false", self.port);
        let mut connection = mysql_async::Conn::from_url(url).await.expect("connect to the test server");
        connection.query_drop(sql).await.expect(sql);
        connection.disconnect().await.expect("disconnect");
    }
}

/// `sh -c` with the folder, the server and its arguments. Ignores the signals of a terminal, so that Ctrl-C on the
/// tests ends them first and the server after.
const KEEPER: &str = r#"
trap '' INT TERM HUP
folder=$1; shift
"$@" </dev/null & server=$!
cat >/dev/null
kill -9 $server
wait $server
rm -rf "$folder"
"#;

fn install_into(install: &Path, folder: &Path) {
    let output = Command::new(install)
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
        .args(user_argument())
        .arg(format!("--datadir={}", folder.join("data").display()))
        .output()
        .expect("run mariadb-install-db");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "mariadb-install-db failed:\n{}{}", text(&output.stdout), text(&output.stderr));
}

fn server_arguments(folder: &Path, port: u16) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut arguments = vec![
        "--no-defaults".into(),
        format!("--datadir={}", path("data")),
        format!("--socket={}", path("socket")),
        format!("--pid-file={}", path("pid")),
        format!("--log-error={}", path("error.log")),
        "--bind-address=127.0.0.1".into(),
        format!("--port={port}"),
        "--skip-name-resolve".into(),
        "--innodb-flush-log-at-trx-commit=1".into(),
        "--innodb-buffer-pool-size=128M".into(),
        "--max-connections=300".into(),
    ];
    arguments.extend(user_argument());
    arguments
}

/// The server refuses to be root unless it is told so.
fn user_argument() -> Option<String> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    is_root.then(|| "--user=root".into())
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
