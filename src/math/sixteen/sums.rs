//! A discrete distribution whose weights change all the time, by a tree of sixteen children a node.
//!
//! As in [`crate::math::ftree`], each inner node is the sum of its children, *always computed from
//! them*, so the tree is a function of its leaves alone and cannot drift. Sixteen children are one
//! cache line and one register: a thousand leaves are three levels instead of ten.

use super::{Floats, LANES, Simd};

/// Weights over `0 .. n` with sums of sixteen, of 256, and so on.
#[derive(Debug, Clone)]
pub struct Sums {
    /// All levels, leaves first, each from the beginning of a line.
    nodes: Floats,
    /// The line where each level begins. The last level is one line.
    starts: Vec<usize>,
    total: f32,
}

impl Sums {
    /// `n` weights, all 0.
    pub fn new(n: usize) -> Sums {
        let (mut starts, mut lines, mut level) = (vec![], 0, n.max(1));
        loop {
            level = level.div_ceil(LANES);
            starts.push(lines);
            lines += level;
            if level == 1 {
                break;
            }
        }
        Sums {
            nodes: Floats::zeros(lines * LANES),
            starts,
            total: 0.0,
        }
    }

    /// The sum of all weights.
    #[inline(always)]
    pub fn total(&self) -> f32 {
        self.total
    }

    /// The weight of `leaf`.
    #[inline(always)]
    pub fn weight(&self, leaf: usize) -> f32 {
        self.nodes[leaf]
    }

    /// Changes one weight. O(log n).
    #[inline(always)]
    pub fn set<S: Simd>(&mut self, simd: S, leaf: usize, weight: f32) {
        let (mut place, mut sum) = (leaf, weight);
        let nodes = self.nodes.lines_mut();
        for &start in &self.starts {
            let line = &mut nodes[start + place / LANES];
            let values = simd.put(simd.load(line), place % LANES, sum);
            simd.store(values, line);
            sum = simd.lane(simd.prefix(values), LANES - 1);
            place /= LANES;
        }
        self.total = sum;
    }

    /// Changes one weight, and sums by the difference: they wait less for each other than in
    /// [`Sums::set`], and drift by roundings until they are set again.
    #[inline(always)]
    pub fn shift<S: Simd>(&mut self, simd: S, leaf: usize, weight: f32) {
        let by = weight - self.nodes[leaf];
        let mut place = leaf;
        let nodes = self.nodes.lines_mut();
        for (level, &start) in self.starts.iter().enumerate() {
            let line = &mut nodes[start + place / LANES];
            let values = simd.load(line);
            let values = if level == 0 {
                simd.put(values, place % LANES, weight)
            } else {
                let zeros = simd.splat(0.0);
                simd.add(values, simd.put(zeros, place % LANES, by))
            };
            simd.store(values, line);
            place /= LANES;
        }
        self.total += by;
    }

    /// Changes all weights: the leaves become what `fill` writes into them, lines of sixteen of
    /// which those from n on stay 0. O(n).
    #[inline(always)]
    pub fn fill<S: Simd>(&mut self, simd: S, fill: impl FnOnce(&mut [super::Line])) {
        let ends = self.starts.iter().skip(1).copied();
        let ends = ends.chain([self.nodes.lines().len()]);
        let nodes = self.nodes.lines_mut();
        let mut fill = Some(fill);
        for (&start, end) in self.starts.iter().zip(ends) {
            let (level, above) = nodes.split_at_mut(end);
            let level = &mut level[start..];
            if let Some(fill) = fill.take() {
                fill(level);
            }
            for (at, line) in level.iter().enumerate() {
                let sum = simd.lane(simd.prefix(simd.load(line)), LANES - 1);
                match above.get_mut(at / LANES) {
                    Some(parent) => parent.0[at % LANES] = sum,
                    None => self.total = sum,
                }
            }
        }
    }

    /// The leaf that `at`, from `0 .. total`, falls on, and how far into it. O(log n).
    #[inline(always)]
    pub fn find<S: Simd>(&self, simd: S, at: f64) -> (usize, f64) {
        let (mut place, mut at) = (0, at);
        let mut end = self.nodes.lines().len();
        for &start in self.starts.iter().rev() {
            // Sums of prefixes are rounded differently: one may lead past the last child.
            let line = (start + place).min(end - 1);
            end = start;
            let sums = simd.prefix(simd.load(&self.nodes.lines()[line]));
            let (lane, rest) = pick(simd, sums, at);
            place = place * LANES + lane;
            at = rest;
        }
        (place, at)
    }
}

/// The first lane whose prefix sum is above `at`, at most the last, and what is left of `at` there.
#[inline(always)]
pub fn pick<S: Simd>(simd: S, sums: S::Floats, at: f64) -> (usize, f64) {
    let mut below = simd.at_most(sums, at as f32);
    if below == ALL {
        // Rounded up to the end: the last lane that has a weight.
        below = simd.at_most(sums, simd.lane(sums, LANES - 1).next_down()) & (ALL >> 1);
    }
    let lane = below.count_ones() as usize;
    let before = if lane > 0 {
        simd.lane(sums, lane - 1)
    } else {
        0.0
    };
    (lane, at - f64::from(before))
}

/// The mask of all lanes.
const ALL: u32 = (1 << LANES) - 1;
