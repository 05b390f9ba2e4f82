//! The hosts file: who takes part, one rank a line.
//!
//! ```text
//! # rank = position of the line, from 0
//! node1              slots=8
//! node2.example:9000 slots=8
//! [fe80::2]:9000
//! localhost
//! ```
//!
//! A line without a port gets the first from [`PORT_FIRST`] on that no other line of the same host
//! has, so four lines `localhost` are four ranks on ports 7700 to 7703. All names of the loopback
//! (`localhost`, `127.…`, `[::1]`) count as one host. The ports lie below those that Linux hands out
//! to outgoing connections (32768 and up), so no connection can take one away between two runs.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::OnceLock;

use crate::error::{Error, Place, Result};

/// The port of the first line of a host that names none.
pub const PORT_FIRST: u16 = 7700;
/// The most ranks in a run.
pub const RANKS_MAX: usize = 4096;
/// The longest hosts file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The longest host name, in bytes (RFC 1035).
const NAME_BYTES_MAX: usize = 253;
/// The most worker threads a line may ask for.
const SLOTS_MAX: u32 = 1 << 16;
/// The most errors that are told.
const ERRORS_MAX: usize = 100;

/// One line: where a rank lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A host name, an IPv4 address, or an IPv6 address in brackets.
    pub name: String,
    /// The port the rank listens on.
    pub port: u16,
    /// The line names its port; otherwise ranks that are launched may use any.
    pub port_given: bool,
    /// Worker threads, if the line says so.
    pub slots: Option<u32>,
    /// The line of the file, from 1.
    pub line: u64,
}

/// The hosts of a run in rank order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts(Vec<Host>);

impl Host {
    /// True if the line means this machine: the loopback or this machine's own name, with or
    /// without its domain.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.name) || own_name().is_some_and(|own| is_same_name(&self.name, own))
    }
}

impl fmt::Display for Host {
    /// `host:port`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl Hosts {
    /// Reads a hosts file. Status 66 if it cannot be read, 78 with every error in it otherwise.
    pub fn read(path: &Path) -> Result<Hosts> {
        let mut bytes = Vec::new();
        let read = |file: File| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        File::open(path)
            .and_then(read)
            .map_err(|error| Error::no_input(path, error))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let text = format!(
                "{}: longer than 1 MiB: is this a hosts file?",
                path.display()
            );
            return Err(Error::Hosts(text));
        }
        Hosts::parse(path, &bytes)
    }

    /// Parses a hosts file's content; `path` names it in errors.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Hosts> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut parser = Parser {
            path,
            lines: Vec::new(),
            errors: Vec::new(),
        };
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            parser.line(number, line);
        }
        let hosts = parser.assign_ports();
        if hosts.is_empty() && parser.errors.is_empty() {
            parser.error(
                0,
                0,
                "no hosts: expected one `host[:port] [slots=N]` a line",
            );
        }
        if hosts.len() > RANKS_MAX {
            parser.error(0, 0, &format!("{} hosts, at most {RANKS_MAX}", hosts.len()));
        }
        match parser.errors.is_empty() {
            true => Ok(Hosts(hosts)),
            false => Err(Error::Hosts(parser.errors.join("\n"))),
        }
    }

    /// The lines, in rank order.
    pub fn lines(&self) -> &[Host] {
        &self.0
    }

    /// `host:port` of every rank.
    pub fn addresses(&self) -> Vec<String> {
        self.0.iter().map(Host::to_string).collect()
    }

    /// The same text for every file that means the same hosts: addresses with commas between. What
    /// a line's `slots` come to is told by each rank itself.
    pub fn canonical(&self) -> String {
        self.addresses().join(",")
    }
}

/// A line that was understood, before ports are given out.
struct Line {
    number: u64,
    column: u64,
    name: String,
    port: Option<u16>,
    slots: Option<u32>,
}

struct Parser<'a> {
    path: &'a Path,
    lines: Vec<Line>,
    errors: Vec<String>,
}

