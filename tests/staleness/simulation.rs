//! One simulated run: ranks, workers and a network, stepped in random order from one seed.

use std::sync::Arc;

use bytes::Bytes;
use petuum::ps::{Bound, Client, Consistency, Limit, Node, Priority, Traffic, Wire, World};
use petuum::scheduler::rotation::Rotation;
use petuum::wire::message::{Clock, Message, Payload, Rank, TableId, WorkerId};

use super::network::{Dice, Forgery, Network, Weather};
use super::oracle::{Oracle, Read};
use super::tables::{add_batch, inc, tables, value};

/// Table numbers: dense `i64`, sparse `i32`, dense `f64`, dense `f32`; then the exclusive ring.
const SHARED: usize = 4;
const RING: TableId = 4;

/// Steps without any worker getting on after which a run counts as stuck. The longest delay is 200
/// steps, and a third of the messages may be lost several times in a row.
const PATIENCE: u64 = 200_000;

/// What to simulate besides the seed.
#[derive(Clone, Copy, Default)]
pub(super) struct Setup {
    /// How much stricter than the rule the oracle is.
    pub(super) tighter: Clock,
    pub(super) forgery: Option<Forgery>,
    pub(super) weather: Option<Weather>,
    pub(super) consistency: Option<Consistency>,
    /// At least two ranks.
    pub(super) apart: bool,
    /// Limited bandwidth, short floats, and links that crash.
    pub(super) managed: bool,
}

/// What happened, to show that something did.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) reads: u64,
    pub(super) waits: u64,
    pub(super) stale_reads: u64,
    pub(super) turns: u64,
    pub(super) dropped: u64,
    pub(super) repeated: u64,
    pub(super) refreshes: u64,
    /// Grants that let something leave, and ranks whose bandwidth was too small.
    pub(super) grants: u64,
    pub(super) short: u64,
    pub(super) steps: u64,
}

impl Outcome {
    pub(super) fn add(&mut self, other: Outcome) {
        self.reads += other.reads;
        self.waits += other.waits;
        self.stale_reads += other.stale_reads;
        self.turns += other.turns;
        self.dropped += other.dropped;
        self.repeated += other.repeated;
        self.refreshes += other.refreshes;
        self.grants += other.grants;
        self.short += other.short;
        self.steps += other.steps;
    }
}

#[derive(Debug)]
enum Op {
    Read(usize, u64),
    Inc(usize, u64, i64),
    Prefetch(usize, Vec<u64>),
    Publish,
    Turn,
    Clock,
    Settle,
}

struct Worker {
    client: Client,
    rank: Rank,
    /// Steps per step of a worker that is not slow.
    slowness: u64,
    reads: bool,
    turn: u64,
    /// What is left to do in this clock, last first.
    ops: Vec<Op>,
    settled: bool,
    done: bool,
}

pub(super) struct Simulation {
    dice: Dice,
    nodes: Vec<Arc<Node>>,
    workers: Vec<Worker>,
    network: Network,
    oracle: Oracle,
    ring: Rotation,
    /// Who holds each block now.
    holders: Vec<Option<WorkerId>>,
    rows: u64,
    clocks: Clock,
    /// Most bytes in one grant; 0: bandwidth is not limited, or there is none.
    grant: u64,
    outcome: Outcome,
}

