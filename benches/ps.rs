//! The parameter server inside one process: what a recipe's hot loop pays.

use std::sync::Arc;

use petuum::ps::{
    Bound, Client, Consistency, Element, ElementType, Node, TableKind, TableSpec, World,
};

use crate::measure;

const ROWS: u64 = 1000;
const WIDTH: usize = 100;

fn client(element: ElementType, sparse: bool, width: usize) -> Client {
    let kind = TableKind::Shared {
        rows: ROWS,
        width: width as u32,
        element,
        sparse,
    };
    let tables = [TableSpec {
        name: "bench",
        kind,
    }];
    let bound = Bound::new(Consistency::Essp, 3);
    Arc::new(Node::new(World::new(&[1]), 0, 64, &tables, bound)).client(0)
}

/// Rows in an order that the prefetcher does not guess.
fn row(i: u64) -> u64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % ROWS
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
    measure(
        small,
        "ps: get + inc, 100 f32, touched rows",
        1_000_000,
        |i| get_and_inc(&mut floats, row(i), &delta),
    );
    measure(
        small,
        "ps: get alone, 100 f32, touched rows",
        1_000_000,
        |i| f64::from(floats.read::<f32>(0, row(i))[0]),
    );
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
        1_000_000,
        |i| f64::from(floats.read::<f32>(0, row(i))[0]),
    );
    let mut counts = client(ElementType::I32, true, WIDTH);
    for i in 0..20 * ROWS {
        counts.inc_sparse(0, i % ROWS, (row(i) % WIDTH as u64) as u32, 1);
    }
    counts.clock(&mut Vec::new());
    measure(small, "ps: sparse get, 20 of 100 i32", 1_000_000, |i| {
        let mut sum = 0;
        counts.read_sparse(0, row(i), |_, count: i32| sum += count);
        f64::from(sum)
    });
    measure(small, "ps: sparse inc, two columns", 1_000_000, |i| {
        counts.inc_sparse(0, row(i), (i % 100) as u32, -1);
        counts.inc_sparse(0, row(i), ((i + 7) % 100) as u32, 1);
        0.0
    });
}
