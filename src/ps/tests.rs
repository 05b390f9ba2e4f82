//! Nodes as a whole, with messages delivered by hand.

use std::sync::Arc;

use crate::ps::consistency::Bound;
use crate::ps::consistency::Consistency;
use crate::ps::node::{Node, Outgoing};
use crate::ps::table::{ElementType, TableKind, TableSpec};
use crate::ps::world::World;
use crate::wire::message::{Elements, Message, Payload, Rank, RowBatch};

const ROWS: u64 = 10;

fn nodes(workers: &[u32], consistency: Consistency) -> Vec<Arc<Node>> {
    let shared = |element, sparse| TableKind::Shared {
        rows: ROWS,
        width: 2,
        element,
        sparse,
    };
    let kinds = [
        ("dense", shared(ElementType::F32, false)),
        ("sparse", shared(ElementType::I32, true)),
        ("ring", TableKind::Exclusive { blocks: 1 }),
    ];
    let tables = kinds.map(|(name, kind)| TableSpec { name, kind });
    let world = World::new(workers);
    let bound = Bound::new(consistency, 1);
    let node = |rank| Arc::new(Node::new(world.clone(), rank, 2, &tables, bound));
    (0..world.ranks()).map(node).collect()
}

/// Delivers everything, and what that causes, in order; returns the rows that travelled.
fn deliver(nodes: &[Arc<Node>], from: Rank, out: Outgoing) -> Vec<u64> {
    let mut rows = Vec::new();
    for (to, message) in out {
        if let Message::Rows { batches, .. } = &message {
            rows.extend(batches.iter().flat_map(|batch| batch.rows.clone()));
        }
        let mut answers = Vec::new();
        nodes[to as usize]
            .handle(from, message, &mut answers)
            .unwrap();
        rows.extend(deliver(nodes, to, answers));
    }
    rows
}

#[test]
fn one_process_sends_nothing() {
    for mode in [
        Consistency::Bsp,
        Consistency::Ssp,
        Consistency::Essp,
        Consistency::Async,
    ] {
        let nodes = nodes(&[2], mode);
        let mut clients = [nodes[0].client(0), nodes[0].client(1)];
        let mut out = Vec::new();
        for _ in 0..3 {
            for client in &mut clients {
                client.prefetch(0, &[1, 2], &mut out);
                assert!(client.ready(0, 1, &mut out));
                client.inc(0, 1, &[1.0f32, 0.0]);
                client.inc_sparse(1, 1, 1, 2);
                client.publish(&mut out);
            }
            clients.iter_mut().for_each(|client| client.clock(&mut out));
            nodes[0].tick(&mut out);
        }
        assert!(out.is_empty(), "{mode:?}: {out:?}");
        assert_eq!(nodes[0].stamp(), 2);
        assert_eq!(clients[0].read::<f32>(0, 1), [6.0, 0.0]);
        let mut seen = Vec::new();
        clients[1].read_sparse(1, 1, |column, count: i32| seen.push((column, count)));
        assert_eq!(seen, [(1, 12)]);
    }
}

