//! The board, and whole small runs of the parameter server around it, under a model checker: every
//! interleaving of the small ones, many of the large. See `ps/sync.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::{check_dfs, check_pct, check_random, thread};

use super::board::{Board, Verdict};
use crate::error::Error;
use crate::ps::sync::AtomicBool;
use crate::ps::{
    Bound, Client, Consistency, ElementType, Limit, Node, Outgoing, Priority, TableKind, TableSpec,
    Traffic, World,
};
use crate::wire::message::{Clock, Message, Rank, WorkerId};

const PATIENCE: Duration = Duration::from_secs(3600);

#[test]
fn no_news_is_missed() {
    let run = || {
        let (board, news) = (Board::new(1, 2), AtomicBool::new(false));
        let look = || Ok(news.load(SeqCst).then_some(()));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| board.wait(PATIENCE, look, || ()).expect("no failure"));
            }
            // The order of every change in the engine: first the change, then the word of it.
            news.store(true, SeqCst);
            board.notify();
        });
    };
    check_dfs(run, Some(300_000));
}

#[test]
fn every_worker_takes_a_verdict_once() {
    let run = || {
        let board = Board::new(1, 2);
        let verdict = Verdict {
            last: 5,
            update: None,
        };
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert_eq!(board.take_verdict(0).expect("no failure").last, 5));
            }
            board.post_verdict(0, verdict.clone());
        });
        assert_eq!((board.try_take_verdict(0), board.last()), (None, 5));
    };
    check_dfs(run, Some(300_000));
}

#[test]
fn a_failure_ends_every_wait_and_the_first_one_stays() {
    let run = || {
        let board = Board::new(2, 1);
        thread::scope(|scope| {
            let waits = [0, 1].map(|number| {
                scope.spawn({
                    let board = &board;
                    move || board.gathered(number).expect_err("a failure").to_string()
                })
            });
            board.fail(Error::Other("first".into()));
            board.fail(Error::Other("second".into()));
            for wait in waits {
                assert_eq!(wait.join().expect("no panic"), "first");
            }
        });
    };
    check_dfs(run, Some(300_000));
}

const ROWS: u64 = 2;
const CLOCKS: Clock = 2;

/// A message and its sender; `None`: there are no more.
type Envelope = Option<(Rank, Message)>;

/// One rank of a small run.
struct Host {
    node: Arc<Node>,
    board: Board,
    mailboxes: Vec<Sender<Envelope>>,
}

impl Host {
    fn send(&self, out: &mut Outgoing) {
        for (to, message) in out.drain(..) {
            let envelope = Some((self.node.rank(), message));
            // A grant may come after the end.
            drop(self.mailboxes[to as usize].send(envelope));
        }
    }

    /// What the receiving thread does.
    fn handle(&self, mailbox: &Receiver<Envelope>) {
        let mut out = Vec::new();
        while let Ok(Some((from, message))) = mailbox.recv() {
            self.node
                .handle(from, message, &mut out)
                .expect("a good message");
            self.send(&mut out);
            self.board.notify();
        }
    }

    fn read(&self, client: &mut Client, row: u64) -> Vec<i64> {
        let mut out = Vec::new();
        let look = || {
            let ready = client.ready(0, row, &mut out).then_some(());
            self.send(&mut out);
            Ok(ready)
        };
        self.board.wait(PATIENCE, look, || ()).expect("no failure");
        client.read::<i64>(0, row).to_vec()
    }

    /// Worker `w` counts its clocks in its cell of every row, and reads every row.
    fn work(&self, w: WorkerId, bound: Bound) {
        let workers = self.node.world().workers() as usize;
        let mut client = self.node.client(w);
        let (mut out, mut one) = (Vec::new(), vec![0i64; workers]);
        one[w as usize] = 1;
        for clock in 0..CLOCKS {
            for row in 0..ROWS {
                client.inc(0, row, &one);
                let value = self.read(&mut client, row);
                assert_eq!(value[w as usize], clock + 1, "its own");
                let allowed = |seen: &i64| *seen > bound.oldest(clock);
                assert!(
                    value.iter().all(allowed),
                    "{value:?} at {clock}, {bound:?}, {:?}",
                    self.node.world()
                );
            }
            client.clock(&mut out);
            self.send(&mut out);
            self.board.notify();
        }
        client.settle(&mut out);
        self.send(&mut out);
        for row in 0..ROWS {
            assert_eq!(self.read(&mut client, row), vec![CLOCKS; workers]);
        }
    }

    /// What the pace does.
    fn grant(&self) {
        let mut out = Vec::new();
        for to in (0..self.mailboxes.len() as Rank).filter(|to| *to != self.node.rank()) {
            self.node.grant(to, 100, &mut out);
        }
        self.send(&mut out);
    }
}

fn run(workers: &[u32], bound: Bound, limited: bool) {
    let world = World::new(workers);
    let kind = TableKind::Shared {
        rows: ROWS,
        width: world.workers(),
        element: ElementType::I64,
        sparse: false,
    };
    let tables = [TableSpec {
        name: "counts",
        kind,
    }];
    let traffic = Traffic {
        limit: limited.then_some(Limit {
            priority: Priority::Magnitude,
            burst: 100,
            slack: 100,
            seed: 1,
        }),
        ..Traffic::default()
    };
    let (mailboxes, inboxes): (Vec<_>, Vec<_>) = workers.iter().map(|_| channel()).unzip();
    let host = |rank| Host {
        node: Arc::new(Node::with(world.clone(), rank, 2, &tables, bound, traffic)),
        board: Board::new(world.ranks(), world.local(rank).len()),
        mailboxes: mailboxes.clone(),
    };
    let hosts: Vec<Host> = (0..world.ranks()).map(host).collect();
    thread::scope(|scope| {
        for (host, inbox) in hosts.iter().zip(inboxes) {
            scope.spawn(move || host.handle(&inbox));
            if limited {
                scope.spawn(move || host.grant());
            }
        }
        let works = (0..world.workers()).map(|w| {
            let host = &hosts[world.rank_of(w) as usize];
            scope.spawn(move || host.work(w, bound))
        });
        for work in works.collect::<Vec<_>>() {
            work.join().expect("no panic");
        }
        let ends = mailboxes.iter();
        ends.for_each(|mailbox| mailbox.send(None).expect("a receiver"));
    });
}

#[test]
fn small_runs_keep_the_read_rule_in_every_interleaving_tried() {
    use Consistency::{Async, Bsp, Essp, Ssp};
    for mode in [Bsp, Ssp, Essp, Async] {
        for workers in [&[2][..], &[1, 1], &[2, 1]] {
            for limited in [false, true] {
                let bound = Bound::new(mode, 1);
                check_random(move || run(workers, bound, limited), 400);
                check_pct(move || run(workers, bound, limited), 400, 3);
            }
        }
    }
}
