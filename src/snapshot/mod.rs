//! Models and checkpoints on disk: written beside, renamed into place, `DONE` last.