impl Parser<'_> {
    fn error(&mut self, line: u64, column: u64, text: &str) {
        let place = Place {
            path: self.path.to_path_buf(),
            line,
            column,
        };
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(format!("{place}: {text}"));
        }
    }

    fn line(&mut self, number: u64, bytes: &[u8]) {
        let content = bytes.split(|byte| *byte == b'#').next().unwrap_or_default();
        let text = match std::str::from_utf8(content) {
            Ok(text) => text,
            Err(error) => {
                let column = error.valid_up_to() as u64 + 1;
                return self.error(number, column, "not text: expected a host name");
            }
        };
        let mut words = words(text);
        let Some((column, address)) = words.next() else {
            return;
        };
        let mut slots = None;
        for (column, word) in words {
            match slots_of(word) {
                Ok(_) if slots.is_some() => self.error(number, column, "`slots` twice"),
                Ok(count) => slots = Some(count),
                Err(text) => self.error(number, column, &text),
            }
        }
        match address_of(address) {
            Ok((name, port)) => self.lines.push(Line {
                number,
                column,
                name,
                port,
                slots,
            }),
            Err((offset, text)) => self.error(number, column + offset as u64, &text),
        }
    }

    /// Gives a port to every line that names none, and finds ranks that would share one.
    fn assign_ports(&mut self) -> Vec<Host> {
        let lines = std::mem::take(&mut self.lines);
        let mut taken = BTreeSet::new();
        for line in &lines {
            if let Some(port) = line.port
                && !taken.insert((host_key(&line.name), port))
            {
                let text = format!(
                    "{}:{port} again: each rank of a host needs a port of its own",
                    line.name
                );
                self.error(line.number, line.column, &text);
            }
        }
        let mut hosts = Vec::with_capacity(lines.len());
        for Line {
            number,
            column,
            name,
            port,
            slots,
        } in lines
        {
            let free = |port: &u16| taken.insert((host_key(&name), *port));
            match port.or_else(|| (PORT_FIRST..=u16::MAX).find(free)) {
                Some(free) => hosts.push(Host {
                    name,
                    port: free,
                    port_given: port.is_some(),
                    slots,
                    line: number,
                }),
                None => self.error(number, column, "no port is left on this host"),
            }
        }
        hosts
    }
}

/// The words of a line, each with its column (from 1).
fn words(line: &str) -> impl Iterator<Item = (u64, &str)> {
    let start = line.as_ptr() as usize;
    line.split_whitespace()
        .map(move |word| ((word.as_ptr() as usize - start) as u64 + 1, word))
}

fn slots_of(word: &str) -> Result<u32, String> {
    let Some(count) = word.strip_prefix("slots=") else {
        return Err(format!(
            "expected `slots=N` after the host, found `{}`",
            clip(word)
        ));
    };
    match count.parse() {
        Ok(count) if (1..=SLOTS_MAX).contains(&count) => Ok(count),
        _ => Err(format!(
            "expected `slots=N` with N from 1 to {SLOTS_MAX}, found `{}`",
            clip(word)
        )),
    }
}

/// Splits `host[:port]`; an error comes with its byte offset in `word`.
fn address_of(word: &str) -> Result<(String, Option<u16>), (usize, String)> {
    if word.starts_with("slots=") {
        return Err((0, "expected a host before `slots`".into()));
    }
    let (name, port) = if let Some(bracketed) = word.strip_prefix('[') {
        let Some((address, rest)) = bracketed.split_once(']') else {
            return Err((0, "expected `]` after an IPv6 address".into()));
        };
        if address.parse::<Ipv6Addr>().is_err() {
            return Err((1, format!("`{}` is not an IPv6 address", clip(address))));
        }
        match rest.strip_prefix(':') {
            None if rest.is_empty() => (&word[..address.len() + 2], None),
            None => return Err((address.len() + 2, "expected `:port` after `]`".into())),
            Some(port) => (&word[..address.len() + 2], Some(port)),
        }
    } else {
        if word.parse::<Ipv6Addr>().is_ok() {
            return Err((
                0,
                format!("expected brackets around an IPv6 address: [{word}]"),
            ));
        }
        let (name, port) = word
            .split_once(':')
            .map_or((word, None), |(n, p)| (n, Some(p)));
        check_name(name)?;
        (name, port)
    };
    let port = port.map(|port| port_of(port, name.len() + 1)).transpose()?;
    Ok((name.to_ascii_lowercase(), port))
}

fn check_name(name: &str) -> Result<(), (usize, String)> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err((
            0,
            format!("expected a host name of 1 to {NAME_BYTES_MAX} characters"),
        ));
    }
    match name.find(|c| !is_fine(c)) {
        None if name.starts_with(['-', '.']) => {
            Err((0, "a host name cannot begin with `-` or `.`".into()))
        }
        None => Ok(()),
        Some(offset) => {
            let found = name[offset..].chars().next().unwrap_or_default();
            Err((
                offset,
                format!("`{}` cannot be in a host name", found.escape_default()),
            ))
        }
    }
}

fn port_of(text: &str, offset: usize) -> Result<u16, (usize, String)> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err((
            offset,
            format!("expected a port from 1 to 65535, found `{}`", clip(text)),
        )),
    }
}

