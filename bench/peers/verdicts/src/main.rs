//! Random frames and what serde_json makes of them, as lines for tests/vectors: `bench-verdicts SEED COUNT`.
use serde_derive::{Deserialize, Serialize};
use std::io::Write;

type Text = Option<String>;

#[derive(Serialize, Deserialize)]
enum Request {
    Build {
        flake_ref: String,
        attr: String,
        timeout_secs: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Text,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<bool>,
    },
    Ping,
    Hello {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nonce: Text,
    },
    Join { id: String },
    Cancel { id: String },
}

#[derive(Serialize, Deserialize)]
enum Response {
    Ok {
        out_path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Text,
    },
    Err {
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Text,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Text,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Text,
    },
    Log {
        line: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Text,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beat: Option<bool>,
    },
    Pong,
    Hello {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nonce: Text,
        agent: String,
        boot: String,
        features: String,
    },
    Cancelled { id: String, was: String },
}

struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % below
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.throw(n) == 0
    }
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.throw(from.len())]
    }
}

const REQUESTS: &[(&str, &[&str])] = &[
    ("Build", &["flake_ref", "attr", "timeout_secs", "id", "keep"]),
    ("Ping", &[]),
    ("Hello", &["nonce"]),
    ("Join", &["id"]),
    ("Cancel", &["id"]),
];
const RESPONSES: &[(&str, &[&str])] = &[
    ("Ok", &["out_path", "id"]),
    ("Err", &["message", "id", "refused", "category"]),
    ("Log", &["line", "id", "beat"]),
    ("Pong", &[]),
    ("Hello", &["nonce", "agent", "boot", "features"]),
    ("Cancelled", &["id", "was"]),
];
const PARTS: &[&str] = &[
    "a", "plain text", "\\n", "\\\"", "\\\\", "\\/", "\\b\\f\\r\\t", "\\u001b[1m", "\\u00e9", "é", "日本", "🚀",
    "\\ud83d\\ude80", "\\u0000", "\u{7f}", "-",
];
const ODD: &[&str] = &["\\ud800", "\\udc00x", "\\x", "\\u12g4", "\u{1}", "\\", "\"", "\n"];
const NUMBERS: &[&str] = &[
    "0", "1", "1800", "18446744073709551615", "18446744073709551616", "-0", "-1", "01", "1.5", "1e3", "99999999999999999999",
];

fn string(d: &mut Dice, out: &mut String, max: usize) {
    let start = out.len();
    for _ in 0..d.throw(6) {
        let part = if d.one_in(60) { d.pick(ODD) } else { d.pick(PARTS) };
        if out.len() + part.len() - start <= max {
            out.push_str(part);
        }
    }
}

fn blank(d: &mut Dice, out: &mut String) {
    if d.one_in(12) {
        out.push_str(d.pick(&[" ", "\t", "\r", "  "]));
    }
}

fn value(d: &mut Dice, name: &str, max: usize, out: &mut String) {
    if d.one_in(10) {
        out.push_str(d.pick(&["null", "true", "false", "{}", "[]", "[1,[\"x\"]]", "{\"a\":{\"b\":null}}", "nul", "7"]));
    } else if name == "timeout_secs" {
        out.push_str(d.pick(NUMBERS));
    } else if name == "keep" || name == "beat" {
        out.push_str(d.pick(&["true", "false", "null"]));
    } else {
        out.push('"');
        string(d, out, max);
        out.push('"');
    }
}

fn key(d: &mut Dice, name: &str, out: &mut String) {
    out.push('"');
    match d.throw(20) {
        0 => out.push_str(&name.replacen('e', "\\u0065", 1)),
        1 => out.push_str("extra"),
        _ => out.push_str(name),
    }
    out.push('"');
}

fn frame(d: &mut Dice, kinds: &[(&str, &[&str])], out: &mut String) {
    let (name, fields) = kinds[d.throw(kinds.len())];
    blank(d, out);
    if fields.is_empty() && !d.one_in(4) {
        key(d, name, out);
        return;
    }
    out.push('{');
    blank(d, out);
    key(d, name, out);
    blank(d, out);
    out.push(':');
    blank(d, out);
    let array = d.one_in(10);
    out.push(if array { '[' } else { '{' });
    let mut list: Vec<&str> = fields.iter().copied().filter(|_| !d.one_in(6)).collect();
    if d.one_in(6) && !list.is_empty() {
        let (a, b) = (d.throw(list.len()), d.throw(list.len()));
        list.swap(a, b);
    }
    if d.one_in(30) && !list.is_empty() {
        list.push(list[0]);
    }
    for (n, field) in list.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        blank(d, out);
        if !array {
            key(d, field, out);
            blank(d, out);
            out.push(':');
            blank(d, out);
        }
        let short = array || *field == "category" || *field == "was"; // an array's element may be any field's
        value(d, field, if short { 30 } else { 60 }, out);
        blank(d, out);
    }
    out.push(if array { ']' } else { '}' });
    blank(d, out);
    out.push('}');
    blank(d, out);
}

fn spoil(d: &mut Dice, bytes: &mut Vec<u8>) {
    if d.one_in(6) && !bytes.is_empty() {
        let at = d.throw(bytes.len());
        match d.throw(3) {
            0 => bytes[at] = d.throw(256) as u8,
            1 => {
                bytes.remove(at);
            }
            _ => bytes.insert(at, b"{}[]\":,\\x\xc3\xff"[d.throw(11)]),
        }
    }
}

/// The canonical JSON, or none.
fn judge(bytes: &[u8], request: bool) -> Option<String> {
    let line = std::str::from_utf8(bytes).ok()?;
    if request {
        serde_json::from_str::<Request>(line).ok().map(|m| serde_json::to_string(&m).unwrap())
    } else {
        serde_json::from_str::<Response>(line).ok().map(|m| serde_json::to_string(&m).unwrap())
    }
}

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let mut d = Dice(args[0] * 2 + 1);
    let mut out = std::io::BufWriter::new(std::io::stdout());
    for _ in 0..args[1] {
        let request = d.one_in(2);
        let mut text = String::new();
        frame(&mut d, if request { REQUESTS } else { RESPONSES }, &mut text);
        let mut bytes = text.into_bytes();
        spoil(&mut d, &mut bytes);
        bytes.retain(|b| *b != b'\n');
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let direction = if request { 'q' } else { 's' };
        if bytes.iter().all(|b| b" \t\r".contains(b)) {
            writeln!(out, "{direction}\t{hex}\tblank").unwrap();
        } else if let Some(json) = judge(&bytes, request) {
            writeln!(out, "{direction}\t{hex}\tok\t{json}").unwrap();
        } else {
            writeln!(out, "{direction}\t{hex}\terr").unwrap();
        }
    }
}