impl Simulation {
    pub(super) fn new(seed: u64, setup: Setup) -> Simulation {
        let mut dice = Dice::new(seed);
        let ranks = 1 + u64::from(setup.apart) + dice.below(4 - u64::from(setup.apart));
        let mut counts: Vec<u32> = (0..ranks).map(|_| 1 + dice.below(3) as u32).collect();
        if ranks > 1 && dice.chance(100) {
            counts[dice.below(ranks) as usize] = 0;
        }
        let world = World::new(&counts);
        let modes = [
            Consistency::Bsp,
            Consistency::Ssp,
            Consistency::Essp,
            Consistency::Async,
        ];
        let mode = modes[dice.below(4) as usize];
        let bound = Bound::new(setup.consistency.unwrap_or(mode), dice.below(4) as u32);
        let rows = 1 + dice.below(12);
        let ring = Rotation::new(
            world.workers(),
            world.workers() * (1 + dice.below(2) as u32),
        );
        let tables = tables(rows, world.workers(), ring.blocks());
        let shards = 1 + dice.below(4) as u32;
        // Mostly so small that every clock takes several messages.
        let cut = [1, 60, 200, 1 << 19][dice.below(4) as usize];
        let traffic = match setup.managed {
            true => traffic(&mut dice),
            false => Traffic::default(),
        };
        let node = |rank| {
            let node = Node::with(world.clone(), rank, shards, &tables, bound, traffic);
            Arc::new(node.cut_at(cut))
        };
        let nodes: Vec<Arc<Node>> = (0..world.ranks()).map(node).collect();
        let workers = workers(&world, &nodes, &mut dice);
        let weather = setup.weather.unwrap_or_else(|| Weather::from(&mut dice));
        let weather = match setup.managed && setup.weather.is_none() {
            true => weather.stormy(&mut dice),
            false => weather,
        };
        let sizes = (SHARED, rows as usize, world.workers() as usize);
        Simulation {
            network: Network::new(world.ranks(), weather, setup.forgery),
            oracle: Oracle::new(bound, setup.tighter, sizes),
            holders: vec![None; ring.blocks() as usize],
            clocks: 2 + dice.below(7) as Clock,
            // A run ends without any grant, unless a rank has no worker that could settle there.
            grant: match setup.managed {
                true if counts.contains(&0) => 50,
                true => [0, 50, 400, 3000][dice.below(4) as usize],
                false => 0,
            },
            outcome: Outcome::default(),
            dice,
            nodes,
            workers,
            ring,
            rows,
        }
    }

    /// Runs to the end, then checks what remains.
    pub(super) fn run(mut self) -> Result<Outcome, String> {
        let mut progress = 0;
        while self.workers.iter().any(|worker| !worker.done) {
            self.outcome.steps += 1;
            let now = self.outcome.steps;
            if now - progress > PATIENCE {
                return Err(format!(
                    "nobody gets on since step {progress}: {}",
                    self.state()
                ));
            }
            self.deliver(now)?;
            if self.grant > 0 && self.dice.chance(200) {
                self.grant(now);
            }
            if self.network.weather.crashes && self.dice.chance(5) {
                self.network.crash(now, &mut self.dice);
            }
            if self.network.weather.ticks && self.dice.chance(10) {
                self.tick(now);
            }
            let w = self.dice.below(self.workers.len() as u64) as usize;
            let wakes = self.dice.below(self.workers[w].slowness) == 0;
            if wakes && !self.workers[w].done && self.step(w, now)? {
                progress = now;
            }
        }
        self.check_totals()?;
        self.come_to_rest()?;
        let short = self.nodes.iter().filter(|node| node.is_short()).count();
        self.outcome.short = short as u64;
        self.outcome.dropped = self.network.dropped;
        self.outcome.repeated = self.network.repeated;
        Ok(self.outcome)
    }

    fn state(&self) -> String {
        let at = self
            .workers
            .iter()
            .map(|w| (w.rank, w.client.at(), w.ops.last()));
        let at: Vec<(Rank, Clock, Option<&Op>)> = at.collect();
        let stamps: Vec<Clock> = self.nodes.iter().map(|node| node.stamp()).collect();
        format!(
            "workers at {at:?}, stamps {stamps:?}, {:?}",
            self.network.weather
        )
    }

    fn deliver(&mut self, now: u64) -> Result<(), String> {
        while let Some((from, to, message)) = self.network.arrival(now) {
            self.outcome.refreshes += u64::from(matches!(message, Message::Refresh { .. }));
            let mut out = Vec::new();
            let handled = self.nodes[to as usize].handle(from, message, &mut out);
            handled.map_err(|error| error.to_string())?;
            self.network.send(to, out, now, &mut self.dice);
        }
        Ok(())
    }

    fn tick(&mut self, now: u64) {
        let rank = self.dice.below(self.nodes.len() as u64) as usize;
        let mut out = Vec::new();
        self.nodes[rank].tick(&mut out);
        self.network.send(rank as Rank, out, now, &mut self.dice);
    }

