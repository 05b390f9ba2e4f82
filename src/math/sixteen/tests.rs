//! The processor's registers against plain Rust, and both against arithmetic by hand.

use proptest::prelude::*;

use super::*;
use crate::math::rng::Rng;

/// Everything a kind of processor gives for some numbers, as bits.
struct All<'a> {
    lines: [Line; 2],
    entries: &'a [u32],
    shift: u32,
    weights: &'a [f32],
    lane: usize,
    bound: f32,
}

impl Kernel for All<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<u32> {
        let [left, right] = [simd.load(&self.lines[0]), simd.load(&self.lines[1])];
        let found = simd.find(self.entries, self.shift, 1);
        let mut out = vec![found, simd.at_most(left, self.bound)];
        let bytes = std::array::from_fn(|i| (i * 17) as u8);
        let words = std::array::from_fn(|i| (i * 4369) as u16);
        let longs = std::array::from_fn(|i| (i as u32).wrapping_mul(286_331_153));
        let (mut b, mut w, mut l) = (bytes, words, longs);
        u8::add(simd, &mut b, self.lane, -1);
        u16::add(simd, &mut w, self.lane, 1);
        u32::add(simd, &mut l, self.lane, -1);
        let values = [
            simd.splat(self.bound),
            simd.add(left, right),
            simd.mul(left, right),
            simd.prefix(left),
            simd.put(left, self.lane, self.bound),
            simd.products(self.entries, self.shift, self.weights, found),
            simd.counts(self.entries, self.shift, found),
            u8::floats(simd, &b),
            u16::floats(simd, &w),
            u32::floats(simd, &l),
        ];
        for value in values {
            let mut line = Line::default();
            simd.store(value, &mut line);
            out.extend(line.0.map(f32::to_bits));
            out.push(simd.lane(value, self.lane).to_bits());
        }
        out.extend(b.map(u32::from));
        out.extend(w.map(u32::from));
        out.extend(l);
        out
    }
}

proptest! {
    #[test]
    fn registers_give_the_bits_of_plain_rust(
        left in proptest::array::uniform16(0.0f32..1e6),
        right in proptest::array::uniform16(0.0f32..1e-3),
        entries in proptest::collection::vec(any::<u32>(), 0..40),
        shift in 26u32..=31,
        lane in 0usize..16,
        offset in 0usize..3,
    ) {
        // An entry of a document is never 0: one may be taken out of each.
        let entries: Vec<u32> = entries.iter().map(|entry| entry | 1).collect();
        let entries = &entries[offset.min(entries.len())..];
        let weights: Vec<f32> = (0..1 << (32 - shift)).map(|k| k as f32 * 0.37).collect();
        for chunk in entries.chunks(LANES).chain([&[][..]]) {
            let all = |processor: Processor| processor.run(All {
                lines: [Line(left), Line(right)],
                entries: chunk,
                shift,
                weights: &weights,
                lane,
                bound: left[(lane + 3) % LANES],
            });
            prop_assert_eq!(all(Processor::detect()), all(Processor::portable()));
        }
    }
}

#[test]
#[should_panic(expected = "a weight for every key")]
fn products_refuse_weights_that_do_not_reach_every_key() {
    struct Short;
    impl Kernel for Short {
        type Output = ();
        fn run<S: Simd>(self, simd: S) {
            simd.products(&[u32::MAX], 28, &[1.0; 15], 0);
        }
    }
    Processor::detect().run(Short);
}

/// Changes leaves of sums and finds places in them; what was found.
struct Walk {
    n: usize,
    exact: bool,
}

impl Kernel for Walk {
    type Output = Vec<(usize, u64)>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<(usize, u64)> {
        let mut rng = Rng::stream(4, 0, 0, self.n as u64);
        let mut sums = Sums::new(self.n);
        let mut leaves = vec![0.0f32; self.n];
        let mut found = vec![];
        for step in 0..400 {
            let leaf = rng.below(self.n as u64) as usize;
            // Multiples of a power of two, so that all sums are exact.
            let weight = rng.below(64) as f32 / 4.0;
            leaves[leaf] = weight;
            match step % 50 {
                0 => sums.fill(simd, |lines| {
                    for (line, leaves) in lines.iter_mut().zip(leaves.chunks(LANES)) {
                        line.0[..leaves.len()].copy_from_slice(leaves);
                    }
                }),
                _ if self.exact => sums.set(simd, leaf, weight),
                _ => sums.shift(simd, leaf, weight),
            }
            assert_eq!(sums.total(), leaves.iter().sum::<f32>());
            assert_eq!(sums.weight(leaf), weight);
            if sums.total() > 0.0 {
                let at = rng.uniform() * f64::from(sums.total());
                let (leaf, into) = sums.find(simd, at);
                let before: f32 = leaves[..leaf].iter().sum();
                assert!((into - (at - f64::from(before))).abs() < 1e-3);
                assert!(into < f64::from(leaves[leaf]) + 1e-3, "leaf {leaf}");
                found.push((leaf, into.to_bits()));
            }
        }
        found
    }
}

#[test]
fn every_leaf_owns_an_interval_of_its_weight() {
    for n in [1, 2, 15, 16, 17, 255, 256, 257, 1000, 5000] {
        for exact in [true, false] {
            let walk = |processor: Processor| processor.run(Walk { n, exact });
            assert_eq!(walk(Processor::detect()), walk(Processor::portable()));
        }
    }
}

#[test]
fn rows_keep_apart_and_are_as_wide_as_they_need() {
    for counts in [1, 16, 17, 100] {
        let mut rows = Rows::new(counts);
        let largest = [0, 255, 256, 65_535, 65_536, 7];
        let names: Vec<u32> = largest.iter().map(|&n| rows.push(n).unwrap()).collect();
        rows.finish();
        let fill = |rows: &mut Rows, name: u32, value: u32| match Rows::width(name) {
            Width::One => rows.row_mut(name).as_flattened_mut().fill(value as u8),
            Width::Two => rows.row_mut(name).as_flattened_mut().fill(value as u16),
            Width::Four => rows.row_mut(name).as_flattened_mut().fill(value),
        };
        let all = |rows: &Rows, name: u32| -> Vec<u32> {
            match Rows::width(name) {
                Width::One => rows
                    .row::<u8>(name)
                    .as_flattened()
                    .iter()
                    .map(|n| n.get())
                    .collect(),
                Width::Two => rows
                    .row::<u16>(name)
                    .as_flattened()
                    .iter()
                    .map(|n| n.get())
                    .collect(),
                Width::Four => rows.row::<u32>(name).as_flattened().to_vec(),
            }
        };
        for (&name, &value) in names.iter().zip(&largest) {
            fill(&mut rows, name, value);
        }
        for (&name, &value) in names.iter().zip(&largest) {
            assert_eq!(
                all(&rows, name),
                vec![value; counts.div_ceil(LANES) * LANES]
            );
        }
    }
}

#[test]
#[should_panic(expected = "a row of these")]
fn a_row_beyond_the_last_is_refused() {
    let mut rows = Rows::new(100);
    rows.push(3);
    rows.row::<u32>(0);
}
