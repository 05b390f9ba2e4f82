//! From settings to a connected rank: who am I, who are the others, do we agree.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ps::World;
use crate::report::Notes;
use crate::transport::{TcpSetup, Transport};
use crate::wire::message::Rank;

use super::control::Control;
use super::hosts::{Host, Hosts};
use super::settings::Settings;

/// Told to those who start ranks by hand without a secret.
const OPEN_RUN: &str =
    "no --secret-file: whoever can reach the ports and knows the options can join this run";

/// A rank that knows its place and can talk to the others.
pub(super) struct Connection {
    pub(super) rank: Rank,
    pub(super) world: World,
    /// None in a run of one rank.
    pub(super) transport: Option<Transport>,
    /// What the user calls each rank.
    pub(super) names: Vec<String>,
}

impl Connection {
    /// A rank among others in the same process.
    pub(super) fn in_process(rank: Rank, workers: &[u32], transport: Transport) -> Connection {
        let names = workers
            .iter()
            .map(|_| "in this process".to_string())
            .collect();
        Connection {
            rank,
            world: World::new(workers),
            transport: Some(transport),
            names,
        }
    }
}

/// Finds the other ranks, if there are any, and shakes hands with each.
pub(super) fn connect(
    settings: &Settings,
    control: Option<&Control>,
    stdout: &mut dyn Write,
    notes: &Notes,
    interrupt: Arc<AtomicUsize>,
) -> Result<Connection> {
    let Some(path) = &settings.hosts else {
        let workers = settings.workers.unwrap_or_else(cores);
        let names = vec!["this process".to_string()];
        return Ok(Connection {
            rank: 0,
            world: World::new(&[workers]),
            transport: None,
            names,
        });
    };
    let hosts = Hosts::read(path)?;
    let lines = hosts.lines();
    let rank = settings
        .rank
        .ok_or_else(|| Error::Bug("a rank without a number".into()))?;
    if let Some(ranks) = settings
        .ranks
        .filter(|ranks| *ranks as usize != lines.len())
    {
        return Err(Error::Usage(format!(
            "{} has {} hosts, but the job scheduler started {ranks} ranks: one line for each is \
             needed",
            path.display(),
            lines.len()
        )));
    }
    let Some(me) = lines.get(rank as usize) else {
        return Err(Error::Usage(format!(
            "--rank: {rank} is too large: {} has {} hosts, ranks 0 to {}",
            path.display(),
            lines.len(),
            lines.len().saturating_sub(1)
        )));
    };
    let workers = settings
        .workers
        .or(me.slots)
        .unwrap_or_else(|| share_of_cores(lines, me));
    if lines.len() == 1 {
        let names = vec![me.to_string()];
        return Ok(Connection {
            rank: 0,
            world: World::new(&[workers]),
            transport: None,
            names,
        });
    }
    let names = hosts.addresses();
    let mut setup = TcpSetup::new(rank, hosts.addresses());
    setup.workers = workers;
    setup.options = format!("{}hosts {}\n", settings.canonical, hosts.canonical());
    setup.deadline = Duration::from_secs_f64(settings.connect_timeout);
    setup.interrupt = interrupt;
    match control {
        Some(control) => {
            let listener = listen(lines, me, if me.port_given { me.port } else { 0 })?;
            setup.hosts = control.exchange_ports(local_port(&listener)?, stdout)?;
            setup.listener = Some(listener);
            setup.secret = control.secret().to_vec();
            setup.run_id = control.run_id();
        }
        None => {
            setup.listener = Some(listen(lines, me, me.port)?);
            setup.secret = read_secret(settings)?.unwrap_or_else(|| {
                notes.warning(OPEN_RUN);
                Vec::new()
            });
            setup.run_id = run_id_of_environment();
        }
    }
    let (transport, workers) = Transport::tcp(setup)?;
    Ok(Connection {
        rank,
        world: World::new(&workers),
        transport: Some(transport),
        names,
    })
}

/// Worker threads when neither `--workers` nor `slots=` says otherwise: this machine's cores, shared
/// fairly by the ranks that live on it.
fn share_of_cores(hosts: &[Host], me: &Host) -> u32 {
    let here = hosts
        .iter()
        .filter(|host| host.name == me.name || host.is_local() && me.is_local());
    (cores() / here.count().max(1) as u32).max(1)
}

fn cores() -> u32 {
    available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// Opens this rank's port. On the loopback alone if all hosts are this machine; otherwise on every
/// address, because the others may know this machine by another one than it does itself: on many
/// systems its own name stands for 127.0.1.1.
fn listen(hosts: &[Host], me: &Host, port: u16) -> Result<TcpListener> {
    let loopback = (me.name.as_str(), port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.find(|address| address.ip().is_loopback()))
        .filter(|_| hosts.iter().all(Host::is_local));
    let bound = match loopback {
        Some(address) => TcpListener::bind(address),
        None => {
            TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| match error.kind() {
                io::ErrorKind::AddrInUse => Err(error),
                _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
            })
        }
    };
    bound.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "it is taken: is another run still on? If not, give the line another port".into()
            }
            _ => error.to_string(),
        };
        Error::Unavailable(format!("{me}: cannot listen on port {port}: {why}"))
    })
}

fn local_port(listener: &TcpListener) -> Result<u16> {
    let address = listener
        .local_addr()
        .map_err(|error| Error::Other(error.to_string()))?;
    Ok(address.port())
}

/// The secret of `--secret-file`, if the user gives one.
pub(super) fn read_secret(settings: &Settings) -> Result<Option<Vec<u8>>> {
    let Some(path) = &settings.secret_file else {
        return Ok(None);
    };
    let secret = fs::read(path).map_err(|error| Error::no_input(path, error))?;
    let secret = secret.trim_ascii().to_vec();
    if secret.is_empty() {
        return Err(Error::data(
            path,
            0,
            0,
            "an empty secret: expected at least one character",
        ));
    }
    Ok(Some(secret))
}

/// Ranks started by hand agree on a run id if a job scheduler numbers their job.
fn run_id_of_environment() -> [u8; 16] {
    let mut id = [0u8; 16];
    let job = ["SLURM_JOB_ID", "OMPI_MCA_ess_base_jobid", "JOB_NAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default();
    for (i, byte) in job.bytes().enumerate() {
        id[i % 16] = id[i % 16].wrapping_mul(31).wrapping_add(byte);
    }
    id
}
