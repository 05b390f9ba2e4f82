//! Every way a run can end badly, the line the user reads, and the exit status it becomes.
//!
//! Messages are in the user's words and carry the remedy: `--topics: 0 is too small, at least 1`,
//! `data.svm:17:9: expected index:value`. The statuses are the contract of `petuum --help`.

use std::fmt;
use std::path::{Path, PathBuf};

/// What can go wrong. `Display` is the one line shown on stderr (after `petuum: `).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A flag or a combination of flags makes no sense. Status 2.
    #[error("{0}")]
    Usage(String),
    /// The model left the finite numbers. Status 3.
    #[error("{0}")]
    Diverged(String),
    /// A file's content is not what it should be. Status 65.
    #[error("{place}: {expected}")]
    Data {
        /// Where in which file.
        place: Place,
        /// What was expected there, what was seen, what to do.
        expected: String,
    },
    /// A file that should be read is not there or cannot be opened. Status 66.
    #[error("{}: {reason}", path.display())]
    NoInput {
        /// The file or folder named by the user.
        path: PathBuf,
        /// Why it cannot be read.
        reason: String,
    },
    /// A host cannot take part in the run (missing at the deadline, name unknown, port taken). Status 69.
    #[error("{0}")]
    Unavailable(String),
    /// An output cannot be created. Status 73.
    #[error("{}: cannot create: {reason}", path.display())]
    CannotCreate {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An output could be opened, but writing failed (disk full, say). Status 74.
    #[error("{}: cannot write: {reason}", path.display())]
    CannotWrite {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A peer was lost while the run was on; the run can be resumed from a checkpoint. Status 75.
    #[error("{0}")]
    PeerLost(String),
    /// Two ranks run different versions, programs, options or hosts. Status 76.
    #[error("{0}")]
    Mismatch(String),
    /// A peer does not hold the run's secret. Status 77.
    #[error("{0}")]
    WrongSecret(String),
    /// The hosts file is wrong; every error in it, one a line. Status 78.
    #[error("{0}")]
    Hosts(String),
    /// A bug of petuum: a state that its authors thought impossible. Status 101.
    #[error("internal error: {0}; please report it")]
    Bug(String),
    /// The run was interrupted by a signal; what was done is saved. Status 130 or 143.
    #[error("interrupted by {}", if *.signal == 15 { "SIGTERM" } else { "SIGINT" })]
    Interrupted {
        /// The signal's number (2 or 15).
        signal: u8,
    },
    /// The error of another rank, as it told it. Every rank ends with the status of the root cause.
    #[error("{message}")]
    Remote {
        /// The other rank's exit status.
        status: u8,
        /// The other rank's line.
        message: String,
    },
    /// Anything else. Status 1.
    #[error("{0}")]
    Other(String),
}

/// `Result` with petuum's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in a file: `file`, `file:line` or `file:line:column`, both counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub path: PathBuf,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: u64,
    /// The byte column, from 1; 0 when the whole line is meant.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

impl Error {
    /// The exit status that this error becomes.
    pub fn status(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Diverged(_) => 3,
            Error::Data { .. } => 65,
            Error::NoInput { .. } => 66,
            Error::Unavailable(_) => 69,
            Error::CannotCreate { .. } => 73,
            Error::CannotWrite { .. } => 74,
            Error::PeerLost(_) => 75,
            Error::Mismatch(_) => 76,
            Error::WrongSecret(_) => 77,
            Error::Hosts(_) => 78,
            Error::Bug(_) => 101,
            Error::Interrupted { signal } => 128 + signal,
            Error::Remote { status, .. } => *status,
            Error::Other(_) => 1,
        }
    }

    /// Bad data at `path:line:column` (0 leaves a part out).
    pub fn data(path: &Path, line: u64, column: u64, expected: impl Into<String>) -> Error {
        Error::Data {
            place: Place {
                path: path.to_path_buf(),
                line,
                column,
            },
            expected: expected.into(),
        }
    }

    /// `path` cannot be read.
    pub fn no_input(path: &Path, reason: impl fmt::Display) -> Error {
        Error::NoInput {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }

    /// `path` cannot be created.
    pub fn cannot_create(path: &Path, reason: impl fmt::Display) -> Error {
        Error::CannotCreate {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }

    /// Writing to `path` failed.
    pub fn cannot_write(path: &Path, reason: impl fmt::Display) -> Error {
        Error::CannotWrite {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }
}
