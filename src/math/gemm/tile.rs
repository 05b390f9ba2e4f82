//! The innermost loops: one tile of a product in registers.
#![allow(unsafe_code)]

use super::LANES;
use super::PANEL;
use super::lanes::Lanes;

/// A strip of a product: `rows` × up to 64 columns, summed over `depth` terms.
///
/// Term t of row r is `left[r · left_row + t · left_column] · right[64 t ..]`.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub(super) left: *const f32,
    pub(super) left_row: usize,
    pub(super) left_column: usize,
    /// 64-aligned.
    pub(super) right: *const f32,
    pub(super) depth: usize,
    pub(super) rows: usize,
    /// Sixteens of columns: 1 to 4.
    pub(super) columns: usize,
    /// 64-aligned.
    pub(super) out: *mut f32,
    /// A multiple of 16.
    pub(super) out_row: usize,
    /// Adds to what is there.
    pub(super) add: bool,
}

/// Computes a strip tile by tile; after each tile `done` gets its first row and number of rows.
///
/// # Safety
/// The processor has what `V` needs. All that the strip names is readable: `left` for every row and
/// term, 64 floats of `right` for every term; and `out` is writable for every row.
#[inline(always)]
pub(super) unsafe fn strip<V: Lanes>(strip: &Strip, mut done: impl FnMut(usize, usize)) {
    let mut row = 0;
    while row < strip.rows {
        let rows = (strip.rows - row).min(V::ROWS);
        let mut column = 0;
        while column < strip.columns {
            let columns = (strip.columns - column).min(V::COLUMNS);
            // SAFETY: the tile lies within the strip, whose contract is the caller's.
            unsafe {
                let tile = Strip {
                    left: strip.left.add(row * strip.left_row),
                    right: strip.right.add(column * LANES),
                    out: strip.out.add(row * strip.out_row + column * LANES),
                    ..*strip
                };
                by_size::<V>(rows, columns, &tile);
            }
            column += columns;
        }
        done(row, rows);
        row += rows;
    }
}

macro_rules! sizes {
    ($rows:expr, $columns:expr, $tile:expr, $($m:literal)*) => {
        match ($rows, $columns) {
            $(
                ($m, 1) => tile::<V, $m, 1>($tile),
                ($m, 2) => tile::<V, $m, 2>($tile),
                ($m, 3) => tile::<V, $m, 3>($tile),
                ($m, 4) => tile::<V, $m, 4>($tile),
            )*
            _ => unreachable!("a tile has 1 to 6 rows and 1 to 4 sixteens of columns"),
        }
    };
}

/// # Safety
/// See [`strip`].
#[inline(always)]
unsafe fn by_size<V: Lanes>(rows: usize, columns: usize, of: &Strip) {
    // SAFETY: the caller's contract.
    unsafe {
        if V::COLUMNS == 1 {
            match rows {
                1 => tile::<V, 1, 1>(of),
                2 => tile::<V, 2, 1>(of),
                3 => tile::<V, 3, 1>(of),
                4 => tile::<V, 4, 1>(of),
                5 => tile::<V, 5, 1>(of),
                _ => tile::<V, 6, 1>(of),
            }
        } else {
            sizes!(rows, columns, of, 1 2 3 4 5 6)
        }
    }
}

/// # Safety
/// See [`strip`].
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "only plain loops are unrolled into registers"
)]
unsafe fn tile<V: Lanes, const M: usize, const N: usize>(of: &Strip) {
    // SAFETY: the caller's contract; pointers stay within what it names, but for prefetches.
    unsafe {
        let mut sums = [[V::zero(); N]; M];
        let (mut left, mut right) = (of.left, of.right);
        // The next tile's rows of a left side that lies row by row.
        let ahead = M * of.left_row;
        let prefetches = of.left_column == 1;
        for t in 0..of.depth {
            if prefetches && t % LANES == 0 {
                for m in 0..M {
                    V::prefetch(left.wrapping_add(ahead + m * of.left_row));
                }
            }
            let mut columns = [V::zero(); N];
            for n in 0..N {
                columns[n] = V::load(right.add(n * LANES));
            }
            for m in 0..M {
                let value = V::splat(left.add(m * of.left_row));
                for n in 0..N {
                    sums[m][n] = sums[m][n].add_product(value, columns[n]);
                }
            }
            left = left.wrapping_add(of.left_column);
            right = right.wrapping_add(PANEL);
        }
        for m in 0..M {
            for n in 0..N {
                let to = of.out.add(m * of.out_row + n * LANES);
                let sum = sums[m][n];
                let sum = if of.add { V::load(to).plus(sum) } else { sum };
                sum.store(to);
            }
        }
    }
}
