//! Numbers without state: kernels, special functions, samplers and seeded randomness.
