//! Seeded random streams.
//!
//! Everything random in a run comes from [`Rng::stream`] with the run's seed, so that equal seeds,
//! options and workers draw equal numbers, whatever the threads do. The generator is
//! xoshiro256++ (Blackman & Vigna, 2021); streams are set apart by hashing their four names into
//! its state.

use std::convert::Infallible;

use rand::TryRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// One stream of random numbers. It is a [`rand::Rng`], so `rand_distr` samples from it.
#[derive(Debug, Clone)]
pub struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// The stream named by a run's seed, a worker, a clock and a number of the program's choice.
    /// Equal names give equal streams; different names give unrelated ones.
    pub fn stream(seed: u64, worker: u64, clock: u64, stream: u64) -> Rng {
        let mut state = 0;
        for name in [seed, worker, clock, stream] {
            state = mix(state ^ mix(name));
        }
        let mut bytes = [0; 32];
        for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&mix(state ^ index as u64).to_le_bytes());
        }
        Rng(Xoshiro256PlusPlus::from_seed(bytes))
    }

    /// Uniform over [0, 1), in steps of 2⁻⁵³.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform over `0 .. n`; `n` is at least 1. The bias of at most n·2⁻⁶⁴ is below what any run
    /// can observe.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    #[inline]
    fn next(&mut self) -> u64 {
        let Ok(bits) = self.0.try_next_u64();
        bits
    }
}

impl TryRng for Rng {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    #[inline]
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

/// One round of SplitMix64 (Steele, Lea & Flood, 2014): a bijection whose output bits all depend on
/// all input bits.
#[inline]
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_give_equal_streams_and_other_names_other_streams() {
        let draw = |a, b, c, d| {
            let mut rng = Rng::stream(a, b, c, d);
            [rng.next(), rng.next()]
        };
        assert_eq!(draw(1, 2, 3, 4), draw(1, 2, 3, 4));
        let mut all = vec![];
        for a in 0..4 {
            for b in 0..4 {
                for c in 0..4 {
                    for d in 0..4 {
                        all.push(draw(a, b, c, d));
                    }
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 256);
    }

    /// Seeds must mean the same numbers in every version: runs are compared across them.
    #[test]
    fn the_stream_is_fixed() {
        let mut rng = Rng::stream(1, 0, 0, 0);
        assert_eq!([rng.next(), rng.next()], FIXED);
    }

    const FIXED: [u64; 2] = [12_055_208_816_194_999_905, 16_463_407_114_441_333_099];

    #[test]
    fn uniform_and_below_have_the_right_moments() {
        let mut rng = Rng::stream(7, 0, 0, 0);
        let n = 100_000;
        let mean = (0..n).map(|_| rng.uniform()).sum::<f64>() / f64::from(n);
        // Six standard errors of the mean of n uniforms.
        assert!(
            (mean - 0.5).abs() < 6.0 / (12.0 * f64::from(n)).sqrt(),
            "{mean}"
        );
        let mut seen = [0u32; 5];
        for _ in 0..n {
            seen[rng.below(5) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&c| (19_200..20_800).contains(&c)),
            "{seen:?}"
        );
    }
}
