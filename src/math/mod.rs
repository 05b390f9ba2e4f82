//! Numbers without state: kernels, special functions, samplers and seeded randomness.
//!
//! | file | what |
//! |---|---|
//! | [`prefetch`] | a word to the cache about what will be read soon |
//! | [`rng`] | seeded random streams, one per (seed, worker, clock, stream) |
//! | [`special`] | ln Γ, ψ, and compensated sums |
//! | [`ftree`] | a discrete distribution whose weights change: draw and change in O(log n) |
//! | [`factors`] | rows of factors, and the inner loops of matrix factorisation |
//! | [`activation`] | what units of a neural network do with their sums, and e^x |
//! | [`dense`] | products of dense matrices, as layers of units need them |
//! | [`varint`] | unsigned integers in as few bytes as they need |

pub mod prefetch;
pub mod rng;
pub mod special;
pub mod ftree;
pub mod factors;
pub mod activation;
pub mod dense;
pub mod varint;
