//! What a run goes on from: a worker's users, and the blocks that are with it after the clock.

use super::Setup;
use super::block::{Block, push_rows, read_rows};
use super::part::{Held, Part};
use crate::error::{Error, Result};
use crate::math::factors::Factors;
use crate::snapshot::{Tensor, take};

/// A worker's state.
pub(super) fn write(part: &Part) -> Vec<Tensor> {
    let mut users = Vec::new();
    push_rows(&mut users, &part.users, part.users.len());
    let mut tensors = vec![
        Tensor::new("turn", &[1], &[part.turn]),
        Tensor::new("users", &[users.len()], &users),
    ];
    let turns: Vec<u64> = part.held.iter().map(|held| held.turn).collect();
    for held in &part.held {
        let mut rows = Vec::new();
        push_rows(&mut rows, &held.block.0, held.block.0.len());
        tensors.push(Tensor::new(format!("block_{}", held.turn), &[rows.len()], &rows));
    }
    tensors.push(Tensor::new("held", &[turns.len()], &turns));
    tensors
}

/// Puts a freshly loaded part back to what [`write`] saw.
pub(super) fn read(setup: &Setup, part: &mut Part, mut tensors: Vec<Tensor>) -> Result<()> {
    let other = || Error::Other("the checkpoint is of another model".into());
    let turn = take(&mut tensors, "turn")?.values::<u64>()?;
    part.turn = *turn.first().ok_or_else(other)?;
    let users = part.users.len();
    read_rows(&take(&mut tensors, "users")?.bytes, &mut part.users, users).ok_or_else(other)?;
    part.held.clear();
    // Every block was used, so that none is fresh any more.
    let worker = part.worker;
    part.fresh.clear();
    for turn in take(&mut tensors, "held")?.values::<u64>()? {
        let number = setup.rotation.task(worker, turn).block;
        let rows = setup.by_block.block(number).len();
        let mut factors = Factors::zeros(rows, part.users.rank());
        let saved = take(&mut tensors, &format!("block_{turn}"))?;
        read_rows(&saved.bytes, &mut factors, rows).ok_or_else(other)?;
        let block = Block(factors);
        part.held.push_back(Held { turn, block });
    }
    Ok(())
}
