//! What workers tell rank 0 after a clock, and what it tells them before the next one.

use crate::error::{Error, Result};
use crate::wire::message::Portable;

/// A column that could be worth working on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) column: u32,
    /// |product with the pull|, scaled, with the bound of its error.
    pub(super) product: f32,
    /// What it promises; larger is better.
    pub(super) worth: f32,
}

/// What a worker found when it went through its columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    /// The largest |product| that is above the threshold, exactly; 0 if there is none.
    pub(super) largest: f64,
    /// The most promising columns, best first.
    pub(super) candidates: Vec<Candidate>,
    /// Columns that are not screened out.
    pub(super) live: u64,
    /// Columns that were looked at.
    pub(super) touched: u64,
}

/// How the fit of all workers changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// To these fitted values.
    Fitted(Vec<f64>),
    /// By these coefficients, for features as they are, and by this shift.
    Steps(Vec<(u32, f64)>, f64),
}

/// What every worker must know before the next clock.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// Which samples count: 0 all, k all but those of part k. A new number begins anew.
    pub(super) fold: u32,
    /// Counts the values of λ: columns come to life again with a new one.
    pub(super) problem: u64,
    /// Columns with |product| up to this need not be looked at.
    pub(super) threshold: f64,
    /// λ₁ and λ₂ of the new problem.
    pub(super) l1: f64,
    pub(super) l2: f64,
    /// The feasible part of the pull before the change, and the radius around it in which the
    /// solution of the new problem lies.
    pub(super) part: f64,
    pub(super) radius: f64,
    /// Number of candidates wanted from each worker.
    pub(super) wanted: u32,
    pub(super) change: Change,
    /// The columns that rank 0 looks after itself.
    pub(super) held: Vec<u32>,
}

/// Bytes of a message, read from the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    fn word(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn real(&mut self) -> Result<f64> {
        self.take().map(f64::from_le_bytes)
    }

    /// A number of things of `bytes` bytes each, as many as there can be.
    fn count(&mut self, bytes: usize) -> Result<usize> {
        let count = self.long()?;
        let fits = count <= (self.0.len() / bytes) as u64;
        fits.then_some(count as usize).ok_or_else(malformed)
    }

    fn end(self) -> Result<()> {
        self.0.is_empty().then_some(()).ok_or_else(malformed)
    }
}

fn malformed() -> Error {
    Error::Other("a peer sent columns or steps that are none".into())
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend((count as u64).to_le_bytes());
}

impl Portable for Found {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.largest.to_le_bytes());
        for count in [self.live, self.touched] {
            out.extend(count.to_le_bytes());
        }
        put_count(out, self.candidates.len());
        for candidate in &self.candidates {
            out.extend(candidate.column.to_le_bytes());
            out.extend(candidate.product.to_le_bytes());
            out.extend(candidate.worth.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Found> {
        let mut bytes = Bytes(bytes);
        let largest = bytes.real()?;
        let [live, touched] = [bytes.long()?, bytes.long()?];
        let mut candidates = Vec::new();
        for _ in 0..bytes.count(12)? {
            candidates.push(Candidate {
                column: bytes.word()?,
                product: bytes.take().map(f32::from_le_bytes)?,
                worth: bytes.take().map(f32::from_le_bytes)?,
            });
        }
        bytes.end()?;
        Ok(Found {
            largest,
            candidates,
            live,
            touched,
        })
    }
}

impl Portable for Plan {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.fold.to_le_bytes());
        out.extend(self.problem.to_le_bytes());
        for real in [self.threshold, self.l1, self.l2, self.part, self.radius] {
            out.extend(real.to_le_bytes());
        }
        out.extend(self.wanted.to_le_bytes());
        match &self.change {
            Change::Fitted(values) => {
                out.push(0);
                put_count(out, values.len());
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
            Change::Steps(steps, shift) => {
                out.push(1);
                put_count(out, steps.len());
                for (column, step) in steps {
                    out.extend(column.to_le_bytes());
                    out.extend(step.to_le_bytes());
                }
                out.extend(shift.to_le_bytes());
            }
        }
        put_count(out, self.held.len());
        self.held.iter().for_each(|column| out.extend(column.to_le_bytes()));
    }

    fn decode(bytes: &[u8]) -> Result<Plan> {
        let mut bytes = Bytes(bytes);
        let (fold, problem) = (bytes.word()?, bytes.long()?);
        let [threshold, l1, l2] = [bytes.real()?, bytes.real()?, bytes.real()?];
        let [part, radius] = [bytes.real()?, bytes.real()?];
        let wanted = bytes.word()?;
        let change = match bytes.take::<1>()? {
            [0] => {
                let count = bytes.count(8)?;
                Change::Fitted((0..count).map(|_| bytes.real()).collect::<Result<_>>()?)
            }
            [1] => {
                let count = bytes.count(12)?;
                let mut step = |_| Ok((bytes.word()?, bytes.real()?));
                let steps = (0..count).map(&mut step).collect::<Result<_>>()?;
                Change::Steps(steps, bytes.real()?)
            }
            _ => return Err(malformed()),
        };
        let count = bytes.count(4)?;
        let held = (0..count).map(|_| bytes.word()).collect::<Result<_>>()?;
        bytes.end()?;
        Ok(Plan {
            fold,
            problem,
            threshold,
            l1,
            l2,
            part,
            radius,
            wanted,
            change,
            held,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<T: Portable>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    fn comes_back<T: Portable + PartialEq + std::fmt::Debug>(value: &T) {
        let bytes = bytes(value);
        assert_eq!(&T::decode(&bytes).unwrap(), value);
        for end in 0..bytes.len() {
            assert!(T::decode(&bytes[..end]).is_err(), "{end} of {}", bytes.len());
        }
        assert!(T::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn messages_survive_and_what_is_cut_is_refused() {
        let candidate = Candidate {
            column: 7,
            product: 0.25,
            worth: -3.5,
        };
        comes_back(&Found {
            largest: 1.5,
            candidates: vec![candidate, Candidate { column: 9, ..candidate }],
            live: 3,
            touched: 2,
        });
        for change in [
            Change::Fitted(vec![0.5, -0.5]),
            Change::Steps(vec![(3, 1.0), (u32::MAX, -2.0)], 0.125),
        ] {
            comes_back(&Plan {
                fold: 1,
                problem: 12,
                threshold: 0.1,
                l1: 0.2,
                l2: 0.0,
                part: 0.9,
                radius: f64::INFINITY,
                wanted: 256,
                change,
                held: vec![1, 2, 3],
            });
        }
    }
}
