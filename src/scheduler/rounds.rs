//! Rounds of variables that are updated together, several of them in flight.
//!
//! ```text
//! let round = rounds.begin(32, &mut correlation);     // which variables
//! ...                                                 // workers update them, each from what it knows
//! rounds.end(&round, |variable| worth);               // how much each changed, or is worth now
//! ```
//!
//! Between `begin` and `end` further rounds may begin: no variable is in two of them, and none is
//! correlated with one that is on its way.

use super::dependency::Dependency;
use super::priority::Priority;
use crate::math::rng::Rng;

/// Which variables come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Those that promise most.
    Priority,
    /// One after the other.
    Cyclic,
    /// Any.
    Random,
}

/// Candidates that are drawn for each variable of a round, so that some may be refused.
const CANDIDATES: usize = 4;

/// The scheduler of one model.
#[derive(Debug)]
pub struct Rounds {
    variables: usize,
    order: Order,
    priority: Priority,
    filter: Option<Dependency>,
    flight: Vec<u32>,
    next: u32,
    rng: Rng,
}

impl Rounds {
    /// Rounds over `variables` ≥ 1 variables.
    ///
    /// # Errors
    /// Why priority without a filter is refused.
    pub fn new(
        variables: usize,
        order: Order,
        filter: Option<Dependency>,
        rng: Rng,
    ) -> Result<Rounds, &'static str> {
        match (order, &filter) {
            (Order::Priority, None) => Err(
                "priority without a dependency filter: what promises most is correlated with what \
                 promises most, and updated together such variables overshoot until the objective \
                 rises",
            ),
            _ => Ok(Rounds::unchecked(variables, order, filter, rng)),
        }
    }

    /// The same without the refusal: to measure how priority alone fails, and for nothing else.
    #[doc(hidden)]
    pub fn unchecked(
        variables: usize,
        order: Order,
        filter: Option<Dependency>,
        rng: Rng,
    ) -> Rounds {
        Rounds {
            variables,
            order,
            priority: Priority::new(variables),
            filter,
            flight: Vec::new(),
            next: 0,
            rng,
        }
    }

    /// Begins a round of up to `number` variables.
    pub fn begin(
        &mut self,
        number: usize,
        correlation: &mut dyn FnMut(u32, u32) -> f64,
    ) -> Vec<u32> {
        let wanted = match self.filter {
            Some(_) => number * CANDIDATES,
            None => number,
        };
        let again = self
            .filter
            .as_mut()
            .map(Dependency::take_refused)
            .unwrap_or_default();
        let mut candidates = again;
        candidates.extend(self.draw(wanted));
        let round = match &mut self.filter {
            Some(filter) => filter.choose(&candidates, &self.flight, number, correlation),
            None => {
                candidates.retain(|candidate| !self.flight.contains(candidate));
                candidates.truncate(number);
                candidates
            }
        };
        self.flight.extend(&round);
        if self.order == Order::Cyclic {
            // What was drawn but not reached comes first next time.
            let last = round.iter().map(|variable| self.ahead(*variable)).max();
            self.next = (self.next + last.map_or(1, |last| last + 1)) % self.variables as u32;
        }
        round
    }

    /// How far a variable is ahead of the place where the next round begins.
    fn ahead(&self, variable: u32) -> u32 {
        let count = self.variables as u32;
        let ahead = (variable + count - self.next) % count;
        // Those that had another chance are behind.
        if ahead as usize > self.variables / 2 {
            0
        } else {
            ahead
        }
    }

    fn draw(&mut self, number: usize) -> Vec<u32> {
        let count = self.variables;
        match self.order {
            Order::Priority => self.priority.draw(number, count, &mut self.rng),
            Order::Cyclic => {
                let first = self.next as usize;
                (0..number.min(count))
                    .map(|at| ((first + at) % count) as u32)
                    .collect()
            }
            Order::Random => {
                let mut drawn = std::collections::BTreeSet::new();
                let mut order = Vec::new();
                while order.len() < number.min(count) {
                    let variable = self.rng.below(count as u64) as u32;
                    if drawn.insert(variable) {
                        order.push(variable);
                    }
                }
                order
            }
        }
    }

    /// Ends a round: tells what its variables are worth now.
    pub fn end(&mut self, round: &[u32], worth: impl Fn(u32) -> f64) {
        self.flight.retain(|variable| !round.contains(variable));
        for variable in round {
            self.priority.set(*variable, worth(*variable));
        }
    }

    /// Changes what a variable is worth.
    pub fn set(&mut self, variable: u32, worth: f64) {
        self.priority.set(variable, worth);
    }

    /// Correlations that had to be computed so far.
    pub fn correlations(&self) -> u64 {
        self.filter.as_ref().map_or(0, Dependency::asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> Rng {
        Rng::stream(1, 0, 0, 0)
    }

    fn independent(_: u32, _: u32) -> f64 {
        0.0
    }

    #[test]
    fn priority_alone_is_refused_with_the_reason() {
        let refused = Rounds::new(10, Order::Priority, None, rng());
        assert!(refused.unwrap_err().contains("overshoot"));
        assert!(Rounds::new(10, Order::Random, None, rng()).is_ok());
    }

    #[test]
    fn every_order_reaches_every_variable() {
        for order in [Order::Priority, Order::Cyclic, Order::Random] {
            let filter = Some(Dependency::new(0.5));
            let mut rounds = Rounds::new(40, order, filter, rng()).unwrap();
            let mut seen = [false; 40];
            // Neighbours clash.
            let mut clash = |a: u32, b: u32| if a.abs_diff(b) == 1 { 1.0 } else { 0.0 };
            for _ in 0..400 {
                let round = rounds.begin(4, &mut clash);
                assert!(!round.is_empty() && round.len() <= 4);
                for pair in round.iter().flat_map(|a| round.iter().map(move |b| (a, b))) {
                    assert!(pair.0.abs_diff(*pair.1) != 1);
                }
                round
                    .iter()
                    .for_each(|variable| seen[*variable as usize] = true);
                rounds.end(&round, |variable| if variable < 3 { 1.0 } else { 0.0 });
            }
            assert!(seen.iter().all(|seen| *seen), "{order:?} {seen:?}");
        }
    }

    #[test]
    fn rounds_in_flight_have_nothing_in_common() {
        let filter = Some(Dependency::new(0.5));
        let mut rounds = Rounds::new(12, Order::Priority, filter, rng()).unwrap();
        let mut clash = |a: u32, b: u32| if a / 2 == b / 2 { 1.0 } else { 0.0 };
        let first = rounds.begin(3, &mut clash);
        let second = rounds.begin(3, &mut clash);
        assert!(first.iter().all(|a| second.iter().all(|b| a / 2 != b / 2)));
        rounds.end(&first, |_| 1.0);
        rounds.end(&second, |_| 1.0);
        assert!(!rounds.begin(6, &mut independent).is_empty());
    }

    #[test]
    fn cyclic_rounds_follow_each_other() {
        let mut rounds = Rounds::new(7, Order::Cyclic, None, rng()).unwrap();
        let mut all = Vec::new();
        for _ in 0..3 {
            let round = rounds.begin(3, &mut independent);
            rounds.end(&round, |_| 0.0);
            all.extend(round);
        }
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 0, 1]);
    }
}
