//! The handshake, as a state machine: bytes in, bytes out, and at the end a peer or a reason.
//!
//! ```text
//! connecting side                                accepting side
//! greeting  -----------------------------------> magic? protocol?
//! magic? protocol?   <-------------------------- greeting
//! proof     -----------------------------------> right secret?
//! right secret?  same run, world, options?  <--- proof, facts
//! facts     -----------------------------------> same run, world, options?  rank still free?
//! accept    ----------------------------------->
//!           <----------------------------------- accept
//! ```
//!
//! Nothing but the greeting is looked at before the other side has proved that it knows the run's
//! secret. Proofs cover both greetings, and with them both nonces, ranks and run ids; each direction
//! has its own label. A side that finds a mismatch says so (`refuse`) before it closes, so that both
//! end with one status. The first [`OPENING_BYTES`] of the greeting never change between versions.

use bytes::{Buf, BytesMut};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Malformed;
use super::message::Rank;
use super::options::{TEXT_BYTES_MAX, clip, difference, one_line};
use super::secret::{self, PROOF_BYTES};
use super::varint::{Reader, put};
use crate::error::Error;

/// The version of everything in `wire/`; ranks of different versions do not run together.
pub const PROTOCOL: u32 = 1;
/// The first bytes of every connection.
pub const MAGIC: [u8; 8] = *b"petuum\r\n";
/// Bytes of the greeting that every version understands.
pub const OPENING_BYTES: usize = size_of::<Opening>();
/// The most worker threads one rank may announce.
pub const WORKERS_MAX: u32 = 1 << 16;
/// The longest record after the greeting, in bytes.
const RECORD_BYTES_MAX: usize = TEXT_BYTES_MAX + 1024;
/// The longest reason in a refusal, in bytes.
const REASON_BYTES_MAX: usize = 1000;

/// The part of the greeting that never changes.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Opening {
    magic: [u8; 8],
    protocol: U32,
    /// The release, as text padded with zeros.
    release: [u8; 16],
    /// The sender's rank, and the rank it believes to speak to.
    rank: U32,
    to: U32,
}

/// The first thing that either side says.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Greeting {
    opening: Opening,
    /// 0 for the connecting side, 1 for the accepting one.
    role: u8,
    reserved: [u8; 3],
    run_id: [u8; 16],
    nonce: [u8; 32],
}

/// The kinds of records after the greeting, each a kind byte, a length (u32) and a body.
mod record {
    pub(super) const PROOF: u8 = 1;
    pub(super) const FACTS: u8 = 2;
    pub(super) const ACCEPT: u8 = 3;
    pub(super) const REFUSE: u8 = 4;
}

/// What a rank knows about itself and its run before it meets anybody.
#[derive(Clone)]
pub struct Identity {
    /// [`PROTOCOL`]; anything else is a test.
    pub protocol: u32,
    /// Equal on all ranks of a run.
    pub run_id: [u8; 16],
    /// This rank.
    pub rank: Rank,
    /// `host:port` of every rank, to name them in errors.
    pub hosts: Vec<String>,
    /// Worker threads on this rank.
    pub workers: u32,
    /// Release, program, options and hosts: one `name value` a line, names unique. Equal on all
    /// ranks.
    pub options: String,
    /// The shared secret.
    pub secret: Vec<u8>,
}

/// A peer that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its rank.
    pub rank: Rank,
    /// Its worker threads.
    pub workers: u32,
}

