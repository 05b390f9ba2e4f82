//! Ctrl-C and SIGTERM: the first asks the run to end, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Result};

/// The signals that ask a run to end.
///
/// The first one is only remembered: the run looks for it, finishes its clock and saves. A second
/// one of either kind ends the process at once with status 130 or 143.
pub(super) struct Interrupt {
    /// The signal's number, 0 before any.
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// From now on signals are remembered instead of ending the process.
    pub(super) fn install() -> Result<Interrupt> {
        let armed = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // In this order: the first signal must not meet the flag that it sets itself.
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&armed))
                .and_then(|_| flag::register(number, Arc::clone(&armed)))
                .map_err(deaf)?;
        }
        Interrupt::patient()
    }

    /// The same for a launcher, which has children to end first: it looks for the second signal
    /// itself, with [`Interrupt::take`].
    pub(super) fn patient() -> Result<Interrupt> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM] {
            flag::register_usize(number, Arc::clone(&signal), number as usize).map_err(deaf)?;
        }
        Ok(Interrupt { signal })
    }

    /// The signal that has come since the last call, if one has.
    pub(super) fn take(&self) -> Option<u8> {
        match self.signal.swap(0, Ordering::SeqCst) {
            0 => None,
            number => u8::try_from(number).ok(),
        }
    }

    /// Remembers a signal that came to the launcher instead.
    pub(super) fn remember(&self, signal: u8) {
        let known = self.signal.load(Ordering::SeqCst);
        if known == 0 {
            self.signal.store(usize::from(signal), Ordering::SeqCst);
        }
    }

    /// Becomes the number of the signal once one has come; 0 before.
    pub(super) fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.signal)
    }

    /// The signal that has come, if one has.
    pub(super) fn signal(&self) -> Option<u8> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            number => u8::try_from(number).ok(),
        }
    }
}

fn deaf(error: std::io::Error) -> Error {
    Error::Other(format!("cannot listen for signals: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // What the second signal does is shown with real processes in tests/cli.rs: here it would end
    // the test run.
    #[test]
    fn a_signal_is_remembered() {
        let interrupt = Interrupt::install().unwrap();
        assert_eq!(interrupt.signal(), None);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert_eq!(interrupt.signal(), Some(15));
    }
}
