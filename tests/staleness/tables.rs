//! The tables of the simulator: every way to hold counts, and how to change and read them.

use petuum::ps::{Client, Element, ElementType, TableKind, TableSpec};
use petuum::wire::message::{Elements, RowBatch, TableId};

pub(super) fn tables(rows: u64, workers: u32, blocks: u32) -> [TableSpec; 5] {
    let shared = |name, element, sparse| TableSpec {
        name,
        kind: TableKind::Shared {
            rows,
            width: workers,
            element,
            sparse,
        },
    };
    [
        shared("dense", ElementType::I64, false),
        shared("sparse", ElementType::I32, true),
        shared("float", ElementType::F64, false),
        shared("short float", ElementType::F32, false),
        TableSpec {
            name: "ring",
            kind: TableKind::Exclusive { blocks },
        },
    ]
}

/// Adds `count` to the worker's cell of the row, in the table's own way.
pub(super) fn inc(client: &mut Client, table: usize, row: u64, count: i64, width: usize) {
    fn dense<T: Element>(client: &mut Client, place: (usize, u64), count: T, width: usize) {
        let mut delta = vec![T::default(); width];
        delta[client.worker() as usize] = count;
        client.inc(place.0 as TableId, place.1, &delta);
    }
    match table {
        0 => dense(client, (table, row), count, width),
        1 => {
            // What cancels out leaves no trace.
            client.inc_sparse(1, row, client.worker(), count as i32 - 5);
            client.inc_sparse(1, row, (client.worker() + 1) % width as u32, 7);
            client.inc_sparse(1, row, (client.worker() + 1) % width as u32, -7);
            client.inc_sparse(1, row, client.worker(), 5);
        }
        2 => dense(client, (table, row), count as f64, width),
        _ => dense(client, (table, row), count as f32, width),
    }
}

/// The row as counts by worker.
pub(super) fn value(client: &mut Client, table: usize, row: u64, width: usize) -> Vec<i64> {
    let mut counts = vec![0; width];
    match table {
        0 => counts.copy_from_slice(client.read::<i64>(0, row)),
        1 => client.read_sparse(1, row, |column, count: i32| {
            counts[column as usize] += i64::from(count)
        }),
        2 => {
            let mut floats = vec![0.0; width];
            client.read_into::<f64>(2, row, &mut floats);
            counts
                .iter_mut()
                .zip(floats)
                .for_each(|(count, float)| *count = float as i64);
        }
        // Counts this small are exact in every format that floats may travel in.
        _ => counts
            .iter_mut()
            .zip(client.read::<f32>(3, row))
            .for_each(|(count, float)| *count = *float as i64),
    }
    counts
}

pub(super) fn add_batch(batch: &RowBatch, sums: &mut [Vec<i64>]) {
    let elements: Vec<i64> = match &batch.elements {
        Elements::I64(elements) => elements.clone(),
        Elements::I32(elements) => elements.iter().map(|e| i64::from(*e)).collect(),
        Elements::F64(elements) => elements.iter().map(|e| *e as i64).collect(),
        Elements::F32(elements) => elements.iter().map(|e| *e as i64).collect(),
        Elements::U32(elements) => elements.iter().map(|e| i64::from(*e)).collect(),
        Elements::Bf16(_) => panic!("a home keeps whole floats"),
    };
    let width = sums.first().map_or(0, Vec::len);
    let mut start = 0;
    for (i, row) in batch.rows.iter().enumerate() {
        let sum = &mut sums[*row as usize];
        match batch.ends.get(i) {
            None => (0..width).for_each(|c| sum[c] += elements[i * width + c]),
            Some(end) => {
                for j in start..*end as usize {
                    sum[batch.columns[j] as usize] += elements[j];
                }
                start = *end as usize;
            }
        }
    }
}
