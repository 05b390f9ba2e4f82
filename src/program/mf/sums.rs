//! The objective, from sums that workers add up.

use super::Setup;
use crate::engine::Objective;
use crate::error::{Error, Result};
use crate::wire::message::Portable;

/// One worker's share, in units of the scaled ratings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    /// Σ e² over training ratings.
    pub(super) train: f64,
    /// Σ e² over test ratings.
    pub(super) test: f64,
    /// λ Σ n (‖row‖² + bias²) over users and items.
    pub(super) penalty: f64,
}

impl Sums {
    /// All workers' shares.
    pub(super) fn fold(all: &[Sums]) -> Sums {
        all.iter().fold(Sums::default(), |sum, one| Sums {
            train: sum.train + one.train,
            test: sum.test + one.test,
            penalty: sum.penalty + one.penalty,
        })
    }
}

impl Portable for Sums {
    fn encode(&self, out: &mut Vec<u8>) {
        let Sums {
            train,
            test,
            penalty,
        } = self;
        [train, test, penalty]
            .iter()
            .for_each(|sum| out.extend(sum.to_le_bytes()));
    }

    fn decode(bytes: &[u8]) -> Result<Sums> {
        match bytes.as_chunks::<8>() {
            ([train, test, penalty], []) => Ok(Sums {
                train: f64::from_le_bytes(*train),
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
            |sum: f64, number: u64| (number > 0).then(|| (square * sum / number as f64).sqrt());
        Objective {
            value: square * (sums.train + sums.penalty),
            columns: vec![rmse(sums.train, self.train), rmse(sums.test, self.test)],
        }
    }
}
