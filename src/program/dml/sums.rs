//! One worker's share of a record.

use crate::error::{Error, Result};
use crate::wire::message::Portable;

/// What was measured since the last record.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sums {
    /// Squared distances of similar pairs, and how many pairs.
    pub(super) similar: (f64, u64),
    /// What dissimilar pairs lack to the margin, and how many pairs.
    pub(super) dissimilar: (f64, u64),
    /// Dissimilar pairs nearer than the margin.
    pub(super) violations: u64,
    /// Test examples whose class their neighbours told, and all of them.
    pub(super) right: u64,
    pub(super) tested: u64,
    /// Areas under the curve of test pairs, and of how many workers.
    pub(super) areas: (f64, u64),
}

impl Sums {
    /// The sums of all workers, in worker order.
    pub(super) fn fold(all: &[Sums]) -> Sums {
        let mut sums = Sums::default();
        for one in all {
            sums.add(one);
        }
        sums
    }

    pub(super) fn add(&mut self, other: &Sums) {
        let pair = |to: &mut (f64, u64), from: (f64, u64)| {
            to.0 += from.0;
            to.1 += from.1;
        };
        pair(&mut self.similar, other.similar);
        pair(&mut self.dissimilar, other.dissimilar);
        pair(&mut self.areas, other.areas);
        self.violations += other.violations;
        self.right += other.right;
        self.tested += other.tested;
    }
}

impl Portable for Sums {
    fn encode(&self, out: &mut Vec<u8>) {
        for (sum, count) in [self.similar, self.dissimilar, self.areas] {
            out.extend(sum.to_le_bytes());
            out.extend(count.to_le_bytes());
        }
        for count in [self.violations, self.right, self.tested] {
            out.extend(count.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Sums> {
        let (words, rest) = bytes.as_chunks::<8>();
        let ([a, b, c, d, e, f, g, h, i], []) = (words, rest) else {
            return Err(Error::Other("a share of the objective of another length".into()));
        };
        let pair = |sum: &[u8; 8], count: &[u8; 8]| (f64::from_le_bytes(*sum), u64::from_le_bytes(*count));
        Ok(Sums {
            similar: pair(a, b),
            dissimilar: pair(c, d),
            areas: pair(e, f),
            violations: u64::from_le_bytes(*g),
            right: u64::from_le_bytes(*h),
            tested: u64::from_le_bytes(*i),
        })
    }
}
