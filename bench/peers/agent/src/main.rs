//! A plain builder agent: one thread, a line at a time, std and serde_json.
//!     bench-agent NIX
//! Listens on descriptor 3. It stages nothing and keeps no build.log, which ours does.
use serde_derive::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::FromRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

#[derive(Deserialize)]
enum Request {
    Build {
        flake_ref: String,
        attr: String,
        #[allow(dead_code)]
        timeout_secs: Option<u64>,
    },
    Ping,
}

#[derive(Serialize)]
#[allow(dead_code)]
enum Response {
    Ok { out_path: String },
    Err { message: String },
    Log { line: String },
    Pong,
}

fn send(stream: &mut UnixStream, response: &Response) -> std::io::Result<()> {
    writeln!(stream, "{}", serde_json::to_string(response)?)
}

fn build(stream: &mut UnixStream, nix: &str, installable: &str) -> std::io::Result<Response> {
    let mut child = Command::new(nix)
        .args(["build", installable])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        send(stream, &Response::Log { line: line? })?;
    }
    let status = child.wait()?;
    Ok(Response::Err { message: format!("nix build failed ({status})") })
}

fn serve(mut stream: UnixStream, nix: &str) -> std::io::Result<()> {
    for line in BufReader::new(stream.try_clone()?).lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(Request::Ping) => Response::Pong,
            Ok(Request::Build { flake_ref, attr, .. }) => build(&mut stream, nix, &format!("{flake_ref}#{attr}"))?,
            Err(error) => Response::Err { message: format!("parse error: {error}") },
        };
        send(&mut stream, &answer)?;
    }
    Ok(())
}

fn main() {
    let nix = std::env::args().nth(1).expect("bench-agent NIX");
    let listener = unsafe { UnixListener::from_raw_fd(3) };
    for stream in listener.incoming() {
        let _ = serve(stream.unwrap(), &nix);
    }
}
