//! Which examples are held out: the same ones on every rank, whoever reads them.

use crate::math::rng::mix;

/// True if the example with this global number is held out, as a part `share` of all of them is.
pub(super) fn is_held_out(seed: u64, number: u64, share: f64) -> bool {
    let hash = mix(mix(seed ^ 0x6865_6c64_206f_7574) ^ number);
    ((hash >> 11) as f64 / (1u64 << 53) as f64) < share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_held_out_is_the_one_asked_for_and_depends_on_the_seed() {
        let chosen = |seed| (0..20_000).filter(move |&d| is_held_out(seed, d, 0.1));
        let count = chosen(1).count();
        assert!((1_800..2_200).contains(&count), "{count}");
        assert!(chosen(1).ne(chosen(2)));
        assert_eq!((0..100).filter(|&d| is_held_out(1, d, 0.0)).count(), 0);
    }
}
