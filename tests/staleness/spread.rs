//! Bulk-synchronous tables are equal bit by bit, whatever the order of events and however the
//! workers are spread over ranks.

use std::sync::Arc;

use petuum::ps::{Bound, Client, Consistency, ElementType, Node, TableKind, TableSpec, World};
use petuum::wire::message::{Elements, Message, Rank};

use super::network::Dice;

const ROWS: u64 = 6;
const WIDTH: usize = 5;
const CLOCKS: i64 = 8;

/// The bits of all elements after a run whose updates depend on everything read so far.
pub(super) fn run(workers: &[u32], consistency: Consistency, seed: u64) -> Vec<u32> {
    let world = World::new(workers);
    let kind = TableKind::Shared {
        rows: ROWS,
        width: WIDTH as u32,
        element: ElementType::F32,
        sparse: false,
    };
    let tables = [TableSpec {
        name: "weights",
        kind,
    }];
    let bound = Bound::new(consistency, 0);
    let node = |rank| Arc::new(Node::new(world.clone(), rank, 2, &tables, bound));
    let nodes: Vec<Arc<Node>> = (0..world.ranks()).map(node).collect();
    let client = |w| (nodes[world.rank_of(w) as usize].client(w), 0);
    let mut clients: Vec<(Client, u64)> = (0..world.workers()).map(client).collect();
    let mut flying: Vec<(Rank, Rank, Message)> = Vec::new();
    let mut dice = Dice::new(seed);
    while !flying.is_empty() || clients.iter().any(|(client, _)| client.at() < CLOCKS) {
        let choice = dice.below((flying.len() + clients.len()) as u64) as usize;
        let mut out = Vec::new();
        let rank = if choice < flying.len() {
            let (from, to, message) = flying.swap_remove(choice);
            nodes[to as usize].handle(from, message, &mut out).unwrap();
            to
        } else {
            let (client, row) = &mut clients[choice - flying.len()];
            step(client, row, &mut out);
            client.node().rank()
        };
        flying.extend(out.into_iter().map(|(to, message)| (rank, to, message)));
    }
    elements(&nodes)
}

/// The worker reads its next row and adds a function of what it saw, or ends its clock.
fn step(client: &mut Client, row: &mut u64, out: &mut Vec<(Rank, Message)>) {
    if client.at() == CLOCKS {
        return;
    }
    if *row == ROWS {
        *row = 0;
        return client.clock(out);
    }
    if client.ready(0, *row, out) {
        let salt = 0.1 + client.worker() as f32 * 0.7 + *row as f32;
        let delta: Vec<f32> = client
            .read::<f32>(0, *row)
            .iter()
            .map(|x| (x + salt).sin())
            .collect();
        client.inc(0, *row, &delta);
        *row += 1;
    }
}

fn elements(nodes: &[Arc<Node>]) -> Vec<u32> {
    let mut rows: Vec<(u64, Vec<u32>)> = Vec::new();
    for batch in nodes.iter().flat_map(|node| node.table_rows(0)) {
        let Elements::F32(elements) = &batch.elements else {
            unreachable!()
        };
        let values = elements
            .chunks(WIDTH)
            .map(|row| row.iter().map(|x| x.to_bits()).collect());
        rows.extend(batch.rows.iter().copied().zip(values));
    }
    rows.sort();
    rows.into_iter().flat_map(|(_, row)| row).collect()
}