#[test]
fn an_eager_push_brings_what_others_have_changed_and_nothing_else() {
    let nodes = nodes(&[1, 1], Consistency::Essp);
    let mut clients = [nodes[0].client(0), nodes[1].client(1)];
    let mut out = Vec::new();
    // Rows 0, 2, 4 live on rank 0; worker 1 reads them.
    clients[1].prefetch(0, &[4, 0, 2, 1], &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(deliver(&nodes, 1, std::mem::take(&mut out)), [0, 2, 4]);
    clients[0].inc(0, 0, &[1.0f32, 1.0]);
    clients[0].inc(0, 6, &[1.0f32, 1.0]);
    clients[1].inc(0, 2, &[1.0f32, 1.0]);
    clients[0].clock(&mut out);
    assert_eq!(deliver(&nodes, 0, std::mem::take(&mut out)), []);
    clients[1].clock(&mut out);
    // Row 6 is nobody's, and worker 1 knows its own change of row 2.
    assert_eq!(deliver(&nodes, 1, std::mem::take(&mut out)), [0]);
    for (row, value) in [(0, 1.0), (2, 1.0), (4, 0.0)] {
        assert!(clients[1].ready(0, row, &mut out));
        assert_eq!(clients[1].read::<f32>(0, row), [value, value]);
    }
    assert_eq!(clients[1].take_staleness().max, 0);
    assert!(out.is_empty());
}

#[test]
fn publishing_exchanges_changes_in_the_middle_of_a_clock() {
    for (mode, seen) in [(Consistency::Essp, 1.0), (Consistency::Ssp, 0.0)] {
        let nodes = nodes(&[1, 1], mode);
        let mut clients = [nodes[0].client(0), nodes[1].client(1)];
        let mut out = Vec::new();
        assert!(!clients[1].ready(0, 0, &mut out));
        deliver(&nodes, 1, std::mem::take(&mut out));
        clients[0].inc(0, 0, &[1.0f32, 0.0]);
        clients[0].publish(&mut out);
        deliver(&nodes, 0, std::mem::take(&mut out));
        clients[1].publish(&mut out);
        deliver(&nodes, 1, std::mem::take(&mut out));
        assert_eq!(clients[1].read::<f32>(0, 0), [seen, 0.0], "{mode:?}");
    }
}

#[test]
fn a_run_resumes_from_its_rows_at_its_clock() {
    for mode in [
        Consistency::Bsp,
        Consistency::Ssp,
        Consistency::Essp,
        Consistency::Async,
    ] {
        let saved = nodes(&[1, 1], mode);
        let mut out = Vec::new();
        let mut client = saved[0].client(0);
        client.inc(0, 4, &[2.0f32, 3.0]);
        client.inc_sparse(1, 4, 0, 7);
        client.clock(&mut out);
        deliver(&saved, 0, std::mem::take(&mut out));
        saved[1].client(1).clock(&mut out);
        deliver(&saved, 1, std::mem::take(&mut out));

        let nodes = nodes(&[1, 1], mode);
        for table in 0..2 {
            let rows = saved[0].table_rows(table);
            rows.iter()
                .for_each(|rows| nodes[0].set_rows(rows).unwrap());
        }
        nodes.iter().for_each(|node| node.start_at(5));
        let mut client = nodes[1].client(1);
        assert_eq!((client.at(), nodes[1].stamp()), (5, 4));
        client.prefetch(0, &[4], &mut out);
        client.prefetch(1, &[4], &mut out);
        deliver(&nodes, 1, std::mem::take(&mut out));
        assert!(client.ready(0, 4, &mut out) && client.ready(1, 4, &mut out));
        assert_eq!(client.read::<f32>(0, 4), [2.0, 3.0]);
        client.read_sparse(1, 4, |column, count: i32| {
            assert_eq!((column, count), (0, 7))
        });
        assert_eq!(client.take_staleness().max, 0);
        client.clock(&mut out);
        deliver(&nodes, 1, std::mem::take(&mut out));
        nodes[0].client(0).clock(&mut out);
        deliver(&nodes, 0, std::mem::take(&mut out));
        assert_eq!(
            nodes.iter().map(|node| node.stamp()).collect::<Vec<_>>(),
            [5, 5]
        );
    }
}

#[test]
fn messages_that_cannot_be_are_refused() {
    let nodes = nodes(&[1, 1], Consistency::Ssp);
    let rows = |table, rows: &[u64]| RowBatch {
        table,
        rows: rows.to_vec(),
        ends: Vec::new(),
        columns: Vec::new(),
        elements: Elements::F32(vec![0.0; 2 * rows.len()]),
    };
    let updates = |number, batch| Message::Updates {
        number,
        completes: 0,
        answer: false,
        batches: Arc::new(vec![batch]),
    };
    let pushed = |number, included, batch| Message::Rows {
        number,
        covers: 0,
        stamp: 0,
        complete: true,
        included,
        batches: vec![batch],
    };
    let pull = |table, row| Message::Pull {
        table,
        rows: vec![row],
        stamp: 0,
    };
    let payload = || Payload::Bytes(Default::default());
    let block = |table, block| Message::Block {
        table,
        block,
        turn: 0,
        worker: 0,
        payload: payload(),
    };
    let wrong = [
        updates(0, rows(0, &[1])),
        updates(0, rows(0, &[10])),
        updates(0, rows(1, &[0])),
        updates(0, rows(2, &[0])),
        updates(0, rows(9, &[0])),
        updates(u64::MAX, rows(0, &[0])),
        pushed(0, 0, rows(0, &[0])),
        pushed(0, 1, rows(0, &[1])),
        pushed(u64::MAX, 0, rows(0, &[1])),
        pull(0, 1),
        pull(0, 12),
        pull(2, 0),
        block(2, 1),
        block(0, 0),
        Message::Goodbye,
    ];
    let mut out = Vec::new();
    for message in wrong {
        let what = format!("{message:?}");
        assert!(nodes[0].handle(1, message, &mut out).is_err(), "{what}");
    }
    assert!(nodes[0].handle(0, pull(0, 0), &mut out).is_err());
    assert!(nodes[0].handle(7, pull(0, 0), &mut out).is_err());
    assert!(out.is_empty());
    assert!(
        nodes[0]
            .handle(1, updates(0, rows(0, &[0])), &mut out)
            .is_ok()
    );
}
