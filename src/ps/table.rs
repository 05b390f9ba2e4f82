//! What a table is, what its elements are, and where its rows live.

use std::any::Any;
use std::fmt;

use crate::wire::message::{Elements, Rank};
use crate::wire::{bf16, varint};

/// A table as a program declares it. Its number is its position in the list of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// The name used in messages to the user and in checkpoints.
    pub name: &'static str,
    /// How it is held.
    pub kind: TableKind,
}

/// The two ways to hold a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Rows live at a home and are cached by readers under the staleness bound. All elements start
    /// at zero.
    Shared {
        /// Number of rows.
        rows: u64,
        /// Elements per row.
        width: u32,
        /// Element type.
        element: ElementType,
        /// Sparse rows hold their non-zero elements alone.
        sparse: bool,
    },
    /// Blocks are owned by one worker at a time and relocated to the next.
    Exclusive {
        /// Number of blocks.
        blocks: u32,
    },
}

/// The type of a table's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
    /// 32 bits that mean something to the program alone, as long as they travel: added with wrapping,
    /// so that the difference between an old and a new value makes the one the other.
    U32,
}

/// A number that tables hold: `f32`, `f64`, `i32`, `i64` or `u32`.
///
/// Updates are added. Integers are added with wrapping on overflow, whatever the build: the sum of
/// all updates is then the same in any order, and right whenever it fits.
pub trait Element:
    Copy + Default + PartialEq + Send + Sync + fmt::Debug + Any + sealed::Sealed
{
    /// The type's name among [`ElementType`].
    const TYPE: ElementType;
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self − other`.
    fn minus(self, other: Self) -> Self;
    /// The nearest value that [`crate::ps::Wire::Bf16`] can carry; of types other than `f32` the
    /// value itself.
    fn rounded(self) -> Self;
    /// The absolute value.
    fn magnitude(self) -> f64;
    /// Bytes on the wire.
    fn wire_bytes(self) -> usize;
    /// A batch of these elements.
    fn into_elements(elements: Vec<Self>) -> Elements;
    /// The batch's elements, if they are of this type.
    fn of(elements: &Elements) -> Option<&[Self]>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! element {
    ($type:ty, $variant:ident $(or $other:ident)?, |$a:ident, $b:ident| ($plus:expr, $minus:expr),
     |$of:ident| ($bytes:expr, $round:expr)) => {
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const TYPE: ElementType = ElementType::$variant;
            #[inline]
            fn plus(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $plus
            }
            #[inline]
            fn minus(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $minus
            }
            #[inline]
            fn rounded(self) -> Self {
                let $of = self;
                $round
            }
            #[inline]
            fn magnitude(self) -> f64 {
                (self as f64).abs()
            }
            #[inline]
            #[allow(unused_variables, reason = "floats are all of one length")]
            fn wire_bytes(self) -> usize {
                let $of = self;
                $bytes
            }
            fn into_elements(elements: Vec<Self>) -> Elements {
                Elements::$variant(elements)
            }
            fn of(elements: &Elements) -> Option<&[Self]> {
                match elements {
                    Elements::$variant(elements) $(| Elements::$other(elements))? => Some(elements),
                    _ => None,
                }
            }
        }
    };
}

element!(f32, F32 or Bf16, |a, b| (a + b, a - b), |x| (4, bf16::rounded(x)));
element!(f64, F64, |a, b| (a + b, a - b), |x| (8, x));
element!(
    i32,
    I32,
    |a, b| (a.wrapping_add(b), a.wrapping_sub(b)),
    |x| (varint::signed_bytes(i64::from(x)), x)
);
element!(
    i64,
    I64,
    |a, b| (a.wrapping_add(b), a.wrapping_sub(b)),
    |x| (varint::signed_bytes(x), x)
);
element!(
    u32,
    U32,
    |a, b| (a.wrapping_add(b), a.wrapping_sub(b)),
    |x| (4, x)
);

/// `to[i] += from[i]`.
#[inline]
pub(super) fn add<T: Element>(to: &mut [T], from: &[T]) {
    for (a, b) in to.iter_mut().zip(from) {
        *a = a.plus(*b);
    }
}

/// Where rows live: row `r` has its home on rank `r mod ranks`. Both sides of every exchange
/// compute it, so nobody has to be asked. Consecutive rows alternate between ranks and, within a
/// rank, between its shards, which spreads sorted (say, by frequency) rows evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    ranks: u64,
    /// Of a number of ranks that is a power of two, its exponent: most are, and a division for
    /// every row would be seen.
    rank_bits: Option<u32>,
    shard_bits: u32,
}

/// A row's place: its home rank, and the shard and slot there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// The rank.
    pub rank: Rank,
    /// The shard on that rank.
    pub shard: usize,
    /// The position within the shard.
    pub slot: usize,
}

impl Partition {
    /// Rows over `ranks` ranks with `shards` shards each, rounded up to a power of two.
    pub fn new(ranks: u32, shards: u32) -> Partition {
        let ranks = ranks.max(1);
        let power = ranks.is_power_of_two();
        Partition {
            ranks: u64::from(ranks),
            rank_bits: power.then(|| ranks.trailing_zeros()),
            shard_bits: shards
                .clamp(1, 1 << 16)
                .next_power_of_two()
                .trailing_zeros(),
        }
    }

    /// Shards on each rank.
    pub fn shards(&self) -> usize {
        1 << self.shard_bits
    }

    /// Where `row` lives.
    #[inline]
    pub fn home(&self, row: u64) -> Home {
        let (rank, index) = match self.rank_bits {
            Some(bits) => (row & (self.ranks - 1), row >> bits),
            None => (row % self.ranks, row / self.ranks),
        };
        Home {
            rank: rank as Rank,
            shard: (index & ((1 << self.shard_bits) - 1)) as usize,
            slot: (index >> self.shard_bits) as usize,
        }
    }

    /// The row that lives there; the inverse of [`Partition::home`].
    #[inline]
    pub fn row(&self, home: Home) -> u64 {
        (((home.slot as u64) << self.shard_bits) | home.shard as u64) * self.ranks
            + u64::from(home.rank)
    }

    /// How many of `rows` rows live in shard `shard` of `rank`.
    pub fn slots(&self, rows: u64, rank: Rank, shard: usize) -> usize {
        let on_rank = (rows + self.ranks - 1 - u64::from(rank)) / self.ranks;
        let shards = 1u64 << self.shard_bits;
        ((on_rank + shards - 1 - shard as u64) >> self.shard_bits) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_and_row_are_inverse_and_slots_are_counted_exactly() {
        let sizes = [
            (1, 1, 5u64),
            (1, 8, 30),
            (3, 4, 100),
            (5, 16, 7),
            (2, 3, 0),
            (4, 2, 99),
        ];
        for (ranks, shards, rows) in sizes {
            let partition = Partition::new(ranks, shards);
            let mut counted = vec![vec![0usize; partition.shards()]; ranks as usize];
            for row in 0..rows {
                let home = partition.home(row);
                assert_eq!(partition.row(home), row);
                let count = &mut counted[home.rank as usize][home.shard];
                assert_eq!(*count, home.slot, "slots are dense and ascending");
                *count += 1;
            }
            for (rank, counted) in counted.iter().enumerate() {
                for (shard, counted) in counted.iter().enumerate() {
                    assert_eq!(partition.slots(rows, rank as Rank, shard), *counted);
                }
            }
        }
    }
}
