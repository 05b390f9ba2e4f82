//! A discrete distribution whose weights change all the time: the F+tree of Yu, Hsieh, Yun,
//! Vishwanathan and Dhillon, "A Scalable Asynchronous Distributed Algorithm for Topic Modeling"
//! (WWW 2015).
//!
//! A complete binary tree in one array; each inner node holds the sum of its two children, *always
//! computed from them*. So the tree is a function of its leaves alone: it cannot drift, however
//! often leaves change.

/// Weights over `0 .. n` with their partial sums.
#[derive(Debug, Clone)]
pub struct FTree {
    /// `nodes[1]` is the root, node i has the children 2i and 2i+1, leaf k is `nodes[n + k]`.
    nodes: Vec<f64>,
    leaves: usize,
}

impl FTree {
    /// `n` ≥ 1 weights, all 0.
    pub fn new(n: usize) -> FTree {
        FTree {
            nodes: vec![0.0; 2 * n.max(1)],
            leaves: n.max(1),
        }
    }

    /// The sum of all weights.
    #[inline]
    pub fn total(&self) -> f64 {
        self.nodes[1]
    }

    /// The weight of `leaf`.
    #[inline]
    pub fn weight(&self, leaf: usize) -> f64 {
        self.nodes[self.leaves + leaf]
    }

    /// Changes one weight. O(log n).
    #[inline]
    pub fn set(&mut self, leaf: usize, weight: f64) {
        let mut node = self.leaves + leaf;
        let mut sum = weight;
        self.nodes[node] = sum;
        while node > 1 {
            sum += self.nodes[node ^ 1];
            node >>= 1;
            self.nodes[node] = sum;
        }
    }

    /// Changes all weights: weight k becomes `weight(k)`. O(n).
    pub fn fill(&mut self, weight: impl Fn(usize) -> f64) {
        for (k, leaf) in self.nodes[self.leaves..].iter_mut().enumerate() {
            *leaf = weight(k);
        }
        for node in (1..self.leaves).rev() {
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1];
        }
    }

    /// The leaf that `at`, from `0 .. total`, falls on, and how far into it. Leaf k is met with
    /// probability weight(k)/total if `at` is uniform. O(log n).
    #[inline]
    pub fn find(&self, mut at: f64) -> (usize, f64) {
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            let left = self.nodes[node];
            if at >= left {
                at -= left;
                node += 1;
            }
        }
        (node - self.leaves, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;

    #[test]
    fn every_leaf_owns_an_interval_of_its_weight() {
        for n in [1, 2, 3, 5, 8, 13, 100] {
            let mut tree = FTree::new(n);
            tree.fill(|k| (k % 7) as f64);
            let total: f64 = (0..n).map(|k| (k % 7) as f64).sum();
            assert_eq!(tree.total(), total);
            let mut hits = vec![0; n];
            for quarter in 0..(4.0 * total) as u32 {
                let (leaf, into) = tree.find(f64::from(quarter) / 4.0);
                assert!(into < tree.weight(leaf));
                hits[leaf] += 1;
            }
            for (k, hit) in hits.iter().enumerate() {
                assert_eq!(*hit, 4 * (k % 7), "leaf {k} of {n}");
            }
        }
    }

    #[test]
    fn a_million_changes_leave_what_a_fresh_tree_would_hold() {
        let n = 37;
        let mut rng = Rng::stream(3, 0, 0, 0);
        let mut changed = FTree::new(n);
        for _ in 0..1_000_000 {
            changed.set(rng.below(n as u64) as usize, rng.uniform());
        }
        let mut fresh = FTree::new(n);
        fresh.fill(|k| changed.weight(k));
        assert_eq!(changed.nodes, fresh.nodes);
    }
}