    fn grant(&mut self, now: u64) {
        let rank = self.dice.below(self.nodes.len() as u64) as usize;
        let mut out = Vec::new();
        let bytes = self.dice.below(self.grant);
        for to in (0..self.nodes.len()).filter(|to| *to != rank) {
            self.nodes[rank].grant(to as Rank, bytes, &mut out);
        }
        self.outcome.grants += u64::from(!out.is_empty());
        self.network.send(rank as Rank, out, now, &mut self.dice);
    }

    /// One step of a worker; false if it has to wait.
    fn step(&mut self, w: usize, now: u64) -> Result<bool, String> {
        if self.workers[w].ops.is_empty() {
            self.plan(w);
        }
        let Some(op) = self.workers[w].ops.pop() else {
            self.workers[w].done = true;
            return Ok(true);
        };
        let mut out = Vec::new();
        let went = self.perform(w, &op, &mut out)?;
        self.network
            .send(self.workers[w].rank, out, now, &mut self.dice);
        if !went {
            self.outcome.waits += 1;
            self.workers[w].ops.push(op);
        }
        Ok(went)
    }

    /// What the worker does in its next clock; after the last one, reading everything.
    fn plan(&mut self, w: usize) {
        let dice = &mut self.dice;
        let worker = &mut self.workers[w];
        if worker.settled {
            return;
        }
        if worker.client.at() == self.clocks {
            let all = (0..SHARED).flat_map(|t| (0..self.rows).map(move |row| Op::Read(t, row)));
            worker.ops.extend(all);
            worker.ops.push(Op::Settle);
            return;
        }
        worker.ops.push(Op::Clock);
        // One turn in every clock, somewhere in it: whoever takes fewer starves the ring.
        let work = dice.below(10);
        let turn = dice.below(work + 1);
        for i in 0..=work {
            if i == turn {
                worker.ops.push(Op::Turn);
            }
            let (table, row) = (dice.below(SHARED as u64) as usize, dice.below(self.rows));
            worker.ops.push(match dice.below(10) {
                0..=3 if worker.reads => Op::Read(table, row),
                8 if worker.reads => {
                    Op::Prefetch(table, (0..3).map(|_| dice.below(self.rows)).collect())
                }
                9 => Op::Publish,
                _ => Op::Inc(table, row, 1 + dice.below(3) as i64),
            });
        }
    }

    fn perform(
        &mut self,
        w: usize,
        op: &Op,
        out: &mut Vec<(Rank, Message)>,
    ) -> Result<bool, String> {
        let id = w as WorkerId;
        let client = &mut self.workers[w].client;
        match op {
            Op::Read(table, row) => {
                if !client.ready(*table as TableId, *row, out) {
                    return Ok(false);
                }
                self.read(w, *table, *row)?;
            }
            Op::Inc(table, row, count) => {
                inc(
                    client,
                    *table,
                    *row,
                    *count,
                    self.oracle.total(*table, 0).len(),
                );
                self.oracle.inc(id, *table, *row as usize, *count);
            }
            Op::Prefetch(table, rows) => client.prefetch(*table as TableId, rows, out),
            Op::Publish => {
                if self.oracle.publishes() {
                    self.oracle.leave(id, false);
                }
                client.publish(out);
            }
            Op::Turn => return self.turn(w, out),
            Op::Clock => {
                self.oracle.leave(id, true);
                client.clock(out);
            }
            Op::Settle => {
                client.settle(out);
                self.workers[w].settled = true;
            }
        }
        Ok(true)
    }

    fn read(&mut self, w: usize, table: usize, row: u64) -> Result<(), String> {
        let workers = self.workers.len();
        let Worker {
            client, settled, ..
        } = &mut self.workers[w];
        let read = Read {
            worker: w as WorkerId,
            at: client.at(),
            table,
            row: row as usize,
            settled: *settled,
        };
        client.take_staleness();
        let value = value(client, table, row, workers);
        let staleness = client.take_staleness();
        self.outcome.reads += 1;
        self.outcome.stale_reads += u64::from(staleness.max > 0);
        self.oracle.check(read, &value, staleness)
    }

