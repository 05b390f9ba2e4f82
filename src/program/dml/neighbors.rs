//! How well the map keeps classes together: nearest neighbours, and pairs in order.

use super::mapper::Mapper;
use crate::data::Features;
use crate::math::gemm::{ByFeature, Kernel, PANEL, Weights};
use crate::math::rng::Rng;

/// Vectors that are mapped at once.
pub(super) const BLOCK: usize = 256;

/// Images of some examples: `rank` floats and their squared length each.
pub(super) struct Images {
    rank: usize,
    values: Vec<f32>,
}

impl Images {
    /// Maps these examples.
    pub(super) fn new(
        mapper: &mut Mapper,
        (matrix, rank): (&[f32], usize),
        features: &Features,
        rows: &[u32],
    ) -> Images {
        let mut values = Vec::with_capacity(rows.len() * (rank + 1));
        for rows in rows.chunks(BLOCK) {
            mapper.map(matrix, features, rows, |_, image| {
                values.extend_from_slice(image);
                values.push(image.iter().map(|x| x * x).sum());
            });
        }
        Images { rank, values }
    }

    fn len(&self) -> usize {
        self.values.len() / (self.rank + 1)
    }

    fn row(&self, at: usize) -> &[f32] {
        &self.values[at * (self.rank + 1)..][..self.rank + 1]
    }
}

/// How many of the `asked` examples have the class that most of their `k` nearest among `known` have;
/// where votes are equal, that of the nearer ones.
pub(super) fn right(
    kernel: &mut Kernel,
    (known, classes): (&Images, &[u32]),
    (asked, truth): (&Images, &[u32]),
    k: usize,
) -> u64 {
    let rank = known.rank;
    let mut input = ByFeature::zeros(rank + 1, PANEL);
    input.fill_feature(rank, 1.0);
    let mut distances = ByFeature::zeros(known.len(), PANEL);
    let mut right = 0;
    for first in (0..asked.len()).step_by(PANEL) {
        let count = (asked.len() - first).min(PANEL);
        input.resize(count);
        for sample in 0..count {
            for (r, x) in asked.row(first + sample)[..rank].iter().enumerate() {
                *input.at_mut(sample, r) = -2.0 * x;
            }
        }
        let weights = Weights {
            values: &known.values,
            stride: rank + 1,
            units: known.len(),
        };
        let mut nearest = vec![Nearest::default(); count];
        kernel.forward(weights, &input, &mut distances, |_, at, distances| {
            for (nearest, distance) in nearest.iter_mut().zip(distances) {
                nearest.see(*distance, classes[at], k);
            }
        });
        let pairs = nearest.iter().zip(&truth[first..]);
        right += pairs.filter(|(nearest, truth)| nearest.vote() == Some(**truth)).count() as u64;
    }
    right
}

/// The nearest so far, ascending.
#[derive(Clone, Default)]
struct Nearest(Vec<(f32, u32)>);

impl Nearest {
    #[inline(always)]
    fn see(&mut self, distance: f32, class: u32, k: usize) {
        if self.0.len() == k && self.0[k - 1].0 <= distance {
            return;
        }
        let place = self.0.partition_point(|(other, _)| *other <= distance);
        self.0.truncate(k - 1);
        self.0.insert(place.min(self.0.len()), (distance, class));
    }

    fn vote(&self) -> Option<u32> {
        let votes = |class: u32| self.0.iter().filter(|(_, other)| *other == class).count();
        let mut best: Option<(usize, u32)> = None;
        for (_, class) in &self.0 {
            let votes = votes(*class);
            if best.is_none_or(|(most, _)| votes > most) {
                best = Some((votes, *class));
            }
        }
        best.map(|(_, class)| class)
    }
}

/// Pairs of test examples of which it is told how often a similar one is nearer than a dissimilar one.
const PAIRS: usize = 2000;

/// The probability that a random similar pair of these examples is nearer than a random dissimilar one;
/// `None` if one of the kinds is not met.
pub(super) fn pair_auc(images: &Images, classes: &[u32], rng: &mut Rng) -> Option<f64> {
    let mut distances: [Vec<f32>; 2] = [Vec::new(), Vec::new()];
    // Of many classes, similar pairs are rare.
    for _ in 0..PAIRS * 200 {
        let at = [0; 2].map(|_: i32| rng.below(images.len() as u64) as usize);
        let kind = usize::from(classes[at[0]] != classes[at[1]]);
        if at[0] == at[1] || distances[kind].len() == PAIRS {
            continue;
        }
        let [one, two] = at.map(|at| &images.row(at)[..images.rank]);
        let distance = one.iter().zip(two).map(|(a, b)| (a - b) * (a - b)).sum();
        distances[kind].push(distance);
    }
    auc(&mut distances)
}

fn auc([similar, dissimilar]: &mut [Vec<f32>; 2]) -> Option<f64> {
    similar.sort_by(f32::total_cmp);
    dissimilar.sort_by(f32::total_cmp);
    let below = |d: &f32| {
        let less = similar.partition_point(|s| s < d);
        let equal = similar.partition_point(|s| s <= d) - less;
        less as f64 + 0.5 * equal as f64
    };
    let all = (similar.len() * dissimilar.len()) as f64;
    (all > 0.0).then(|| dissimilar.iter().map(below).sum::<f64>() / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_count_pairs_in_order() {
        let area = |a: &[f32], b: &[f32]| auc(&mut [a.to_vec(), b.to_vec()]);
        assert_eq!(area(&[1.0, 2.0], &[3.0, 4.0]), Some(1.0));
        assert_eq!(area(&[1.0, 3.0], &[2.0, 3.0]), Some(0.625));
        assert_eq!(area(&[], &[2.0]), None);
    }

    #[test]
    fn the_nearest_vote_and_nearer_ones_break_ties() {
        let mut nearest = Nearest::default();
        for (distance, class) in [(5.0, 1), (1.0, 2), (3.0, 1), (2.0, 3), (4.0, 3), (0.5, 4)] {
            nearest.see(distance, class, 5);
        }
        let order: Vec<u32> = nearest.0.iter().map(|(_, class)| *class).collect();
        assert_eq!((order, nearest.vote()), (vec![4, 2, 3, 1, 3], Some(3)));
    }
}