/// Where a handshake stands.
#[derive(Debug)]
pub enum Step {
    /// More bytes are needed.
    More,
    /// Everything fits. Answer with [`Handshake::accept`] or [`Handshake::refuse`].
    Offered(Peer),
    /// Both sides accepted; what remains in the input are frames.
    Done(Peer),
    /// The other side is not petuum or does not keep to the protocol: close, and think no more of
    /// it. Holds why.
    Stray(&'static str),
    /// The other side is petuum but does not fit: it claims `rank`. Send the output, then close.
    Refused {
        /// The rank it claims; not proven.
        rank: Rank,
        /// What does not fit.
        error: Error,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Greeting,
    Proof,
    Facts,
    Answer,
    Accept,
    Nothing,
}

/// One side of one handshake.
pub struct Handshake<'a> {
    identity: &'a Identity,
    accepts: bool,
    ours: Greeting,
    theirs: Option<Greeting>,
    /// How to name the other side while its rank is not known.
    address: String,
    wait: Wait,
    peer: Option<Peer>,
}

impl<'a> Handshake<'a> {
    /// The side that connects, to `rank`. `nonce` must be random. Call [`Handshake::step`] at once:
    /// this side speaks first.
    pub fn connect(identity: &'a Identity, rank: Rank, nonce: [u8; 32]) -> Handshake<'a> {
        let address = identity
            .hosts
            .get(rank as usize)
            .cloned()
            .unwrap_or_default();
        Handshake::new(identity, false, rank, nonce, address)
    }

    /// The side that was connected to, by somebody at `address`. `nonce` must be random.
    pub fn incoming(identity: &'a Identity, address: String, nonce: [u8; 32]) -> Handshake<'a> {
        Handshake::new(identity, true, 0, nonce, address)
    }

    fn new(
        identity: &'a Identity,
        accepts: bool,
        to: Rank,
        nonce: [u8; 32],
        address: String,
    ) -> Handshake<'a> {
        let mut release = [0; 16];
        let text = clip(env!("CARGO_PKG_VERSION"), release.len()).as_bytes();
        release[..text.len()].copy_from_slice(text);
        let opening = Opening {
            magic: MAGIC,
            protocol: identity.protocol.into(),
            release,
            rank: identity.rank.into(),
            to: to.into(),
        };
        let ours = Greeting {
            opening,
            role: u8::from(accepts),
            reserved: [0; 3],
            run_id: identity.run_id,
            nonce,
        };
        Handshake {
            identity,
            accepts,
            ours,
            theirs: None,
            address,
            wait: Wait::Greeting,
            peer: None,
        }
    }

    /// What the connecting side says first.
    pub fn open(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(self.ours.as_bytes());
    }

    /// Takes what it can off `input` and appends what is to be sent to `output`. `input` need never
    /// hold more than some 34 KB.
    pub fn step(&mut self, input: &mut BytesMut, output: &mut Vec<u8>) -> Step {
        loop {
            let step = match self.wait {
                Wait::Greeting => self.greeting(input, output),
                Wait::Answer | Wait::Nothing => Ok(Some(Step::More)),
                _ => self.record(input, output),
            };
            match step {
                Ok(None) => continue,
                Ok(Some(Step::More)) => return Step::More,
                Ok(Some(step)) => {
                    if !matches!(step, Step::Offered(_)) {
                        self.wait = Wait::Nothing;
                    }
                    return step;
                }
                Err(Malformed(why)) => {
                    self.wait = Wait::Nothing;
                    return Step::Stray(why);
                }
            }
        }
    }

    /// Accepts the offered peer; [`Handshake::step`] goes on.
    pub fn accept(&mut self, output: &mut Vec<u8>) {
        self.wait = Wait::Accept;
        put_record(output, record::ACCEPT, &[]);
    }

    /// Refuses the peer with `error`'s status and line.
    pub fn refuse(&mut self, error: &Error, output: &mut Vec<u8>) {
        self.wait = Wait::Nothing;
        let mut body = vec![error.status()];
        body.extend_from_slice(clip(&error.to_string(), REASON_BYTES_MAX).as_bytes());
        put_record(output, record::REFUSE, &body);
    }

    /// The other side's greeting. `Ok(None)`: go on with the next state.
    fn greeting(
        &mut self,
        input: &mut BytesMut,
        output: &mut Vec<u8>,
    ) -> Result<Option<Step>, Malformed> {
        let known = input.len().min(MAGIC.len());
        if input[..known] != MAGIC[..known] {
            return Err(Malformed("not petuum"));
        }
        let Ok((opening, _)) = Opening::read_from_prefix(input) else {
            return Ok(Some(Step::More));
        };
        let claimed = opening.rank.get();
        if self.accepts {
            self.ours.opening.to = opening.rank;
        }
        if opening.protocol.get() != self.identity.protocol {
            if self.accepts {
                self.open(output);
            }
            let error = self.other_protocol(&opening);
            return Ok(Some(Step::Refused {
                rank: claimed,
                error,
            }));
        }
        let Ok((greeting, _)) = Greeting::read_from_prefix(input) else {
            return Ok(Some(Step::More));
        };
        if greeting.role == self.ours.role || greeting.nonce == self.ours.nonce {
            return Err(Malformed("its own echo"));
        }
        input.advance(size_of::<Greeting>());
        self.theirs = Some(greeting);
        self.wait = Wait::Proof;
        if self.accepts {
            self.open(output);
        } else {
            put_record(output, record::PROOF, &self.prove("proof", false, &[]));
        }
        Ok(None)
    }

    fn other_protocol(&self, theirs: &Opening) -> Error {
        let release =
            |bytes: &[u8]| one_line(&String::from_utf8_lossy(bytes).replace('\0', ""), 16);
        Error::Mismatch(format!(
            "{} is petuum {} (protocol {}), this rank is petuum {} (protocol {}): install the \
             same version on every host",
            self.name(theirs.rank.get()),
            release(&theirs.release),
            theirs.protocol,
            env!("CARGO_PKG_VERSION"),
            self.identity.protocol,
        ))
    }

    /// One record after the greeting.
    fn record(
        &mut self,
        input: &mut BytesMut,
        output: &mut Vec<u8>,
    ) -> Result<Option<Step>, Malformed> {
        let Some((kind, body)) = take_record(input)? else {
            return Ok(Some(Step::More));
        };
        match (kind, self.wait) {
            (record::REFUSE, _) => Ok(Some(self.refused(&body))),
            (record::PROOF, Wait::Proof) => Ok(self.proof(&body, output)),
            (record::FACTS, Wait::Facts) => self.facts(&body, output).map(Some),
            (record::ACCEPT, Wait::Accept) => match self.peer {
                Some(peer) => Ok(Some(Step::Done(peer))),
                None => Err(Malformed("accepted too early")),
            },
            _ => Err(Malformed("a record out of turn")),
        }
    }

    fn proof(&mut self, body: &[u8], output: &mut Vec<u8>) -> Option<Step> {
        if !self.verify("proof", &[], body) {
            let rank = self.claimed();
            let here = self.identity.rank;
            let theirs = format!("rank {here} holds another secret than this rank");
            self.refuse(&Error::WrongSecret(theirs), output);
            return Some(Step::Refused {
                rank,
                error: self.wrong_secret(),
            });
        }
        self.wait = Wait::Facts;
        if self.accepts {
            put_record(output, record::PROOF, &self.prove("proof", true, &[]));
            self.put_facts(output);
        }
        None
    }

    fn wrong_secret(&self) -> Error {
        Error::WrongSecret(format!(
            "{} holds another secret than this rank: give every rank the same --secret-file",
            self.name(self.claimed()),
        ))
    }

    fn put_facts(&self, output: &mut Vec<u8>) {
        let identity = self.identity;
        let mut body = Vec::new();
        put(&mut body, identity.hosts.len() as u64);
        put(&mut body, u64::from(identity.workers));
        body.extend_from_slice(&secret::digest(&identity.options));
        body.extend_from_slice(clip(&identity.options, TEXT_BYTES_MAX).as_bytes());
        let proof = self.prove("facts", self.accepts, &body);
        body.extend_from_slice(&proof);
        put_record(output, record::FACTS, &body);
    }

    fn facts(&mut self, body: &[u8], output: &mut Vec<u8>) -> Result<Step, Malformed> {
        let split = body
            .len()
            .checked_sub(PROOF_BYTES)
            .ok_or(Malformed("facts that are cut"))?;
        let (body, proof) = body.split_at(split);
        if !self.verify("facts", body, proof) {
            return Err(Malformed("facts of another connection"));
        }
        if !self.accepts {
            self.put_facts(output);
        }
        let mut reader = Reader::new(body);
        let world = reader.varint()?;
        let workers = reader.varint()?;
        let digest = reader.take(32)?;
        let text = String::from_utf8_lossy(reader.take(reader.remaining())?).into_owned();
        let rank = self.claimed();
        if let Some(error) = self.mismatch(world, digest, &text) {
            self.refuse(&error, output);
            return Ok(Step::Refused { rank, error });
        }
        let workers = u32::try_from(workers)
            .ok()
            .filter(|n| (1..=WORKERS_MAX).contains(n));
        let workers = workers.ok_or(Malformed("an impossible number of workers"))?;
        let peer = Peer { rank, workers };
        self.peer = Some(peer);
        self.wait = Wait::Answer;
        Ok(Step::Offered(peer))
    }

    /// What does not fit between this rank and a peer that proved to know the secret.
    fn mismatch(&self, world: u64, digest: &[u8], text: &str) -> Option<Error> {
        let theirs = self.theirs.as_ref()?;
        let (here, there) = (self.identity, self.claimed());
        let name = self.name(there);
        let line = if world != here.hosts.len() as u64 {
            let ours = here.hosts.len();
            format!("{name} runs with {world} hosts, this rank with {ours}: use one hosts file")
        } else if theirs.run_id != here.run_id {
            let (ours, theirs) = (hex(&here.run_id), hex(&theirs.run_id));
            format!("{name} belongs to run {theirs}, this rank to run {ours}")
        } else if theirs.opening.to.get() != here.rank {
            let meant = theirs.opening.to;
            format!(
                "{name} looks for rank {meant} where rank {} is: use one hosts file",
                here.rank
            )
        } else if !self.fits(there) {
            let to = self.ours.opening.to;
            format!("{name} says it is rank {there}, expected rank {to}: use one hosts file")
        } else if digest != secret::digest(&here.options) {
            difference(clip(&here.options, TEXT_BYTES_MAX), text, &name)
        } else {
            return None;
        };
        Some(Error::Mismatch(line))
    }

    /// A higher rank connects to a lower one, to the one it wants.
    fn fits(&self, rank: Rank) -> bool {
        match self.accepts {
            true => rank > self.identity.rank && (rank as usize) < self.identity.hosts.len(),
            false => rank == self.ours.opening.to.get(),
        }
    }

    /// The other side has refused this one. A secret is not proven by then, so for that case the
    /// words are our own.
    fn refused(&self, body: &[u8]) -> Step {
        let (status, text) = body.split_first().unwrap_or((&1, b""));
        let text = one_line(&String::from_utf8_lossy(text), REASON_BYTES_MAX);
        let name = self.name(self.claimed());
        let error = match status {
            77 => self.wrong_secret(),
            76 => Error::Mismatch(format!("{name} refused this rank: {text}")),
            _ => Error::Unavailable(format!("{name} refused this rank: {text}")),
        };
        Step::Refused {
            rank: self.claimed(),
            error,
        }
    }

    fn claimed(&self) -> Rank {
        self.theirs
            .as_ref()
            .map_or(self.ours.opening.to, |theirs| theirs.opening.rank)
            .get()
    }

    fn name(&self, rank: Rank) -> String {
        let host = self
            .identity
            .hosts
            .get(rank as usize)
            .unwrap_or(&self.address);
        format!("rank {rank} ({host})")
    }

    fn prove(&self, what: &str, by_accepting: bool, body: &[u8]) -> [u8; PROOF_BYTES] {
        let (connects, accepts) = self.transcript();
        let parts = [connects.as_bytes(), accepts.as_bytes(), body];
        secret::prove(&self.identity.secret, &label(what, by_accepting), &parts)
    }

    fn verify(&self, what: &str, body: &[u8], proof: &[u8]) -> bool {
        let (connects, accepts) = self.transcript();
        let parts = [connects.as_bytes(), accepts.as_bytes(), body];
        secret::verify(
            &self.identity.secret,
            &label(what, !self.accepts),
            &parts,
            proof,
        )
    }

    /// Both greetings, the connecting side's first.
    fn transcript(&self) -> (Greeting, Greeting) {
        let theirs = self.theirs.unwrap_or(self.ours);
        match self.accepts {
            true => (theirs, self.ours),
            false => (self.ours, theirs),
        }
    }
}

fn label(what: &str, by_accepting: bool) -> String {
    let side = if by_accepting {
        "accepting"
    } else {
        "connecting"
    };
    format!("petuum {what} of the {side} side")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put_record(output: &mut Vec<u8>, kind: u8, body: &[u8]) {
    output.push(kind);
    output.extend_from_slice(&(body.len() as u32).to_le_bytes());
    output.extend_from_slice(body);
}

/// Takes one record off `input`, if it is all there.
fn take_record(input: &mut BytesMut) -> Result<Option<(u8, BytesMut)>, Malformed> {
    let [kind, a, b, c, d, ..] = input[..] else {
        return Ok(None);
    };
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if !(record::PROOF..=record::REFUSE).contains(&kind) || length > RECORD_BYTES_MAX {
        return Err(Malformed("not a record of a handshake"));
    }
    if input.len() < 5 + length {
        return Ok(None);
    }
    input.advance(5);
    Ok(Some((kind, input.split_to(length))))
}
