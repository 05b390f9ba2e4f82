//! The clocks, run through every interleaving of their threads. See `sync.rs`.

use std::sync::Arc;

use shuttle::{check_dfs, thread};

use crate::ps::clock::Clocks;
use crate::ps::world::World;

/// Runs `works` at the same time, one thread each.
fn together<T: Send + 'static>(
    works: impl IntoIterator<Item = impl FnOnce() -> T + Send + 'static>,
) -> Vec<T> {
    let threads: Vec<_> = works.into_iter().map(thread::spawn).collect();
    let joined = threads.into_iter().map(|thread| thread.join());
    joined.map(|result| result.expect("no panic")).collect()
}

#[test]
fn somebody_always_notices_that_a_clock_is_complete() {
    let run = || {
        let clocks = Arc::new(Clocks::new(&World::new(&[2]), 0));
        let turn = |worker| {
            let clocks = Arc::clone(&clocks);
            move || {
                let completed = clocks.turn(worker);
                // What `Node::advance` does.
                (completed, clocks.raise_stamp(clocks.all()))
            }
        };
        let noticed = together([turn(0), turn(1)]);
        assert_eq!(
            noticed.iter().filter(|(completed, _)| *completed).count(),
            1
        );
        assert_eq!(noticed.iter().filter(|(_, news)| *news).count(), 1);
        assert_eq!((clocks.own(), clocks.all(), clocks.stamp()), (0, 0, 0));
    };
    check_dfs(run, None);
}

#[test]
fn a_clock_completes_with_the_last_rank_whoever_that_is() {
    let run = || {
        // One worker here, and the word of another rank.
        let clocks = Arc::new(Clocks::new(&World::new(&[1, 1]), 0));
        let (here, there) = (Arc::clone(&clocks), Arc::clone(&clocks));
        let work = move |own: bool| {
            let clocks = if own { &here } else { &there };
            match own {
                true => clocks.turn(0),
                false => clocks.raise(1, 0),
            };
            let stamp = clocks.stamp();
            let news = clocks.raise_stamp(clocks.all());
            assert!(clocks.stamp() >= stamp, "a stamp went back");
            news
        };
        let work = Arc::new(work);
        let noticed = together([true, false].map(|own| {
            let work = Arc::clone(&work);
            move || work(own)
        }));
        assert!(noticed.contains(&true));
        assert_eq!(clocks.stamp(), 0);
    };
    check_dfs(run, None);
}

#[test]
fn no_stamp_is_news_twice_and_none_is_ahead_of_a_worker() {
    let run = || {
        let clocks = Arc::new(Clocks::new(&World::new(&[2]), 0));
        let work = |worker| {
            let clocks = Arc::clone(&clocks);
            move || {
                let mut news = 0;
                for clock in 0..2 {
                    clocks.turn(worker);
                    news += u32::from(clocks.raise_stamp(clocks.all()));
                    assert!(
                        clocks.stamp() <= clock,
                        "a clock that this worker has not completed"
                    );
                }
                news
            }
        };
        let news: u32 = together([work(0), work(1)]).iter().sum();
        // Both clocks may be noticed at once, but none twice.
        assert!(news == 1 || news == 2, "{news}");
        assert_eq!(clocks.stamp(), 1);
    };
    check_dfs(run, Some(200_000));
}
