//! The model on disk.
//!
//! | tensor | type, shape | what |
//! |---|---|---|
//! | `user_factors`, `item_factors` | f32, n × k and m × k | p_u and q_i |
//! | `user_biases`, `item_biases` | f32, n and m | b_u and c_i; zeros with `--no-bias` |
//! | `mean` | f64, 1 | μ; 0 with `--implicit`, and with `--nonnegative --no-bias` |
//!
//! Row r of the users is of the id in line r of `users.txt`, counted from 0; items likewise. Ids are
//! there byte for byte as the data have them, so that none is lost or merged with another where they
//! are no UTF-8 (old files are Latin-1): no id holds a line end, so nothing has to be escaped. In
//! NumPy, `mean + user_biases[u] + item_biases + item_factors @ user_factors[u]` predicts all ratings
//! of user u.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;

use super::Setup;
use super::block::push_rows;
use super::part::{Items, Part};
use crate::data::Ids;
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::math::factors::Factors;
use crate::scheduler::partition::Partition;
use crate::snapshot::{Model, Tensor};

/// Files of ids.
const USERS: &str = "users.txt";
const ITEMS: &str = "items.txt";

/// Brings all factors to rank 0 and writes them there, if a model is wanted.
pub(super) fn save(
    setup: &Setup,
    parts: Vec<Part>,
    host: &Host,
    model: Option<&mut Model>,
) -> Result<()> {
    let rank = parts.first().map_or(0, |part| part.users.factors.rank());
    let factors: Vec<OfWorker> = parts
        .into_iter()
        .map(|part| OfWorker::new(setup, part))
        .collect();
    let (mut users, mut items) = (Vec::new(), Vec::new());
    for of_worker in factors {
        push_rows(&mut users, &of_worker.users, of_worker.users.len() - 1);
        for (number, block) in of_worker.blocks {
            items.extend(number.to_le_bytes());
            push_rows(&mut items, &block, block.len());
        }
    }
    let (users, items) = (host.gather(users)?, host.gather(items)?);
    let (Some(users), Some(items), Some(model)) = (users, items, model) else {
        return Ok(());
    };
    let users = Side::of_users(setup, rank, &users)?;
    model.tensors(users.tensors("user", setup.scale));
    let items = Side::of_items(setup, rank, &items)?;
    model.tensors(items.tensors("item", setup.scale));
    model.tensors(vec![Tensor::new("mean", &[1], &[setup.mean])]);
    model.json("factors", rank as u64);
    model.json("users", setup.users.len() as u64);
    model.json("items", setup.items.len() as u64);
    model.json("ratings", setup.train);
    model.json("test_ratings", setup.test);
    model.json("user_ids", USERS);
    model.json("item_ids", ITEMS);
    write_ids(model, USERS, &setup.users)?;
    write_ids(model, ITEMS, &setup.items)
}

fn write_ids(model: &mut Model, name: &str, ids: &Ids) -> Result<()> {
    let mut file = model.file(name)?;
    // Errors of a model's files come up when it is finished.
    let mut line = |row| file.write_all(&ids.name(row)).and_then(|()| file.write_all(b"\n"));
    let _ = (0..ids.len()).try_for_each(&mut line);
    Ok(())
}

/// What a worker holds of the model.
struct OfWorker {
    users: Arc<Factors>,
    blocks: Vec<(u32, Factors)>,
}

impl OfWorker {
    /// Drops the ratings.
    fn new(setup: &Setup, part: Part) -> OfWorker {
        let worker = part.users.worker;
        let blocks = match part.items {
            Items::Rotating(items) => {
                let number = |turn| setup.rotation.task(worker, turn).block;
                let held = items.held.into_iter();
                let held = held.map(|held| (number(held.turn), held.block.0));
                let fresh = items.fresh.into_iter();
                held.chain(fresh.map(|(number, block)| (number, block.0)))
                    .collect()
            }
            Items::Shared(items) => items.own.map(|own| (worker, own)).into_iter().collect(),
            Items::Gathered(items) => {
                drop(items.all);
                vec![(worker, Arc::unwrap_or_clone(items.own).0)]
            }
            Items::Descending(items) => vec![(worker, items.own)],
        };
        OfWorker {
            users: part.users.factors,
            blocks,
        }
    }
}

/// One side of the model, in the order of its ids.
struct Side {
    rank: usize,
    factors: Vec<f32>,
    biases: Vec<f32>,
    seen: usize,
}

impl Side {
    fn new(rows: usize, rank: usize) -> Side {
        Side {
            rank,
            factors: vec![0.0; rows * rank],
            biases: vec![0.0; rows],
            seen: 0,
        }
    }

    /// Takes one row out of `rest` and puts it at its place.
    fn take_row(&mut self, rest: &mut &[u8], row: usize) -> Result<()> {
        let length = (self.rank + 2) * size_of::<f32>();
        let (bytes, tail) = rest.split_at_checked(length).ok_or_else(malformed)?;
        *rest = tail;
        let mut values = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        self.biases[row] = values.next().unwrap_or(0.0);
        // The steps that a row had come down to are of no use in a model.
        values.next();
        let factors = &mut self.factors[row * self.rank..][..self.rank];
        factors.iter_mut().zip(values).for_each(|(to, from)| *to = from);
        self.seen += 1;
        Ok(())
    }

    fn of_users(setup: &Setup, rank: usize, ranks: &[Bytes]) -> Result<Side> {
        let mut side = Side::new(setup.users.len(), rank);
        let mut positions = 0..setup.by_worker.variables() as u32;
        for bytes in ranks {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let position = positions.next().ok_or_else(malformed)?;
                side.take_row(&mut rest, setup.by_worker.variable(position) as usize)?;
            }
        }
        side.whole()
    }

    fn of_items(setup: &Setup, rank: usize, ranks: &[Bytes]) -> Result<Side> {
        let partition: &Partition = &setup.by_block;
        let mut side = Side::new(setup.items.len(), rank);
        for bytes in ranks {
            let mut rest = &bytes[..];
            while let Some((number, tail)) = rest.split_first_chunk::<4>() {
                rest = tail;
                let number = u32::from_le_bytes(*number);
                if number >= partition.blocks() {
                    return Err(malformed());
                }
                for position in partition.block(number) {
                    side.take_row(&mut rest, partition.variable(position) as usize)?;
                }
            }
        }
        side.whole()
    }

    fn whole(self) -> Result<Side> {
        match self.seen == self.biases.len() {
            true => Ok(self),
            false => Err(Error::Bug("a part of the model is missing at the end".into())),
        }
    }

    /// In units of the ratings as they were read, see [`super::load::step`].
    fn tensors(mut self, name: &str, scale: f64) -> Vec<Tensor> {
        let root = scale.sqrt() as f32;
        self.factors.iter_mut().for_each(|factor| *factor *= root);
        self.biases.iter_mut().for_each(|bias| *bias *= scale as f32);
        let rows = self.biases.len();
        vec![
            Tensor::new(format!("{name}_factors"), &[rows, self.rank], &self.factors),
            Tensor::new(format!("{name}_biases"), &[rows], &self.biases),
        ]
    }
}

fn malformed() -> Error {
    Error::Other("a peer sent a part of the model that is none".into())
}
