//! One worker's share of a record.

use super::loss::Measured;
use crate::error::{Error, Result};
use crate::wire::message::Portable;

/// What was measured since the last record.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sums {
    pub(super) train: Measured,
    pub(super) test: Measured,
}

impl Sums {
    /// The sums of all workers, in worker order.
    pub(super) fn fold(all: &[Sums]) -> Sums {
        let mut sums = Sums::default();
        for one in all {
            sums.train.add(&one.train);
            sums.test.add(&one.test);
        }
        sums
    }
}

impl Portable for Sums {
    fn encode(&self, out: &mut Vec<u8>) {
        for measured in [&self.train, &self.test] {
            out.extend(measured.loss.to_le_bytes());
            out.extend(measured.weight.to_le_bytes());
            out.extend(measured.right.to_le_bytes());
            out.extend(measured.count.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Sums> {
        let (words, rest) = bytes.as_chunks::<8>();
        let [a, b, c, d, e, f, g, h] = words else {
            return Err(Error::Other("a share of the objective of another length".into()));
        };
        if !rest.is_empty() {
            return Err(Error::Other("a share of the objective of another length".into()));
        }
        let measured = |loss: &[u8; 8], weight: &[u8; 8], right: &[u8; 8], count: &[u8; 8]| Measured {
            loss: f64::from_le_bytes(*loss),
            weight: f64::from_le_bytes(*weight),
            right: u64::from_le_bytes(*right),
            count: u64::from_le_bytes(*count),
        };
        Ok(Sums {
            train: measured(a, b, c, d),
            test: measured(e, f, g, h),
        })
    }
}
