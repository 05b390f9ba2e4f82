//! Flags, help, man pages and completions.
