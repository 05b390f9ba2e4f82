//! The parameter server inside one process: what a recipe's hot loop pays.

use std::sync::Arc;

use petuum::ps::{
    Bound, Client, Consistency, Element, ElementType, Node, Outgoing, TableKind, TableSpec, World,
};
use petuum::wire::message::Rank;

use crate::measure;

const ROWS: u64 = 1000;
const WIDTH: usize = 100;

fn nodes(
    workers: &[u32],
    (rows, width): (u64, usize),
    element: ElementType,
    sparse: bool,
) -> Vec<Arc<Node>> {
    let kind = TableKind::Shared {
        rows,
        width: width as u32,
        element,
        sparse,
    };
    let tables = [TableSpec {
        name: "bench",
        kind,
    }];
    let bound = Bound::new(Consistency::Essp, 3);
    let node = |rank| Arc::new(Node::new(World::new(workers), rank, 64, &tables, bound));
    (0..workers.len() as u32).map(node).collect()
}

fn client(element: ElementType, sparse: bool, width: usize) -> Client {
    nodes(&[1], (ROWS, width), element, sparse)[0].client(0)
}

/// Hands messages over, and what they cause, without a transport.
fn deliver(nodes: &[Arc<Node>], from: Rank, out: &mut Outgoing) {
    for (to, message) in std::mem::take(out) {
        let mut answers = Vec::new();
        let handled = nodes[to as usize].handle(from, message, &mut answers);
        assert!(handled.is_ok());
        deliver(nodes, to, &mut answers);
    }
}

/// Rows in an order that the prefetcher does not guess.
fn row(i: u64) -> u64 {
    row_of(i, ROWS)
}

fn row_of(i: u64, rows: u64) -> u64 {
    (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % rows
}

/// Reads at random in a table that is far larger than any cache.
fn large(small: bool) {
    let rows = if small { ROWS } else { 1_000_000 };
    let mut client = nodes(&[1], (rows, WIDTH), ElementType::F32, false)[0].client(0);
    for chunk in 0..rows / ROWS {
        (0..ROWS).for_each(|row| client.inc(0, chunk * ROWS + row, &[0.5f32; WIDTH]));
        client.clock(&mut Vec::new());
    }
    measure(small, "ps: get alone, 100 f32, of 400 MB", 20_000, |i| {
        f64::from(client.read::<f32>(0, row_of(i, rows))[0])
    });
}

fn get_and_inc<T: Element>(client: &mut Client, row: u64, delta: &[T]) -> f64 {
    let mut out = Vec::new();
    assert!(client.ready(0, row, &mut out));
    let first = client.read::<T>(0, row)[0] == T::default();
    client.inc(0, row, delta);
    f64::from(first)
}

pub(crate) fn run(small: bool) {
    let mut floats = client(ElementType::F32, false, WIDTH);
    let delta = [0.5f32; WIDTH];
    let name = "ps: get + inc, 100 f32, touched (target <= 50)";
    measure(small, name, 20_000, |i| {
        get_and_inc(&mut floats, row(i), &delta)
    });
    measure(small, "ps: get alone, 100 f32, touched rows", 20_000, |i| {
        f64::from(floats.read::<f32>(0, row(i))[0])
    });
    measure(
        small,
        "ps: clock of 1000 touched rows, per row",
        100_000,
        |i| {
            floats.inc(0, i % ROWS, &delta);
            if i % ROWS == ROWS - 1 {
                floats.clock(&mut Vec::new());
            }
            0.0
        },
    );
    measure(
        small,
        "ps: get alone, 100 f32, untouched rows",
        20_000,
        |i| f64::from(floats.read::<f32>(0, row(i))[0]),
    );
    let mut counts = client(ElementType::I32, true, WIDTH);
    for i in 0..20 * ROWS {
        counts.inc_sparse(0, i % ROWS, (row(i) % WIDTH as u64) as u32, 1);
    }
    counts.clock(&mut Vec::new());
    measure(small, "ps: sparse get, 20 of 100 i32", 20_000, |i| {
        let mut sum = 0;
        counts.read_sparse(0, row(i), |_, count: i32| sum += count);
        f64::from(sum)
    });
    measure(small, "ps: sparse inc, two columns", 20_000, |i| {
        counts.inc_sparse(0, row(i), (i % 100) as u32, -1);
        counts.inc_sparse(0, row(i), ((i + 7) % 100) as u32, 1);
        0.0
    });
    large(small);
    let nodes = nodes(&[1, 1], (ROWS, WIDTH), ElementType::F32, false);
    let mut clients = [nodes[0].client(0), nodes[1].client(1)];
    let all: Vec<u64> = (0..ROWS).collect();
    let mut messages = Vec::new();
    for (rank, client) in clients.iter_mut().enumerate() {
        client.prefetch(0, &all, &mut messages);
        deliver(&nodes, rank as Rank, &mut messages);
    }
    measure(
        small,
        "ps: clock of 2 ranks that share 1000 rows, per clock",
        100,
        |_| {
            for (rank, client) in clients.iter_mut().enumerate() {
                (0..ROWS).for_each(|row| client.inc(0, row, &delta));
                client.clock(&mut messages);
                deliver(&nodes, rank as Rank, &mut messages);
            }
            0.0
        },
    );
}
