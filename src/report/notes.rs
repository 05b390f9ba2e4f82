//! What people read while a run goes on: notes, warnings and a progress bar, all on stderr.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Says things to the person at the terminal. Shared by all threads of a run.
///
/// With `--quiet` only [`Notes::error`] writes. A progress bar is drawn only on a terminal. A
/// stderr that cannot be written to is not worth ending a run for, so failures are dropped.
pub struct Notes {
    quiet: bool,
    terminal: bool,
    out: Mutex<Box<dyn Write + Send>>,
    bar: Mutex<Option<ProgressBar>>,
}

impl Notes {
    /// Notes to `out`, none if `quiet`; a progress bar on stderr if it is a `terminal`.
    pub fn new(quiet: bool, terminal: bool, out: Box<dyn Write + Send>) -> Notes {
        Notes {
            quiet,
            terminal,
            out: Mutex::new(out),
            bar: Mutex::new(None),
        }
    }

    /// Notes that nobody hears: for tests and for ranks that only work.
    pub fn silent() -> Notes {
        Notes::new(true, false, Box::new(std::io::sink()))
    }

    /// Writes one or more whole lines, unless quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
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

    /// Begins a stage of `length` steps, shown as a bar under the name `what`. The bar goes away
    /// with the returned value; only one is shown at a time.
    pub fn progress(&self, what: &str, length: u64) -> Progress<'_> {
        if !self.quiet && self.terminal {
            let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
            bar.set_style(style());
            bar.set_prefix(what.to_owned());
            *lock(&self.bar) = Some(bar);
        }
        Progress { notes: self }
    }

    fn write(&self, text: &str) {
        let print = || {
            let mut out = lock(&self.out);
            // One write for the line and its end: lines of several processes do not mix.
            let _ = out
                .write_all(format!("{}\n", text.trim_end()).as_bytes())
                .and_then(|()| out.flush());
        };
        match lock(&self.bar).as_ref() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

/// A stage under way; dropping it removes its bar.
pub struct Progress<'notes> {
    notes: &'notes Notes,
}

impl Progress<'_> {
    /// The stage has come to `step`, and `message` says how it stands.
    pub fn set(&self, step: u64, message: &str) {
        if let Some(bar) = lock(&self.notes.bar).as_ref() {
            bar.set_message(message.to_owned());
            bar.set_position(step);
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = lock(&self.notes.bar).take() {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    let template = "{prefix} [{bar:30}] {pos}/{len} {elapsed}<{eta} {msg}";
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// A note must come through even after a panic elsewhere.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

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
        let progress = notes.progress("training", 10);
        progress.set(3, "half way");
        notes.note("the model is not saved");
        notes.warning("one host is slow");
        notes.error("data.svm:17:9: expected index:value");
        drop(progress);
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
        let template = "{prefix} [{bar:30}] {pos}/{len} {elapsed}<{eta} {msg}";
        assert!(ProgressStyle::with_template(template).is_ok());
    }
}
