//! Work spread over threads, its results taken in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Hands results that arrive in any order to a sink in the order of their indices, from 0.
pub(super) struct InOrder<T, E, F> {
    sink: F,
    /// Index of the result that the sink takes next.
    next: usize,
    /// Results that came before their turn.
    waiting: BTreeMap<usize, T>,
    /// The failure with the smallest index so far.
    failure: Option<(usize, E)>,
}

impl<T, E, F: FnMut(T)> InOrder<T, E, F> {
    /// Nothing has arrived yet.
    pub(super) fn new(sink: F) -> InOrder<T, E, F> {
        InOrder {
            sink,
            next: 0,
            waiting: BTreeMap::new(),
            failure: None,
        }
    }

    /// Takes the result with this index.
    pub(super) fn put(&mut self, index: usize, result: Result<T, E>) {
        match result {
            Ok(value) => {
                self.waiting.insert(index, value);
            }
            Err(failure) => {
                if self
                    .failure
                    .as_ref()
                    .is_none_or(|(first, _)| index < *first)
                {
                    self.failure = Some((index, failure));
                }
            }
        }
        while let Some(value) = self.waiting.remove(&self.next) {
            (self.sink)(value);
            self.next += 1;
        }
    }

    /// The first failure, if any.
    pub(super) fn finish(self) -> Result<(), E> {
        self.failure.map_or(Ok(()), |(_, failure)| Err(failure))
    }
}

/// The value in a mutex, whatever became of other threads: a panic of theirs is passed on when they
/// are joined.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work(0)` to `work(n - 1)` on up to `threads` threads and hands the results to `sink` in
/// order, as soon as they can be.
///
/// # Errors
/// The failure with the smallest index: indices are begun in order, and none is begun after a
/// failure.
pub(super) fn spread_into<T: Send, E: Send>(
    threads: usize,
    n: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
    mut sink: impl FnMut(T) + Send,
) -> Result<(), E> {
    if threads <= 1 || n <= 1 {
        return (0..n).try_for_each(|index| work(index).map(&mut sink));
    }
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results = Mutex::new(InOrder::new(sink));
    let run = || {
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= n {
                break;
            }
            let result = work(index);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            locked(&results).put(index, result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(n) {
            scope.spawn(run);
        }
        run();
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.finish()
}

/// [`spread_into`] a list.
///
/// # Errors
/// The failure with the smallest index.
pub(crate) fn spread<T: Send, E: Send>(
    threads: usize,
    n: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let mut results = Vec::with_capacity(n);
    spread_into(threads, n, work, |result| results.push(result))?;
    Ok(results)
}

/// Values that threads work with in turns: each takes one that is idle, or makes another.
#[derive(Debug)]
pub(super) struct Pool<T> {
    /// Those that nobody uses, with their numbers, and how many were made.
    idle: Mutex<(Vec<(usize, T)>, usize)>,
}

impl<T> Pool<T> {
    /// Nothing yet.
    pub(super) fn new() -> Pool<T> {
        Pool {
            idle: Mutex::new((Vec::new(), 0)),
        }
    }

    /// Lends a value and its number to `work`.
    pub(super) fn lend<R>(
        &self,
        make: impl FnOnce() -> T,
        work: impl FnOnce(usize, &mut T) -> R,
    ) -> R {
        let idle = {
            let (idle, made) = &mut *locked(&self.idle);
            idle.pop().ok_or_else(|| {
                *made += 1;
                *made - 1
            })
        };
        let (number, mut value) = idle.unwrap_or_else(|number| (number, make()));
        let result = work(number, &mut value);
        locked(&self.idle).0.push((number, value));
        result
    }

    /// All values by number, from 0.
    pub(super) fn finish(self) -> Vec<T> {
        let (mut all, _) = self
            .idle
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, value)| value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_keeps_the_order_and_reports_the_first_failure() {
        for threads in 1..6 {
            let doubled = spread(threads, 100, |index| Ok::<_, ()>(index * 2));
            assert_eq!(
                doubled,
                Ok((0..100).map(|index| index * 2).collect::<Vec<_>>())
            );
            let failed = spread(threads, 100, |index| match index % 10 {
                7 => Err(index),
                _ => Ok(index),
            });
            assert_eq!(failed, Err(7));
        }
    }
}
