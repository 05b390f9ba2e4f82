//! What a run goes on from: a worker's users, and the items that are with it after the clock.
//!
//! Under `--parallel data` each worker writes one block of the items as it reads them, and the blocks
//! together are what the table of the run that goes on begins with.

use std::sync::Arc;

use super::Setup;
use super::block::{Block, push_rows, read_rows};
use super::ccd::Descending;
use super::part::{Items, Part, Users};
use super::ratings::Ordered;
use super::rotate::{Held, Rotating};
use super::share::Shared;
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::math::factors::Factors;
use crate::snapshot::{Tensor, take};
use crate::wire::message::WorkerId;

/// A worker's state.
pub(super) fn write(part: &Part) -> Vec<Tensor> {
    let mut tensors = vec![of_rows("users", &part.users.factors)];
    match &part.items {
        Items::Rotating(items) => write_rotating(items, &mut tensors),
        Items::Shared(items) => {
            tensors.extend(items.own.iter().map(|own| of_rows("own_items", own)));
            let met: Vec<f32> = items.seen.heads().iter().map(|h| h.curvature).collect();
            tensors.push(Tensor::new("item_curvatures", &[met.len()], &met));
        }
        Items::Gathered(items) => tensors.push(of_rows("own_items", &items.own.0)),
        Items::Descending(items) => {
            tensors.push(of_rows("own_items", &items.own));
            for (name, ratings) in residuals(&part.users, items) {
                let numbers = ratings.numbers();
                tensors.push(Tensor::new(name, &[numbers.len()], &numbers));
            }
        }
    }
    tensors
}

/// The numbers that coordinate descent works on.
fn residuals<'a>(users: &'a Users, items: &'a Descending) -> [(&'static str, &'a Ordered); 3] {
    [
        ("user_residuals", &users.train),
        ("test_residuals", &users.test),
        ("item_residuals", &items.ratings),
    ]
}

fn of_rows(name: impl Into<String>, factors: &Factors) -> Tensor {
    let mut rows = Vec::new();
    push_rows(&mut rows, factors, factors.len());
    Tensor::new(name, &[rows.len()], &rows)
}

fn write_rotating(items: &Rotating, tensors: &mut Vec<Tensor>) {
    tensors.push(Tensor::new("turn", &[1], &[items.turn]));
    let turns: Vec<u64> = items.held.iter().map(|held| held.turn).collect();
    for held in &items.held {
        tensors.push(of_rows(format!("block_{}", held.turn), &held.block.0));
    }
    tensors.push(Tensor::new("held", &[turns.len()], &turns));
}

/// Puts a freshly loaded part back to what [`write`] saw.
pub(super) fn read(setup: &Setup, part: &mut Part, mut tensors: Vec<Tensor>) -> Result<()> {
    let users = Arc::make_mut(&mut part.users.factors);
    let rows = users.len();
    read_rows(&take(&mut tensors, "users")?.bytes, users, rows).ok_or_else(other)?;
    let (worker, rank) = (part.users.worker, users.rank());
    match &mut part.items {
        Items::Rotating(items) => read_rotating(setup, worker, rank, items, &mut tensors),
        Items::Shared(items) => read_shared(setup, worker, items, &mut tensors),
        Items::Gathered(items) => {
            let own = &mut Arc::make_mut(&mut items.own).0;
            let rows = own.len();
            read_rows(&take(&mut tensors, "own_items")?.bytes, own, rows).ok_or_else(other)
        }
        Items::Descending(items) => {
            let rows = items.own.len();
            let saved = take(&mut tensors, "own_items")?;
            read_rows(&saved.bytes, &mut items.own, rows).ok_or_else(other)?;
            for (name, ratings) in [
                ("user_residuals", &mut part.users.train),
                ("test_residuals", &mut part.users.test),
                ("item_residuals", &mut items.ratings),
            ] {
                let numbers = take(&mut tensors, name)?.values::<f32>()?;
                ratings.set_numbers(&numbers).ok_or_else(other)?;
            }
            Ok(())
        }
    }
}

fn other() -> Error {
    Error::Other("the checkpoint is of another model".into())
}

fn read_rotating(
    setup: &Setup,
    worker: WorkerId,
    rank: usize,
    items: &mut Rotating,
    tensors: &mut Vec<Tensor>,
) -> Result<()> {
    let turn = take(tensors, "turn")?.values::<u64>()?;
    items.turn = *turn.first().ok_or_else(other)?;
    items.held.clear();
    // Every block was used, so that none is fresh any more.
    items.fresh.clear();
    for turn in take(tensors, "held")?.values::<u64>()? {
        let number = setup.rotation.task(worker, turn).block;
        let rows = setup.by_block.block(number).len();
        let mut factors = Factors::zeros(rows, rank);
        let saved = take(tensors, &format!("block_{turn}"))?;
        read_rows(&saved.bytes, &mut factors, rows).ok_or_else(other)?;
        let block = Block(factors);
        items.held.push_back(Held { turn, block });
    }
    Ok(())
}

fn read_shared(
    setup: &Setup,
    worker: WorkerId,
    items: &mut Shared,
    tensors: &mut Vec<Tensor>,
) -> Result<()> {
    let rows = setup.by_block.block(worker).len();
    let mut own = Factors::zeros(rows, items.seen.rank());
    read_rows(&take(tensors, "own_items")?.bytes, &mut own, rows).ok_or_else(other)?;
    items.own = Some(own);
    let met = take(tensors, "item_curvatures")?.values::<f32>()?;
    if met.len() != items.seen.len() {
        return Err(other());
    }
    let heads = items.seen.heads_mut().iter_mut();
    heads.zip(met).for_each(|(head, met)| head.curvature = met);
    Ok(())
}

/// Puts the blocks of shared items together, on every rank.
pub(super) fn rebuild(setup: &Setup, parts: &mut [Part], host: &Host) -> Result<()> {
    let mut bytes = Vec::new();
    for part in parts.iter() {
        match &part.items {
            Items::Shared(items) => {
                let own = items.own.as_ref().ok_or_else(other)?;
                push_rows(&mut bytes, own, own.len());
            }
            _ => return Ok(()),
        }
    }
    // The blocks of workers follow each other as workers do, and so do ranks.
    let all: Vec<u8> = host.all_gather(bytes)?.concat();
    let rank = parts.first().map_or(0, |part| part.users.factors.rank());
    let rows = setup.by_block.variables();
    let mut start = Factors::zeros(rows, rank);
    read_rows(&all, &mut start, rows).ok_or_else(other)?;
    if let Some(Items::Shared(items)) = parts.first_mut().map(|part| &mut part.items) {
        items.start = Some(start);
    }
    Ok(())
}
