//! Items that travel together, in the bytes in which they do.

use crate::error::{Error, Result};
use crate::math::factors::{Factors, Head};
use crate::wire::message::Portable;

/// The factors and biases of the items of a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block(pub(super) Factors);

/// Numbers before the rows: rows and rank, u32 each.
const LEAD_BYTES: usize = 8;
/// Floats of a head.
const HEAD_FLOATS: usize = 2;

/// Appends rows, each with its head before it.
pub(super) fn push_rows(out: &mut Vec<u8>, factors: &Factors, rows: usize) {
    out.reserve(rows * (factors.rank() + HEAD_FLOATS) * size_of::<f32>());
    for (row, head) in factors.heads().iter().enumerate().take(rows) {
        out.extend(head.bias.to_le_bytes());
        out.extend(head.curvature.to_le_bytes());
        factors
            .row(row)
            .iter()
            .for_each(|factor| out.extend(factor.to_le_bytes()));
    }
}

/// Reads what [`push_rows`] wrote into the first rows of `factors`; None if the length is wrong or
/// a number is not finite.
pub(super) fn read_rows(bytes: &[u8], factors: &mut Factors, rows: usize) -> Option<()> {
    let floats = factors.rank() + HEAD_FLOATS;
    let (values, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || values.len() != rows * floats {
        return None;
    }
    for (row, values) in values.chunks_exact(floats).enumerate() {
        let (head, values) = values.split_at(HEAD_FLOATS);
        let [bias, curvature] = [head[0], head[1]].map(f32::from_le_bytes);
        factors.heads_mut()[row] = Head { bias, curvature };
        for (factor, value) in factors.row_mut(row).iter_mut().zip(values) {
            *factor = f32::from_le_bytes(*value);
        }
    }
    Some(())
}

impl Portable for Block {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(bytes: &[u8]) -> Result<Block> {
        Factors::decode(bytes).map(Block)
    }
}

impl Portable for Factors {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend((self.len() as u32).to_le_bytes());
        out.extend((self.rank() as u32).to_le_bytes());
        push_rows(out, self, self.len());
    }

    fn decode(bytes: &[u8]) -> Result<Factors> {
        let malformed = || Error::Other("a peer sent rows of a model that are none".into());
        let (lead, rows) = bytes
            .split_first_chunk::<LEAD_BYTES>()
            .ok_or_else(malformed)?;
        let number = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&lead[at..at + 4]);
            u32::from_le_bytes(bytes) as usize
        };
        let (items, rank) = (number(0), number(4));
        // Before memory is spent on what the lead states.
        let stated = (rank + HEAD_FLOATS).checked_mul(items * size_of::<f32>());
        if rank == 0 || stated != Some(rows.len()) {
            return Err(malformed());
        }
        let mut factors = Factors::zeros(items, rank);
        read_rows(rows, &mut factors, items).ok_or_else(malformed)?;
        Ok(factors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_survive_the_wire_and_nonsense_does_not() {
        let mut factors = Factors::zeros(3, 20);
        for row in 0..3 {
            let fill = |at: usize| (row * 20 + at) as f32;
            (0..20).for_each(|at| factors.row_mut(row)[at] = fill(at));
            factors.heads_mut()[row] = Head {
                bias: -1.5,
                curvature: row as f32,
            };
        }
        let block = Block(factors);
        let mut bytes = vec![];
        block.encode(&mut bytes);
        assert_eq!(bytes.len(), 8 + 3 * 22 * 4);
        assert_eq!(Block::decode(&bytes).unwrap(), block);
        for cut in 0..bytes.len() {
            assert!(Block::decode(&bytes[..cut]).is_err());
        }
        bytes.push(0);
        assert!(Block::decode(&bytes).is_err());
        assert!(Block::decode(&[0xFF; 8]).is_err());
    }
}
