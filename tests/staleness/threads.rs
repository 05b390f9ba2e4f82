//! The same server under real threads: every rank has its workers' threads and one that handles
//! messages. What the simulator cannot see (two threads inside one node) happens here.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use petuum::ps::{Bound, Client, Consistency, ElementType, Node, TableKind, TableSpec, World};
use petuum::wire::message::{Message, Rank, WorkerId};

const ROWS: u64 = 7;
const CLOCKS: i64 = 40;

type Envelope = Option<(Rank, Message)>;

/// A rank's node, the way to the others, and a bell that rings when something has happened.
struct Post {
    node: Arc<Node>,
    mailboxes: Vec<Sender<Envelope>>,
    happened: (Mutex<u64>, Condvar),
}

impl Post {
    fn send(&self, out: &mut Vec<(Rank, Message)>) {
        for (to, message) in out.drain(..) {
            // A rank that has finished needs nothing more.
            let _ = self.mailboxes[to as usize].send(Some((self.node.rank(), message)));
        }
        *self.happened.0.lock().unwrap() += 1;
        self.happened.1.notify_all();
    }

    /// Waits until the row can be read.
    fn wait(&self, client: &mut Client, row: u64) {
        let mut out = Vec::new();
        loop {
            let before = *self.happened.0.lock().unwrap();
            if client.ready(0, row, &mut out) {
                return;
            }
            if !out.is_empty() {
                self.send(&mut out);
                continue;
            }
            let mut count = self.happened.0.lock().unwrap();
            while *count == before {
                count = self.happened.1.wait(count).unwrap();
            }
        }
    }

    fn handle(&self, mailbox: &Receiver<Envelope>) {
        let mut out = Vec::new();
        while let Ok(Some((from, message))) = mailbox.recv() {
            self.node.handle(from, message, &mut out).unwrap();
            self.send(&mut out);
        }
    }

    /// Worker `w` adds 1 to cell `[row][w]` of every row in every clock, and reads every row.
    fn work(&self, w: WorkerId, bound: Bound) {
        let workers = self.node.world().workers() as usize;
        let mut client = self.node.client(w);
        let mut out = Vec::new();
        let mut one = vec![0i64; workers];
        one[w as usize] = 1;
        for clock in 0..CLOCKS {
            for row in 0..ROWS {
                client.inc(0, row, &one);
                if (clock + row as i64) % 5 == 0 {
                    client.publish(&mut out);
                    self.send(&mut out);
                }
                self.wait(&mut client, row);
                check(client.read(0, row), w, clock, bound);
            }
            client.clock(&mut out);
            self.send(&mut out);
        }
        client.settle(&mut out);
        self.send(&mut out);
        for row in 0..ROWS {
            self.wait(&mut client, row);
            assert_eq!(client.read::<i64>(0, row), vec![CLOCKS; workers]);
        }
    }
}

fn check(row: &[i64], w: WorkerId, clock: i64, bound: Bound) {
    for (other, seen) in row.iter().enumerate() {
        if other == w as usize {
            assert_eq!(*seen, clock + 1);
        } else {
            assert!(*seen > bound.oldest(clock), "{seen} at {clock}");
            let exact = bound.consistency() == Consistency::Bsp;
            assert!(!exact || *seen == clock, "{seen} at {clock}");
        }
    }
}

pub(super) fn run(workers: &[u32], bound: Bound) {
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
    let (mailboxes, inboxes): (Vec<_>, Vec<_>) = workers.iter().map(|_| channel()).unzip();
    let post = |rank| Post {
        node: Arc::new(Node::new(world.clone(), rank, 2, &tables, bound)),
        mailboxes: mailboxes.clone(),
        happened: Default::default(),
    };
    let posts: Vec<Post> = (0..world.ranks()).map(post).collect();
    thread::scope(|scope| {
        for (post, inbox) in posts.iter().zip(inboxes) {
            scope.spawn(move || post.handle(&inbox));
        }
        let works = (0..world.workers()).map(|w| {
            let post = &posts[world.rank_of(w) as usize];
            scope.spawn(move || post.work(w, bound))
        });
        let works: Vec<_> = works.collect();
        let results: Vec<_> = works.into_iter().map(|work| work.join()).collect();
        mailboxes
            .iter()
            .for_each(|mailbox| mailbox.send(None).unwrap());
        results.into_iter().for_each(|result| result.unwrap());
    });
}
