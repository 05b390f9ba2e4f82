//! Sixteen numbers in plain Rust.

use super::{LANES, Line, Simd};

/// Needs nothing of the processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Simd for Portable {
    type Floats = [f32; LANES];

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; LANES] {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, line: &Line) -> [f32; LANES] {
        line.0
    }

    #[inline(always)]
    fn store(self, value: [f32; LANES], line: &mut Line) {
        line.0 = value;
    }

    #[inline(always)]
    fn add(self, left: [f32; LANES], right: [f32; LANES]) -> [f32; LANES] {
        std::array::from_fn(|i| left[i] + right[i])
    }

    #[inline(always)]
    fn mul(self, left: [f32; LANES], right: [f32; LANES]) -> [f32; LANES] {
        std::array::from_fn(|i| left[i] * right[i])
    }

    #[inline(always)]
    fn floats_of_u8(self, counts: &[u8; LANES]) -> [f32; LANES] {
        counts.map(f32::from)
    }

    #[inline(always)]
    fn floats_of_u16(self, counts: &[u16; LANES]) -> [f32; LANES] {
        counts.map(f32::from)
    }

    #[inline(always)]
    fn floats_of_u32(self, counts: &[u32; LANES]) -> [f32; LANES] {
        counts.map(|count| count as f32)
    }

    #[inline(always)]
    fn add_to_u8(self, counts: &mut [u8; LANES], lane: usize, by: i32) {
        counts[lane % LANES] = counts[lane % LANES].wrapping_add(by as u8);
    }

    #[inline(always)]
    fn add_to_u16(self, counts: &mut [u16; LANES], lane: usize, by: i32) {
        counts[lane % LANES] = counts[lane % LANES].wrapping_add(by as u16);
    }

    #[inline(always)]
    fn add_to_u32(self, counts: &mut [u32; LANES], lane: usize, by: i32) {
        counts[lane % LANES] = counts[lane % LANES].wrapping_add(by as u32);
    }

    #[inline(always)]
    fn prefix(self, mut value: [f32; LANES]) -> [f32; LANES] {
        for apart in [1, 2, 4, 8] {
            let before = value;
            for lane in apart..LANES {
                value[lane] = before[lane] + before[lane - apart];
            }
        }
        value
    }

    #[inline(always)]
    fn lane(self, value: [f32; LANES], lane: usize) -> f32 {
        value[lane % LANES]
    }

    #[inline(always)]
    fn at_most(self, value: [f32; LANES], bound: f32) -> u32 {
        (0..LANES).fold(0, |mask, lane| {
            mask | u32::from(value[lane] <= bound) << lane
        })
    }

    #[inline(always)]
    fn put(self, mut value: [f32; LANES], lane: usize, by: f32) -> [f32; LANES] {
        value[lane % LANES] = by;
        value
    }

    #[inline(always)]
    fn products(self, entries: &[u32], shift: u32, weights: &[f32], less: u32) -> [f32; LANES] {
        assert!(weights.len() >> (32 - shift) > 0, "a weight for every key");
        let mut products = [0.0; LANES];
        for (lane, (product, &entry)) in products.iter_mut().zip(entries).enumerate() {
            let count = (entry & ((1 << shift) - 1)).wrapping_sub(less >> lane & 1);
            *product = count as f32 * weights[(entry >> shift) as usize];
        }
        products
    }

    #[inline(always)]
    fn counts(self, entries: &[u32], shift: u32, less: u32) -> [f32; LANES] {
        let mut counts = [0.0; LANES];
        for (lane, (count, &entry)) in counts.iter_mut().zip(entries).enumerate() {
            *count = (entry & ((1 << shift) - 1)).wrapping_sub(less >> lane & 1) as f32;
        }
        counts
    }

    #[inline(always)]
    fn find(self, entries: &[u32], shift: u32, key: u32) -> u32 {
        let lanes = entries.iter().take(LANES).enumerate();
        lanes.fold(0, |mask, (lane, &entry)| {
            mask | u32::from(entry >> shift == key) << lane
        })
    }
}
