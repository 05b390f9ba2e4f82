//! Predictions of a saved model: ratings of pairs, or the best items of users.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs;
use std::io::Write;

use foldhash::fast::FixedState;

use crate::data::read_id_lines;
use crate::error::{Error, Result};
use crate::program::predict::{PredictFlags, Predictions};
use crate::report::Notes;
use crate::snapshot::{SavedModel, Tensor, take};

/// Predicts the ratings of `user item` lines, or with `--top` the best items of the users in the
/// first field of each line (of all users without DATA).
///
/// # Errors
/// Status 65 or 66 for a model or data that is not as it should be, 74 if nobody can be told.
pub fn run(
    model: &SavedModel,
    flags: &PredictFlags,
    threads: usize,
    out: &mut (dyn Write + Send),
    _notes: &Notes,
) -> Result<()> {
    flags.refuse_others("mf", &["--top"])?;
    flags.columns.refuse_all("a model of examples")?;
    let model = Factors::load(model)?;
    match flags.top {
        None => model.pairs(flags, threads, out),
        Some(top) => model.tops(flags, threads, top as usize, out),
    }
}

/// One side of a model.
struct Side {
    ids: Vec<Vec<u8>>,
    rows: HashMap<Vec<u8>, u32, FixedState>,
    /// Rows × k.
    factors: Vec<f32>,
    biases: Vec<f32>,
}

impl Side {
    fn load(model: &SavedModel, tensors: &mut Vec<Tensor>, name: &str, rank: usize) -> Result<Side> {
        let key = format!("{name}_ids");
        let file = model.json(&key)?.as_str().unwrap_or_default();
        let path = model.path(file);
        let text = fs::read(&path).map_err(|why| Error::no_input(&path, why))?;
        let lines = text.strip_suffix(b"\n").unwrap_or(&text).split(|byte| *byte == b'\n');
        let ids: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
        let rows = ids.iter().cloned().zip(0..).collect();
        let factors = take(tensors, &format!("{name}_factors"))?;
        if factors.shape.get(1) != Some(&rank) {
            let there = factors.shape.get(1).copied().unwrap_or_default();
            let message = format!("expected `factors` to be {there}, as of the model's tensors, saw {rank}");
            return Err(Error::data(&model.path("model.json"), 0, 0, message));
        }
        let factors: Vec<f32> = factors.values()?;
        let biases: Vec<f32> = take(tensors, &format!("{name}_biases"))?.values()?;
        match biases.len() == ids.len() && factors.len() == ids.len() * rank {
            true => Ok(Side { ids, rows, factors, biases }),
            false => {
                let message = format!("expected {} ids, as many as the model has {name}s, saw {}", biases.len(), ids.len());
                Err(Error::data(&path, 0, 0, message))
            }
        }
    }

    fn row(&self, id: &[u8]) -> Option<usize> {
        self.rows.get(id).map(|row| *row as usize)
    }

    fn factors(&self, row: usize, rank: usize) -> &[f32] {
        &self.factors[row * rank..(row + 1) * rank]
    }
}

/// A model.
struct Factors {
    users: Side,
    items: Side,
    mean: f64,
    rank: usize,
}

impl Factors {
    fn load(model: &SavedModel) -> Result<Factors> {
        let rank = model.json("factors")?.as_u64().unwrap_or(0) as usize;
        let mut tensors = model.tensors()?;
        let mean: Vec<f64> = take(&mut tensors, "mean")?.values()?;
        Ok(Factors {
            users: Side::load(model, &mut tensors, "user", rank)?,
            items: Side::load(model, &mut tensors, "item", rank)?,
            mean: mean.first().copied().unwrap_or(0.0),
            rank,
        })
    }

    /// The rating of an item by a user. Without training ratings of one of them it is the mean and
    /// the bias that is known.
    fn rating(&self, user: Option<usize>, item: Option<usize>) -> f32 {
        let bias = |side: &Side, row: Option<usize>| row.map_or(0.0, |row| f64::from(side.biases[row]));
        let known = self.mean + bias(&self.users, user) + bias(&self.items, item);
        let (Some(user), Some(item)) = (user, item) else {
            return known as f32;
        };
        let p = self.users.factors(user, self.rank);
        let q = self.items.factors(item, self.rank);
        (known + f64::from(dot(p, q))) as f32
    }

    fn pairs(&self, flags: &PredictFlags, threads: usize, out: &mut (dyn Write + Send)) -> Result<()> {
        let mut predictions = Predictions::begin(out, "user,item,rating")?;
        read_id_lines(&flags.data(), threads, 2, &mut |user, item| {
            let rating = self.rating(self.users.row(user), self.items.row(item));
            predictions.fields(&[user, item], rating)
        })?;
        predictions.finish()
    }

    fn tops(&self, flags: &PredictFlags, threads: usize, top: usize, out: &mut (dyn Write + Send)) -> Result<()> {
        let mut predictions = Predictions::begin(out, "user,item,rating")?;
        if flags.data.is_empty() {
            for (row, user) in self.users.ids.iter().enumerate() {
                self.top(user, Some(row), top, &mut predictions)?;
            }
        } else {
            read_id_lines(&flags.data(), threads, 1, &mut |user, _| {
                let row = self.users.row(user);
                self.top(user, row, top, &mut predictions)
            })?;
        }
        predictions.finish()
    }

    /// The best items of a user, the best first; of equal ones the first in the model.
    fn top(&self, user: &[u8], row: Option<usize>, top: usize, predictions: &mut Predictions) -> Result<()> {
        if predictions.is_closed() {
            return Ok(());
        }
        let items = 0..self.items.ids.len();
        let mut rated: Vec<(f32, usize)> = items.map(|item| (self.rating(row, Some(item)), item)).collect();
        let better = |a: &(f32, usize), b: &(f32, usize)| -> Ordering { b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)) };
        if top < rated.len() {
            rated.select_nth_unstable_by(top, better);
            rated.truncate(top);
        }
        rated.sort_unstable_by(better);
        rated
            .into_iter()
            .try_for_each(|(rating, item)| predictions.fields(&[user, &self.items.ids[item]], rating))
    }
}

/// Σ p q, eight sums side by side.
fn dot(p: &[f32], q: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let ((p, p_rest), (q, q_rest)) = (p.as_chunks::<8>(), q.as_chunks::<8>());
    for (p, q) in p.iter().zip(q) {
        for lane in 0..8 {
            sums[lane] += p[lane] * q[lane];
        }
    }
    let rest: f32 = p_rest.iter().zip(q_rest).map(|(p, q)| p * q).sum();
    sums.iter().sum::<f32>() + rest
}
