//! serde_json on the same enums and the same frames: `bench-serde FRAMES [MS]` prints `NAME WORK NS`.
//!
//! "serde_json" encodes from a String, known to be UTF-8 since it was read. "serde_json+utf8" begins
//! with the bytes, as our encoder does, and checks them each time.
use serde_derive::{Deserialize, Serialize};
use std::borrow::Cow;
use std::hint::black_box;

#[derive(Serialize, Deserialize)]
enum Request {
    Build {
        flake_ref: String,
        attr: String,
        timeout_secs: Option<u64>,
    },
    #[allow(dead_code)]
    Ping,
}

#[derive(Serialize, Deserialize)]
#[allow(dead_code)]
enum Response {
    Ok { out_path: String },
    Err { message: String },
    Log { line: String },
    Pong,
}

/// Serialises as Response does, but borrows its line.
#[derive(Serialize)]
enum Borrowed<'a> {
    Log { line: Cow<'a, str> },
}

#[repr(C)]
struct Timespec {
    secs: i64,
    nanos: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

/// CPU time of this process in nanoseconds, by the clock that the programs in C use.
fn now() -> f64 {
    const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
    let mut t = Timespec { secs: 0, nanos: 0 };
    unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.secs as f64 * 1e9 + t.nanos as f64
}

fn measure(peer: &str, work: &str, ms: f64, mut once: impl FnMut()) {
    const ROUNDS: usize = 5;
    let round = ms * 1e6 / ROUNDS as f64;
    let mut time = |n: u64| {
        let start = now();
        for _ in 0..n {
            once();
        }
        now() - start
    };
    let mut n = 1;
    let mut took = time(n);
    while took < round / 4.0 {
        n *= 2;
        took = time(n);
    }
    n = (n as f64 * round / took) as u64 + 1;
    let best = (0..ROUNDS).map(|_| time(n) / n as f64).fold(f64::INFINITY, f64::min);
    println!("{peer} {work} {best:.2}");
}

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().expect("bench-serde FRAMES [MS]");
    let ms: f64 = args.next().map_or(20.0, |a| a.parse().expect("MS is a number"));
    let read = |name: &str, suffix: &str| std::fs::read(format!("{folder}/{name}.{suffix}")).expect("frames are missing");

    let build = read("build", "json");
    measure("serde_json", "decode-build", ms, || {
        let request: Request = serde_json::from_slice(black_box(&build)).unwrap();
        black_box(&request);
    });

    for name in ["log80", "log4k", "escape", "utf8"] {
        let text = read(name, "text");
        let frame = read(name, "json");
        let Response::Log { line } = serde_json::from_slice(&frame).unwrap() else { panic!("no Log") };
        assert!(line.as_bytes() == text, "{name}: other text than expected");
        measure("serde_json", &format!("decode-{name}"), ms, || {
            let response: Response = serde_json::from_slice(black_box(&frame)).unwrap();
            black_box(&response);
        });

        let response = Response::Log { line };
        let mut out = Vec::with_capacity(1 << 16);
        measure("serde_json", &format!("encode-{name}"), ms, || {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&response)).unwrap();
            out.push(b'\n');
            black_box(&out);
        });
        assert!(out == frame, "{name}: other frame than expected");

        measure("serde_json+utf8", &format!("encode-{name}"), ms, || {
            out.clear();
            let line = String::from_utf8_lossy(black_box(&text));
            serde_json::to_writer(&mut out, &Borrowed::Log { line }).unwrap();
            out.push(b'\n');
            black_box(&out);
        });
        assert!(out == frame, "{name}: other frame than expected");
    }
}