/// Text from the file in an error: short, on one line.
fn clip(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

/// Lines with equal keys share one machine's ports.
fn host_key(name: &str) -> String {
    if is_loopback(name) {
        "localhost".into()
    } else {
        name.into()
    }
}

fn is_loopback(name: &str) -> bool {
    let v6 = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match v6 {
        Some(address) => address
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback()),
        None => name == "localhost" || name.starts_with("127."),
    }
}

/// This machine's name.
fn own_name() -> Option<&'static str> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
        let names = files
            .iter()
            .filter_map(|file| std::fs::read_to_string(file).ok());
        names
            .map(|name| name.trim().to_ascii_lowercase())
            .find(|name| !name.is_empty())
    };
    NAME.get_or_init(read).as_deref()
}

/// `node1` and `node1.example` are the same machine, `node1.a` and `node1.b` are not.
fn is_same_name(a: &str, b: &str) -> bool {
    let begins = |long: &str, short: &str| {
        long.strip_prefix(short)
            .is_some_and(|rest| rest.starts_with('.'))
            && !short.contains('.')
    };
    a == b || begins(a, b) || begins(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Hosts> {
        Hosts::parse(Path::new("hosts.txt"), text.as_bytes())
    }

    fn errors(text: &str) -> Vec<String> {
        let error = parse(text).expect_err("an error");
        assert_eq!(error.status(), 78);
        error.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_form_of_a_line_is_understood() {
        let text = "\u{feff}# two machines\r\n\r\nNode1 slots=8 # big\r\n\tnode2.example:9000\r\n\
                    [fe80::2]:9001 slots=1\n[fe80::2]\n10.0.0.1";
        let hosts = parse(text).unwrap();
        assert_eq!(
            hosts.canonical(),
            "node1:7700,node2.example:9000,[fe80::2]:9001,[fe80::2]:7700,10.0.0.1:7700"
        );
        let slots: Vec<_> = hosts.lines().iter().map(|host| host.slots).collect();
        assert_eq!(slots, [Some(8), None, Some(1), None, None]);
    }

    #[test]
    fn lines_of_one_host_get_ports_of_their_own() {
        let hosts = parse("localhost\nlocalhost:7701\n127.0.0.1\n[::1]\nb\nlocalhost\n").unwrap();
        let ports: Vec<_> = hosts.lines().iter().map(|host| host.port).collect();
        assert_eq!(ports, [7700, 7701, 7702, 7703, 7700, 7704]);
    }

    #[test]
    fn all_errors_come_at_once_with_their_places() {
        let text = "a b\na:0\na:70000 slots=0\n::1\n[::1\n[x]:1\n[::1]7\nh:1\nH:1\nb\u{e9}b:2\n\
                    slots=3\n-a\n  c slots=1 slots=2";
        let expected = [
            "1:3: expected `slots=N` after the host",
            "2:3: expected a port from 1 to 65535, found `0`",
            "3:9: expected `slots=N` with N from 1",
            "3:3: expected a port from 1 to 65535, found `70000`",
            "4:1: expected brackets around an IPv6 address: [::1]",
            "5:1: expected `]`",
            "6:2: `x` is not an IPv6 address",
            "7:6: expected `:port` after `]`",
            "10:2: `\\u{e9}` cannot be in a host name",
            "11:1: expected a host before",
            "12:1: a host name cannot begin",
            "13:13: `slots` twice",
            "9:1: h:1 again",
        ];
        let errors = errors(text);
        assert_eq!(errors.len(), expected.len(), "{errors:#?}");
        for (error, expected) in errors.iter().zip(expected) {
            assert!(
                error.starts_with(&format!("hosts.txt:{expected}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_without_hosts_is_an_error() {
        for text in ["", "\n\n", "# nobody\n"] {
            assert!(errors(text)[0].starts_with("hosts.txt: no hosts"));
        }
        let binary = Hosts::parse(Path::new("x"), b"a\n\xff\xfe\n").unwrap_err();
        assert!(binary.to_string().starts_with("x:2:1: not text"));
        let missing = Hosts::read(Path::new("/does/not/exist")).unwrap_err();
        assert_eq!(missing.status(), 66);
    }

    #[test]
    fn local_lines_are_known() {
        let is_local = |name: &str| parse(name).unwrap().lines()[0].is_local();
        for name in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1",
            "127.8.9.1:1",
            "[::1]",
            "[0:0::1]",
        ] {
            assert!(is_local(name), "{name}");
        }
        for name in ["10.0.0.1", "[fe80::1]", "surely-another.example"] {
            assert!(!is_local(name), "{name}");
        }
        assert!(own_name().is_none_or(is_local));
        assert!(is_same_name("node1", "node1.example") && is_same_name("node1.a", "node1"));
        assert!(!is_same_name("node1.a", "node1.b") && !is_same_name("node1", "node10"));
    }
}
