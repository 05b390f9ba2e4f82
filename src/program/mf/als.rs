//! Alternating least squares: all users given all items, then all items given all users, exactly.
//!
//! Given the items, the objective falls apart into one least-squares problem for each user, of k
//! factors and a bias, and the other way round (Zhou et al., AAIM 2008). A pass is two halves; after
//! each the rows that have changed go around all workers (`gather.rs`). With `--nonnegative` the
//! same normal equations are solved by coordinate descent from the row as it was.
//!
//! **`--implicit`** (Hu, Koren & Volinsky, ICDM 2008): what was seen counts as liked, r times as
//! sure as A allows, and everything else as not liked, with confidence 1:
//!
//! ```text
//! minimise  Σ_ui c_ui (y_ui − p_u·q_i)² + λ (Σ_u ‖p_u‖² + Σ_i ‖q_i‖²)      over all pairs u, i
//! y_ui = 1 where r_ui > 0, else 0        c_ui = 1 + A r_ui
//! ```
//!
//! There are no biases, and λ does not count ratings. Ratings of one pair add up. The sum over all
//! pairs is that of xᵀ (QᵀQ) x, computed once for all users; solutions are exact (no conjugate
//! gradients), so that the objective never increases. `train_rmse` and `test_rmse` are of y over the
//! pairs that were seen.

use std::sync::Arc;

use super::block::Block;
use super::gather::Ring;
use super::part::Users;
use super::ratings::Ordered;
use super::{ITEMS, Setup, USERS};
use crate::engine::Worker;
use crate::error::{Error, Result};
use crate::math::factors::{Factors, Head, Kernel, Lanes, Normal};

/// A worker's items, and those of all.
#[derive(Debug)]
pub(super) struct Gathered {
    /// This worker's items: a block of the partition.
    pub(super) own: Arc<Block>,
    /// Everybody's, block by block; empty until the first pass.
    pub(super) all: Vec<Arc<Block>>,
    /// The ratings of this worker's items: rows are the items, blocks are the workers' users.
    pub(super) ratings: Ordered,
    rings: [Ring; 2],
}

impl Gathered {
    /// Items that nobody else has seen yet.
    pub(super) fn new(own: Block, ratings: Ordered) -> Gathered {
        Gathered {
            own: Arc::new(own),
            all: Vec::new(),
            ratings,
            rings: [Ring::new(ITEMS), Ring::new(USERS)],
        }
    }

    /// One half of a pass: the users' if `half` is even, the items' if it is odd.
    pub(super) fn push(
        &mut self,
        setup: &Setup,
        users: &mut Users,
        half: u64,
        worker: &mut Worker,
    ) -> Result<()> {
        let kernel = users.kernel;
        if half.is_multiple_of(2) {
            if self.all.is_empty() {
                self.gather_items(setup, worker)?;
            }
            let others: Vec<&Factors> = self.all.iter().map(|block| &block.0).collect();
            let own = Arc::make_mut(&mut users.factors);
            solve(setup, kernel, own, &users.train, &others);
            return Ok(());
        }
        let own = Arc::clone(&users.factors);
        let others = self.rings[1].gather(own, worker)?;
        let fits = |at: usize| setup.by_worker.block(at as u32).len() + 1;
        check(&others.iter().map(|f| &**f).collect::<Vec<_>>(), fits, setup)?;
        // Nobody else needs the old items any more, so that they need not be copied.
        self.all.clear();
        let own = &mut Arc::make_mut(&mut self.own).0;
        let views: Vec<&Factors> = others.iter().map(|f| &**f).collect();
        solve(setup, kernel, own, &self.ratings, &views);
        drop(views);
        drop(others);
        self.gather_items(setup, worker)
    }

    fn gather_items(&mut self, setup: &Setup, worker: &mut Worker) -> Result<()> {
        self.all = self.rings[0].gather(Arc::clone(&self.own), worker)?;
        let fits = |at: usize| setup.by_block.block(at as u32).len();
        check(&self.all.iter().map(|b| &b.0).collect::<Vec<_>>(), fits, setup)
    }

