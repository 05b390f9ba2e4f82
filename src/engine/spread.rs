//! Work of a rank spread over threads, for programs, which see no threads.

use std::convert::Infallible;

use crate::data;

/// Runs `work(0)` to `work(n - 1)` on up to `threads` threads and returns the results in order. Each
/// thread takes the next number when it is done with one, so uneven work evens out.
pub fn spread<T: Send>(threads: usize, n: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let Ok(results) = data::spread(threads, n, |number| Ok::<T, Infallible>(work(number)));
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whoever_made_them() {
        for threads in [0, 1, 2, 5] {
            let squares = spread(threads, 100, |n| n * n);
            assert!(
                squares
                    .iter()
                    .enumerate()
                    .all(|(n, square)| *square == n * n)
            );
        }
        assert!(spread(3, 0, |n| n).is_empty());
    }
}
