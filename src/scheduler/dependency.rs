//! Which variables may be updated together.
//!
//! Two coordinates of a regression that are updated at the same time, each as if the other stood
//! still, overshoot by their correlation; with several of them the objective may rise. So no two of
//! one round are correlated by more than a threshold (STRADS: Lee et al., NIPS 2014; the theory:
//! Bradley et al., ICML 2011). A correlation that is seen by chance alone is about 1/√n, so a
//! threshold below 3/√n would refuse independent variables, and below 0.1 nothing is gained.
//!
//! Correlations are asked for only where they decide, and kept. A candidate that is refused comes
//! first in the next round, when what it clashed with has been updated.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;

/// Correlations that are kept before all are forgotten.
const KEPT_MAX: usize = 1 << 22;
/// Refused candidates that get another chance.
const REFUSED_MAX: usize = 4096;

/// The least threshold for `samples` samples.
pub fn threshold(samples: usize) -> f64 {
    (3.0 / (samples.max(1) as f64).sqrt()).max(0.1)
}

/// The filter, with what it knows.
#[derive(Debug)]
pub struct Dependency {
    threshold: f64,
    known: HashMap<(u32, u32), f32, FixedState>,
    refused: VecDeque<u32>,
    asked: u64,
}

impl Dependency {
    /// Refuses pairs whose |correlation| is above `threshold`.
    pub fn new(threshold: f64) -> Dependency {
        Dependency {
            threshold,
            known: HashMap::default(),
            refused: VecDeque::new(),
            asked: 0,
        }
    }

    /// Correlations that had to be computed so far.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// The candidates that are to have another chance, the oldest first.
    pub fn refused(&self) -> impl Iterator<Item = u32> + '_ {
        self.refused.iter().copied()
    }

    /// Gives candidates another chance.
    pub fn refuse(&mut self, candidates: impl IntoIterator<Item = u32>) {
        self.refused.extend(candidates);
    }

    /// The candidates of earlier rounds that have another chance, the oldest first.
    pub fn take_refused(&mut self) -> Vec<u32> {
        self.refused.drain(..).collect()
    }

    /// Up to `number` of `candidates`, in their order, that are safe to update together, also with
    /// what is in `flight`. Those that clash are kept for another chance.
    pub fn choose(
        &mut self,
        candidates: &[u32],
        flight: &[u32],
        number: usize,
        correlation: &mut dyn FnMut(u32, u32) -> f64,
    ) -> Vec<u32> {
        let mut chosen: Vec<u32> = Vec::new();
        for candidate in candidates {
            if chosen.len() == number {
                break;
            }
            if chosen.contains(candidate) || flight.contains(candidate) {
                continue;
            }
            let others = chosen.iter().chain(flight);
            let clashes = others.copied().any(|other| {
                self.correlation(*candidate, other, correlation).abs() > self.threshold
            });
            match clashes {
                false => chosen.push(*candidate),
                true if self.refused.len() < REFUSED_MAX => self.refused.push_back(*candidate),
                true => {}
            }
        }
        chosen
    }

    fn correlation(&mut self, a: u32, b: u32, compute: &mut dyn FnMut(u32, u32) -> f64) -> f64 {
        let pair = (a.min(b), a.max(b));
        if let Some(known) = self.known.get(&pair) {
            return f64::from(*known);
        }
        if self.known.len() >= KEPT_MAX {
            self.known.clear();
        }
        let found = compute(a, b);
        self.asked += 1;
        self.known.insert(pair, found as f32);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neighbours clash.
    fn neighbours(a: u32, b: u32) -> f64 {
        if a.abs_diff(b) == 1 { -0.9 } else { 0.05 }
    }

    #[test]
    fn no_two_that_clash_are_chosen_and_the_refused_come_back() {
        let mut filter = Dependency::new(0.1);
        let chosen = filter.choose(&[0, 1, 2, 3, 4, 0], &[], 10, &mut neighbours);
        assert_eq!(chosen, [0, 2, 4]);
        assert_eq!(filter.take_refused(), [1, 3]);
        assert!(filter.take_refused().is_empty());
    }

    #[test]
    fn what_is_in_flight_counts() {
        let mut filter = Dependency::new(0.1);
        assert_eq!(filter.choose(&[1, 5, 7], &[2, 7], 10, &mut neighbours), [5]);
        assert_eq!(filter.take_refused(), [1]);
    }

    #[test]
    fn a_correlation_is_computed_once() {
        let mut filter = Dependency::new(0.1);
        let mut computed = 0;
        for _ in 0..3 {
            filter.choose(&[3, 8, 9], &[], 3, &mut |a, b| {
                computed += 1;
                neighbours(a, b)
            });
        }
        assert_eq!((computed, filter.asked()), (3, 3));
    }

    #[test]
    fn the_least_threshold_depends_on_the_samples() {
        assert_eq!(threshold(100), 0.3);
        assert_eq!(threshold(1_000_000), 0.1);
    }
}
