//! Numbers without state: kernels, special functions, samplers and seeded randomness.
//!
//! | file | what |
//! |---|---|
//! | [`pages`] | large memory in large pages |
//! | [`prefetch`] | a word to the cache about what will be read soon |
//! | [`rng`] | seeded random streams, one per (seed, worker, clock, stream) |
//! | [`special`] | ln Γ, ψ, and compensated sums |
//! | [`ftree`] | a discrete distribution whose weights change: draw and change in O(log n) |
//! | [`alias`] | a discrete distribution that is drawn from many times |
//! | [`sixteen`] | sixteen numbers at a time: draws from many weights |
//! | [`factors`] | rows of factors, and the inner loops of matrix factorisation |
//! | [`dense`] | dots and sums of f32 columns, by SIMD |
//! | [`columns`] | a matrix by columns, dense or sparse |
//! | [`cholesky`] | factors of matrices that may be singular |
//! | [`quadratic`] | the lasso on a Gram matrix |
//! | [`activation`] | what units of a neural network do with their sums, and e^x |
//! | [`gemm`] | products of dense matrices, as layers of units need them |
//! | [`varint`] | unsigned integers in as few bytes as they need |

pub mod pages;
pub mod prefetch;
pub mod rng;
pub mod special;
pub mod ftree;
pub mod alias;
pub mod sixteen;
pub mod factors;
pub mod activation;
pub mod gemm;
pub mod varint;
pub mod dense;
pub mod columns;
pub mod cholesky;
pub mod quadratic;
