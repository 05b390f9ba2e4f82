//! The objective, from sums that workers add up.

use super::Setup;
use crate::engine::Objective;
use crate::error::{Error, Result};
use crate::wire::message::Portable;

/// One worker's share, in units of the scaled ratings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    /// What the objective has besides the penalty: Σ e² over training ratings, or with `--implicit`
    /// the weighted sum over all pairs.
    pub(super) whole: f64,
    /// Σ e² over training ratings.
    pub(super) train: f64,
    /// How many they are.
    pub(super) pairs: f64,
    /// Σ e² over test ratings.
    pub(super) test: f64,
    /// λ Σ n (‖row‖² + bias²) over users and items.
    pub(super) penalty: f64,
}

impl Sums {
    /// All workers' shares.
    pub(super) fn fold(all: &[Sums]) -> Sums {
        all.iter().fold(Sums::default(), |sum, one| Sums {
            whole: sum.whole + one.whole,
            train: sum.train + one.train,
            pairs: sum.pairs + one.pairs,
            test: sum.test + one.test,
            penalty: sum.penalty + one.penalty,
        })
    }
}

impl Portable for Sums {
    fn encode(&self, out: &mut Vec<u8>) {
        let Sums {
            whole,
            train,
            pairs,
            test,
            penalty,
        } = self;
        [whole, train, pairs, test, penalty]
            .iter()
            .for_each(|sum| out.extend(sum.to_le_bytes()));
    }

    fn decode(bytes: &[u8]) -> Result<Sums> {
        match bytes.as_chunks::<8>() {
            ([whole, train, pairs, test, penalty], []) => Ok(Sums {
                whole: f64::from_le_bytes(*whole),
                train: f64::from_le_bytes(*train),
                pairs: f64::from_le_bytes(*pairs),
                test: f64::from_le_bytes(*test),
                penalty: f64::from_le_bytes(*penalty),
            }),
            _ => Err(Error::Other("a peer sent sums that are none".into())),
        }
    }
}

impl Setup {
    /// The objective in units of the ratings as they were read.
    pub(super) fn objective(&self, sums: &Sums) -> Objective {
        let square = self.scale * self.scale;
        let rmse =
            |sum: f64, number: f64| (number > 0.0).then(|| (square * sum / number).sqrt());
        Objective {
            value: square * (sums.whole + sums.penalty),
            columns: vec![rmse(sums.train, sums.pairs), rmse(sums.test, self.test as f64)],
        }
    }
}
