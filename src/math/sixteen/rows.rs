//! Rows of counts, sixteen after sixteen, each in as few bytes as its largest count needs.

use super::{Count, LANES};

/// One cache line of counts.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Bytes([u8; BYTES]);

const BYTES: usize = 64;

/// How many bytes a row's counts have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// `u8`.
    One,
    /// `u16`.
    Two,
    /// `u32`.
    Four,
}

/// Rows of equally many counts. A row is named by where it begins and how wide its counts are.
#[derive(Debug, Clone)]
pub struct Rows {
    lines: Vec<Bytes>,
    /// How many lines the rows named so far take.
    end: usize,
    /// Sixteens in a row.
    sixteens: usize,
}

impl Rows {
    /// No rows yet, of at least `counts` counts each.
    pub fn new(counts: usize) -> Rows {
        Rows {
            lines: vec![],
            end: 0,
            sixteens: counts.div_ceil(LANES),
        }
    }

    /// Sixteens in a row.
    #[inline(always)]
    pub fn sixteens(&self) -> usize {
        self.sixteens
    }

    /// Names another row, of zeros whose counts stay up to `largest`: there after [`Rows::finish`]. None
    /// where names end.
    pub fn push(&mut self, largest: u32) -> Option<u32> {
        let (width, bytes) = match largest {
            0..=0xFF => (0, 1),
            0x100..=0xFFFF => (1, 2),
            _ => (2, 4),
        };
        let name = u32::try_from(self.end).ok()?.checked_mul(4)? | width;
        self.end += (self.sixteens * LANES * bytes).div_ceil(BYTES);
        Some(name)
    }

    /// No more rows come: makes them all at once, on large pages if there are any.
    pub fn finish(&mut self) {
        self.lines = Vec::with_capacity(self.end);
        crate::math::pages::prefer_large(self.lines.spare_capacity_mut());
        self.lines.resize(self.end, Bytes([0; BYTES]));
    }

    /// How wide the counts of the row `name` are.
    #[inline(always)]
    pub fn width(name: u32) -> Width {
        match name & 3 {
            0 => Width::One,
            1 => Width::Two,
            _ => Width::Four,
        }
    }

    /// The row `name`, of the width that its name says.
    ///
    /// # Panics
    /// If the row would reach beyond the last.
    #[inline(always)]
    pub fn row<C: Count>(&self, name: u32) -> &[[C; LANES]] {
        let start = self.start::<C>(name);
        // SAFETY: `start` has checked that so many bytes lie there; any bytes are unsigned counts
        // (`Count` is sealed to them), and lines are more aligned than those.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().add(start).cast(), self.sixteens) }
    }

    /// The row `name`, of the width that its name says.
    ///
    /// # Panics
    /// If the row would reach beyond the last.
    #[inline(always)]
    pub fn row_mut<C: Count>(&mut self, name: u32) -> &mut [[C; LANES]] {
        let start = self.start::<C>(name);
        // SAFETY: as in `row`; the lines are borrowed mutably.
        unsafe {
            let first = self.lines.as_mut_ptr().add(start);
            std::slice::from_raw_parts_mut(first.cast(), self.sixteens)
        }
    }

    /// Asks for the lines of the row `name`, because it is needed soon.
    #[inline(always)]
    pub fn touch(&self, name: u32) {
        let start = name as usize / 4;
        let bytes = (self.sixteens * LANES) << (name & 3);
        for line in 0..bytes.div_ceil(BYTES) {
            crate::math::prefetch::prefetch(&self.lines, start + line);
        }
    }

    #[inline(always)]
    fn start<C: Count>(&self, name: u32) -> usize {
        let start = name as usize / 4;
        let lines = (self.sixteens * LANES * size_of::<C>()).div_ceil(BYTES);
        assert!(start + lines <= self.lines.len(), "a row of these");
        start
    }
}
