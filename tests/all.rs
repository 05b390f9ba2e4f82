//! Every integration test, one binary: one link, one run.

/// Messages reach the other ranks, and no stranger or broken peer does more harm than it must.
mod transport;

// The engine with a toy program: every change seen once, over every transport.
mod engine;
// Documents in every format: what is read, and the place and words of every refusal.
mod data_formats;
// Splitting over threads and shares, and damaged files, against a parser that knows no tricks.
mod data_splitting;
// The cache: used in place, refused when damaged or stale.
mod data_cache;
// Examples as files and users bring them: real sets, and `petuum convert --columns`.
mod examples;
// The real sets have the sizes that their README states.
mod data_real;
// The read rule under a hostile network: a seeded simulator of whole runs.
mod staleness;
// What `--bandwidth` promises, measured with real processes, and said when it cannot be kept.
mod bandwidth;
/// Messages survive the wire, nonsense does not, and the handshake tells ranks from strangers.
mod wire;
// What a user types and what scripts rely on: flags, help, records, exit statuses.
mod cli;
// LDA from the command line to the saved model: records that follow from counts, runs that repeat.
mod lda;
// The house rules: order of the floors, walls, sizes, and that what documents name exists.
mod tidy;
// Real processes on the loopback: killed, frozen, misled, disturbed.
mod faults;
// What a run says follows from what it saves, and a resumed run is the same run.
mod lda_saved;
// Sparse regression against scikit-learn, over several processes, and its saved model.
mod lasso;
// Predictions follow from what a model's folder holds, and other models are refused.
mod predict;
// Topics of unseen documents: the same from every format, and what the model does not know is said.
mod lda_predict;
// Networks and metrics say of new examples what their tensors say.
mod predict_dense;
