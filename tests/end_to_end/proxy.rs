//! S3 with faults: passes requests on to the emulator, or answers some of them itself.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::moto;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Everything is passed on.
    None,
    /// Reading an object is throttled; everything else works.
    ThrottledReads,
    /// Reading this one object fails; everything else works.
    OneObject(&'static str),
    /// Nothing works.
    Everything,
}

/// Serves until the test process ends.
pub struct Proxy {
    pub endpoint: String,
    fault: Arc<Mutex<Fault>>,
}

impl Proxy {
    pub fn start(fault: Fault) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let fault = Arc::new(Mutex::new(fault));
        let current = fault.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let current = current.clone();
                std::thread::spawn(move || serve(stream.unwrap(), *current.lock().unwrap()));
            }
        });
        Proxy { endpoint, fault }
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

/// One request a connection. Requests of a reader have no body.
fn serve(mut client: TcpStream, fault: Fault) -> Option<()> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = client.read(&mut piece).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&piece[..read]);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?;
    let reads_object = !path.contains("list-type=");
    let fails = match fault {
        Fault::None => false,
        Fault::ThrottledReads => reads_object,
        Fault::OneObject(key) => reads_object && path.contains(key),
        Fault::Everything => true,
    };
    if fails {
        let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        let length = body.len();
        let answer = format!("HTTP/1.1 503 Slow Down\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        return client.write_all(answer.as_bytes()).ok();
    }
    let mut server = TcpStream::connect(moto::server().endpoint().strip_prefix("http://")?).ok()?;
    server.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).ok()?;
    std::io::copy(&mut server, &mut client).ok().map(drop)
}
