//! Latent Dirichlet allocation.

mod alpha;
mod block;
mod documents;
mod heldout;
mod likelihood;
mod part;
mod partition;
mod sampler;
mod statistics;
mod tokens;

#[cfg(test)]
mod tests;
