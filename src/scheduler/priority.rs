//! Variables drawn by what they promise.
//!
//! A variable is drawn with a probability in proportion to its worth (how much it changed last, or
//! how much the objective would fall), plus a floor so that nothing starves: what is worth nothing
//! today may be worth something once others have moved (STRADS: Lee et al., NIPS 2014).

use std::collections::BTreeSet;

use crate::math::ftree::FTree;
use crate::math::rng::Rng;

/// The floor, as a part of the mean worth. STRADS has a hundredth, and then needs sweeps over all in
/// between; with a quarter every variable comes by often enough without.
const FLOOR: f64 = 0.25;
/// Least floor, so that all are drawn alike while nothing is worth anything.
const LEAST: f64 = 1e-300;
/// Draws for each variable that is asked for, before taking what there is.
const DRAWS: usize = 20;

/// What each variable is worth.
#[derive(Debug, Clone)]
pub struct Priority {
    worth: FTree,
}

impl Priority {
    /// `variables` ≥ 1 variables, all worth the same.
    pub fn new(variables: usize) -> Priority {
        let mut worth = FTree::new(variables);
        worth.fill(|_| 1.0);
        Priority { worth }
    }

    /// Changes what a variable is worth; not below 0.
    pub fn set(&mut self, variable: u32, worth: f64) {
        self.worth.set(variable as usize, worth.max(0.0));
    }

    /// What a variable is worth.
    pub fn worth(&self, variable: u32) -> f64 {
        self.worth.weight(variable as usize)
    }

    /// Up to `number` different variables, most likely those that are worth most, in the order in
    /// which they were drawn.
    pub fn draw(&self, number: usize, variables: usize, rng: &mut Rng) -> Vec<u32> {
        let total = self.worth.total();
        let floor = (FLOOR * total).max(LEAST);
        let mut chosen = Vec::new();
        let mut seen = BTreeSet::new();
        for _ in 0..DRAWS * number.max(1) {
            if chosen.len() == number.min(variables) {
                break;
            }
            let at = rng.uniform() * (total + floor);
            let variable = match at < total {
                true => self.worth.find(at).0 as u32,
                false => rng.below(variables as u64) as u32,
            };
            if (variable as usize) < variables && seen.insert(variable) {
                chosen.push(variable);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_more_is_drawn_more_often_and_nothing_starves() {
        let mut priority = Priority::new(10);
        for variable in 0..10 {
            priority.set(variable, if variable < 2 { 100.0 } else { 0.0 });
        }
        let mut rng = Rng::stream(1, 0, 0, 0);
        let mut seen = [0; 10];
        for _ in 0..20_000 {
            for variable in priority.draw(1, 10, &mut rng) {
                seen[variable as usize] += 1;
            }
        }
        assert!(seen[0] > 7500 && seen[1] > 7500, "{seen:?}");
        // A fifth of the draws falls on any variable alike.
        let rare = &seen[2..];
        assert!(
            rare.iter().all(|times| (250..600).contains(times)),
            "{seen:?}"
        );
    }

    #[test]
    fn draws_are_different_variables() {
        let priority = Priority::new(8);
        let mut rng = Rng::stream(2, 0, 0, 0);
        let mut drawn = priority.draw(8, 8, &mut rng);
        drawn.sort_unstable();
        assert_eq!(drawn, (0..8).collect::<Vec<u32>>());
    }
}
