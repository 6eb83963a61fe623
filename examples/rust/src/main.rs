//! A web server that listens where Piku tells it to, from Rust's standard library alone.

use std::env;
use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const GREETING: &str = "Hello from Rust";

fn main() -> Result<()> {
    let variable = |name| env::var(name).expect(name);
    let listener = TcpListener::bind(format!("{}:{}", variable("BIND_ADDRESS"), variable("PORT")))?;
    for connection in listener.incoming() {
        let connection = connection?;
        thread::spawn(move || {
            if let Err(error) = answer(connection) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn answer(connection: TcpStream) -> Result<()> {
    let mut reader = BufReader::new(&connection);
    let mut line = String::new();
    // The request ends with an empty line; nothing in it matters here.
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let release = env::var("PIKU_RELEASE").unwrap_or_default();
    let body = format!("{GREETING}, release {release}\n");
    write!(
        &connection,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
