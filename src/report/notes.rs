//! What people read while a run goes on: notes, warnings and a progress bar, all on stderr.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Says things to the person at the terminal. Shared by all threads of a run; a clone is another
/// handle of the same.
///
/// With `--quiet` only [`Notes::error`] writes. A progress bar is drawn only on a terminal. A
/// stderr that cannot be written to is not worth ending a run for, so failures are dropped.
#[derive(Clone)]
pub struct Notes(Arc<Inner>);

struct Inner {
    quiet: bool,
    terminal: bool,
    out: Mutex<Box<dyn Write + Send>>,
    bar: Mutex<Option<ProgressBar>>,
}

impl Notes {
    /// Notes to `out`, none if `quiet`; a progress bar on stderr if it is a `terminal`.
    pub fn new(quiet: bool, terminal: bool, out: Box<dyn Write + Send>) -> Notes {
        Notes(Arc::new(Inner {
            quiet,
            terminal,
            out: Mutex::new(out),
            bar: Mutex::new(None),
        }))
    }

    /// Notes that nobody hears: for tests and for ranks that only work.
    pub fn silent() -> Notes {
        Notes::new(true, false, Box::new(std::io::sink()))
    }

    /// Writes one or more whole lines, unless quiet.
    pub fn note(&self, text: &str) {
        if !self.0.quiet {
            self.write(text);
        }
    }

    /// Like [`Notes::note`], marked as a warning.
    pub fn warning(&self, text: &str) {
        self.note(&format!("warning: {text}"));
    }

    /// Writes `petuum: text`, also when quiet.
    pub fn error(&self, text: &str) {
        self.write(&format!("petuum: {text}"));
    }

    /// Shows how far the run has come: clocks `done`, `of` how many if that is known, and the
    /// newest objective. The bar goes away when the last clock is done, or with the notes.
    pub fn progress(&self, done: i64, of: Option<i64>, objective: Option<f64>) {
        if self.0.quiet || !self.0.terminal {
            return;
        }
        let length = of.and_then(|of| u64::try_from(of).ok());
        let mut slot = lock(&self.0.bar);
        let bar = slot.get_or_insert_with(|| bar(length));
        if let Some(objective) = objective {
            bar.set_message(format!("objective {objective:.6e}"));
        }
        bar.set_position(u64::try_from(done).unwrap_or(0));
        if of == Some(done) {
            bar.finish_and_clear();
            *slot = None;
        }
    }

    fn write(&self, text: &str) {
        let print = || {
            let mut out = lock(&self.0.out);
            // One write for the line and its end: lines of several processes do not mix.
            let _ = out
                .write_all(format!("{}\n", text.trim_end()).as_bytes())
                .and_then(|()| out.flush());
        };
        match lock(&self.0.bar).as_ref() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(bar) = lock(&self.bar).take() {
            bar.finish_and_clear();
        }
    }
}

const STYLE: &str = "clock {pos}/{len} [{bar:30}] {elapsed}, {eta} left  {msg}";
/// Without an end in sight.
const OPEN_STYLE: &str = "clock {pos} {elapsed}  {msg}";

fn bar(length: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    let style = if length.is_some() { STYLE } else { OPEN_STYLE };
    let style = ProgressStyle::with_template(style);
    bar.with_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    )
}

/// A note must come through even after a panic elsewhere.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(quiet: bool) -> String {
        let out = Shared::default();
        let notes = Notes::new(quiet, false, Box::new(out.clone()));
        notes.progress(3, Some(10), Some(-1.5));
        notes.note("the model is not saved");
        notes.warning("one host is slow");
        notes.error("data.svm:17:9: expected index:value");
        let bytes = lock(&out.0).clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn notes_warnings_and_errors_are_lines() {
        assert_eq!(
            said(false),
            "the model is not saved\nwarning: one host is slow\n\
             petuum: data.svm:17:9: expected index:value\n"
        );
    }

    #[test]
    fn quiet_leaves_only_errors() {
        assert_eq!(said(true), "petuum: data.svm:17:9: expected index:value\n");
    }

    #[test]
    fn a_handle_is_shared_by_threads() {
        fn check<T: Sync + Send>() {}
        check::<Notes>();
    }

    #[test]
    fn the_bar_has_a_valid_style() {
        assert!(ProgressStyle::with_template(STYLE).is_ok());
        assert!(ProgressStyle::with_template(OPEN_STYLE).is_ok());
        let notes = Notes::new(false, true, Box::new(io::sink()));
        notes.progress(3, None, None);
        notes.note("between");
        notes.progress(4, Some(4), Some(0.5));
    }
}
