//! A discrete distribution that is drawn from many times: Walker's alias table, built in O(n) by
//! Vose's method ("A linear algorithm for generating random numbers with a given distribution",
//! IEEE TSE 1991), drawn from in O(1).

/// n cells of equal width; each holds up to two outcomes.
#[derive(Debug, Clone, Default)]
pub struct AliasTable {
    cells: Vec<Cell>,
    total: f64,
    /// Room for building.
    light: Vec<u32>,
    heavy: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    /// Up to here the cell is its own outcome, from 0 to 1.
    own: f32,
    /// Beyond, it is this one.
    other: u32,
}

impl AliasTable {
    /// Takes other weights over, none negative. Keeps its memory.
    pub fn build(&mut self, weights: impl ExactSizeIterator<Item = f32>) {
        let n = weights.len();
        self.cells.clear();
        self.cells
            .extend((0..).zip(weights).map(|(other, own)| Cell { own, other }));
        self.total = self.cells.iter().map(|cell| f64::from(cell.own)).sum();
        let scale = n as f64 / self.total;
        self.light.clear();
        self.heavy.clear();
        for (at, cell) in (0..).zip(&mut self.cells) {
            cell.own = (f64::from(cell.own) * scale) as f32;
            if cell.own < 1.0 {
                self.light.push(at);
            } else {
                self.heavy.push(at);
            }
        }
        while let (Some(light), Some(&heavy)) = (self.light.pop(), self.heavy.last()) {
            self.cells[light as usize].other = heavy;
            let left = self.cells[light as usize].own;
            let cell = &mut self.cells[heavy as usize];
            cell.own = (cell.own + left) - 1.0;
            if cell.own < 1.0 {
                self.heavy.pop();
                self.light.push(heavy);
            }
        }
        // What rounding left over is full.
        for &at in self.light.iter().chain(&self.heavy) {
            self.cells[at as usize].own = 1.0;
            self.cells[at as usize].other = at;
        }
    }

    /// The sum of the weights.
    #[inline]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The outcome for `at`, uniform over 0 .. 1. There must be one.
    #[inline]
    pub fn draw(&self, at: f64) -> usize {
        let at = at * self.cells.len() as f64;
        let cell = (at as usize).min(self.cells.len() - 1);
        let Cell { own, other } = self.cells[cell];
        if at - (cell as f64) < f64::from(own) {
            cell
        } else {
            other as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_own_as_much_as_they_weigh() {
        let mut table = AliasTable::default();
        for weights in [
            vec![1.0f32],
            vec![0.0, 3.0],
            vec![1.0, 2.0, 3.0, 4.0, 0.5],
            (0..100).map(|k| (k % 7) as f32).collect(),
            vec![1e-6, 1e6, 1.0],
        ] {
            table.build(weights.iter().copied());
            let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
            assert!((table.total() / total - 1.0).abs() < 1e-6);
            let n = weights.len();
            let mut owned = vec![0.0f64; n];
            for (cell, &Cell { own, other }) in table.cells.iter().enumerate() {
                owned[cell] += f64::from(own) / n as f64;
                owned[other as usize] += (1.0 - f64::from(own)) / n as f64;
            }
            for (owned, weight) in owned.iter().zip(&weights) {
                assert!(
                    (owned - f64::from(*weight) / total).abs() < 1e-6,
                    "{weights:?}"
                );
            }
        }
    }

    #[test]
    fn draws_are_those_of_the_cells() {
        let mut table = AliasTable::default();
        table.build([1.0f32, 2.0, 5.0].into_iter());
        let mut seen = [0u32; 3];
        (0..80_000).for_each(|at| seen[table.draw((f64::from(at) + 0.5) / 80_000.0)] += 1);
        for (seen, expected) in seen.iter().zip([10_000, 20_000, 50_000]) {
            assert!(seen.abs_diff(expected) <= 3, "{seen} {expected}");
        }
    }
}