    /// The worker's share of the objective.
    pub(super) fn evaluate(&self, setup: &Setup, users: &mut Users) {
        users.begin_sums(setup);
        for (block, items) in (0..).zip(&self.all) {
            users.measure(block, &items.0);
        }
        if let Some(confidence) = setup.confidence {
            self.measure_implicit(confidence as f32, users);
        }
        users.penalise(setup, users.worker, &self.own.0, 0);
    }

    /// The sum over all pairs of these users, and the errors of those that were seen.
    fn measure_implicit(&self, confidence: f32, users: &mut Users) {
        let all: Vec<&Factors> = self.all.iter().map(|block| &block.0).collect();
        let sums = &mut users.sums;
        (sums.whole, sums.train, sums.pairs) = (0.0, 0.0, 0.0);
        let factors = &users.factors;
        let normal = all_products(users.kernel, factors.rank(), &all);
        sums.whole = (0..factors.len()).map(|row| normal.quadratic(factors.row(row))).sum();
        users.train.by_row(|row, segments| {
            for (block, ratings) in segments {
                for rating in *ratings {
                    let other = all[*block].row(rating.row as usize);
                    let pairs = factors.row(row).iter().zip(other);
                    let seen: f64 = pairs.map(|(p, q)| f64::from(*p) * f64::from(*q)).sum();
                    let liked = f64::from(u8::from(rating.value > 0.0));
                    let error = (liked - seen).powi(2);
                    let weight = 1.0 + f64::from(confidence * rating.value);
                    sums.whole += weight * error - seen * seen;
                    sums.train += error;
                    sums.pairs += 1.0;
                }
            }
        });
    }
}

/// What a peer sent must fit the partition.
fn check(all: &[&Factors], rows: impl Fn(usize) -> usize, setup: &Setup) -> Result<()> {
    let fits = |(at, factors): (usize, &&Factors)| {
        (factors.len(), factors.rank()) == (rows(at), setup.rank)
    };
    match all.iter().enumerate().all(fits) {
        true => Ok(()),
        false => Err(Error::Other("a peer sent rows of another model".into())),
    }
}

/// Σ q qᵀ over all rows.
fn all_products(kernel: Kernel, rank: usize, all: &[&Factors]) -> Normal {
    let mut normal = Normal::new(kernel, rank);
    normal.begin(None);
    all.iter().for_each(|factors| normal.add_all(factors));
    normal
}

/// Solves for every row of `own` that has ratings, given the rows of `others`.
fn solve(setup: &Setup, kernel: Kernel, own: &mut Factors, ratings: &Ordered, others: &[&Factors]) {
    let mut normal = Normal::new(kernel, setup.rank);
    let base: Option<Vec<Lanes>> = setup
        .confidence
        .map(|_| all_products(kernel, setup.rank, others).gram().to_vec());
    let confidence = setup.confidence.map(|confidence| confidence as f32);
    ratings.by_row(|row, segments| {
        normal.begin(base.as_deref());
        let mut number = 0;
        for (block, ratings) in segments {
            number += ratings.len();
            match confidence {
                None => normal.add(others[*block], ratings, |value, head: Head| {
                    (1.0, value - head.bias)
                }),
                Some(confidence) => normal.add(others[*block], ratings, |value, _| {
                    let more = confidence * value;
                    // The target times the weight is c y; without a rating both are 0.
                    if more > 0.0 { (more, (1.0 + more) / more) } else { (0.0, 0.0) }
                }),
            }
        }
        let weight = setup.weight(number as u64) as f32;
        let ridge = setup.step.regularization * weight;
        let bias_ridge = setup.biased.then_some(setup.step.bias_regularization * weight);
        let bias = own.heads()[row].bias;
        let factors = own.row_mut(row);
        let bias = match setup.step.nonnegative {
            true => normal.solve_nonnegative(ridge, bias_ridge, factors, bias),
            false => normal.solve(ridge, bias_ridge, factors),
        };
        own.heads_mut()[row].bias = bias;
    });
}
