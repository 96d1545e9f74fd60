//! What both proxies of the tests are made of: a listener that can be shut, and a connection that can be reset.
// Each of the test programs that include this uses a part of it.
#![allow(dead_code)]

use std::sync::OnceLock;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

/// Proxies run on a thread of their own: a test that waits for a child process must not stop what the child talks to.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("proxies")
            .build()
            .unwrap()
    })
}

/// What becomes of new connections. A change closes those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Open,
    /// Nobody listens: connections are refused by the system.
    Refusing,
    /// Accepted and reset at once.
    Resetting,
    /// Accepted, and never a byte.
    Mute,
    /// The proxy is gone.
    Closed,
}

/// A place on 127.0.0.1 that keeps its port while it is shut.
pub struct Entrance {
    pub port: u16,
    door: watch::Sender<Door>,
}

impl Entrance {
    /// Gives every connection to `serve`, which is cut short when the door changes.
    pub fn open<S, F>(serve: S) -> Entrance
    where
        S: Fn(TcpStream) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (door, changes) = watch::channel(Door::Open);
        runtime().spawn(accept(listener, port, changes, serve));
        Entrance { port, door }
    }

    pub fn set(&self, door: Door) {
        self.door.send_replace(door);
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.set(Door::Closed);
    }
}

async fn accept<S, F>(first: std::net::TcpListener, port: u16, mut door: watch::Receiver<Door>, serve: S)
where
    S: Fn(TcpStream) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut listener = Some(TcpListener::from_std(first).unwrap());
    loop {
        let now = *door.borrow_and_update();
        match now {
            Door::Closed => return,
            Door::Refusing => {
                listener = None;
                if door.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Door::Open | Door::Resetting | Door::Mute => {}
        }
        let open = match &listener {
            Some(open) => open,
            None => listener.insert(TcpListener::bind(("127.0.0.1", port)).await.unwrap()),
        };
        let accepted = tokio::select! {
            accepted = open.accept() => accepted,
            changed = door.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let mut changed = door.clone();
        match now {
            Door::Resetting => reset(stream),
            Door::Mute => {
                runtime().spawn(async move {
                    let _ = changed.changed().await;
                    reset(stream);
                });
            }
            _ => {
                let served = serve(stream);
                runtime().spawn(async move {
                    tokio::select! {
                        () = served => {}
                        _ = changed.changed() => {}
                    }
                });
            }
        }
    }
}

/// Ends a connection with a RST: what the other side has not read yet is lost to it.
pub fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Where something waits until the test has seen it there and lets it go on.
pub struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub fn new() -> std::sync::Arc<Gate> {
        std::sync::Arc::new(Gate { reached: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// For the test: waits until something waits here.
    pub async fn reached(&self) {
        const PATIENCE: Duration = Duration::from_secs(60);
        let permit = tokio::time::timeout(PATIENCE, self.reached.acquire()).await;
        permit.expect("nothing came to the gate").unwrap().forget();
    }

    /// For the test: lets one go on.
    pub fn let_go(&self) {
        self.open.add_permits(1);
    }

    /// For the proxy.
    pub async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }
}