    /// Uses the block of the worker's turn: its content lists its users so far.
    fn turn(&mut self, w: usize, out: &mut Vec<(Rank, Message)>) -> Result<bool, String> {
        let worker = &mut self.workers[w];
        let task = self.ring.task(w as WorkerId, worker.turn);
        let node = worker.client.node().clone();
        let payload = match task.first {
            true => Payload::Bytes(Bytes::new()),
            false => match node.take_block(RING, task.block, task.turn) {
                Some(payload) => payload,
                None => return Ok(false),
            },
        };
        let holder = &mut self.holders[task.block as usize];
        if let Some(other) = holder.replace(w as WorkerId) {
            return Err(format!("block {} is at {other} and at {w}", task.block));
        }
        let mut users = payload.into_bytes().to_vec();
        if users != self.users_before(w, task.turn) {
            return Err(format!(
                "block {} before turn {}: {users:?}",
                task.block, task.turn
            ));
        }
        users.push(w as u8);
        self.holders[task.block as usize] = None;
        self.workers[w].turn += 1;
        self.outcome.turns += 1;
        let payload = Payload::Bytes(users.into());
        node.hand_over(RING, task.block, task.turn + 1, task.next, payload, out);
        Ok(true)
    }

    /// The users of a block before `turn`, if worker `w` is next: it goes down the ring.
    fn users_before(&self, w: usize, turn: u64) -> Vec<u8> {
        let workers = self.workers.len() as u64;
        (1..=turn)
            .rev()
            .map(|back| ((w as u64 + back) % workers) as u8)
            .collect()
    }

    /// Every delta is in its home row exactly once.
    fn check_totals(&self) -> Result<(), String> {
        let workers = self.workers.len();
        for table in 0..SHARED {
            let mut sums = vec![vec![0; workers]; self.rows as usize];
            for batch in self
                .nodes
                .iter()
                .flat_map(|node| node.table_rows(table as TableId))
            {
                add_batch(&batch, &mut sums);
            }
            for (row, sum) in sums.iter().enumerate() {
                let total = self.oracle.total(table, row);
                if *sum != total {
                    return Err(format!(
                        "table {table} row {row} ends as {sum:?}, not {total:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// On a network that has become reliable, everything overdue is repeated once more and then
    /// there is silence; on one that always was, at once.
    fn come_to_rest(&mut self) -> Result<(), String> {
        let overdue = if self.network.weather.ticks { 100 } else { 0 };
        self.network.calm();
        for round in 0..200 {
            while !self.network.is_empty() {
                self.outcome.steps += 1;
                self.deliver(self.outcome.steps)?;
            }
            let mut out = Vec::new();
            for (rank, node) in self.nodes.iter().enumerate() {
                node.tick(&mut out);
                let sent = std::mem::take(&mut out);
                if round >= overdue && !sent.is_empty() {
                    return Err(format!("rank {rank} repeats for ever: {sent:?}"));
                }
                self.network
                    .send(rank as Rank, sent, self.outcome.steps, &mut self.dice);
            }
        }
        Ok(())
    }
}

/// A limited bandwidth of some kind.
fn traffic(dice: &mut Dice) -> Traffic {
    let priority = [Priority::Magnitude, Priority::Age, Priority::Random][dice.below(3) as usize];
    Traffic {
        wire: [Wire::F32, Wire::Bf16][dice.below(2) as usize],
        limit: Some(Limit {
            priority,
            burst: [60, 500, 5000][dice.below(3) as usize],
            slack: 500,
            seed: dice.below(1 << 20),
        }),
        ..Traffic::default()
    }
}

fn workers(world: &World, nodes: &[Arc<Node>], dice: &mut Dice) -> Vec<Worker> {
    let worker = |id| {
        let rank = world.rank_of(id);
        Worker {
            client: nodes[rank as usize].client(id),
            rank,
            slowness: if dice.chance(200) {
                20
            } else {
                1 + dice.below(3)
            },
            reads: dice.chance(850),
            turn: 0,
            ops: Vec::new(),
            settled: false,
            done: false,
        }
    };
    (0..world.workers()).map(worker).collect()
}
