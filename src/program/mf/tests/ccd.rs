//! `--method ccd`: the objective never increases, whatever holds the residuals.

use super::*;

#[test]
fn the_objective_is_that_of_the_saved_model_over_any_transport() {
    let folder = scattered();
    for transport in [InProcess::Local, InProcess::Coded] {
        for (ranks, workers, flags) in [
            (1, 1, "-k 5 --method ccd"),
            (1, 3, "-k 17 --no-bias --method ccd"),
            (2, 2, "-k 6 --nonnegative --method ccd --inner-iterations 3"),
        ] {
            is_of_the_saved_model(folder.path(), transport, (ranks, workers), flags);
        }
    }
}

#[test]
fn the_objective_never_increases_and_planted_ratings_are_predicted() {
    let folder = small();
    let best = reachable(folder.path());
    let line = format!("{} -k 8 --method ccd", files(folder.path()));
    for flags in ["", "--inner-iterations 4", "--nonnegative"] {
        // A clock is a factor, most of the time.
        let settings = Settings {
            clocks_per_pass: 9,
            ..settings(9 * 15)
        };
        let records = train(&format!("{line} {flags}"), 1, 2, &settings);
        let falls = |two: &[Record]| two[1].objective <= two[0].objective * (1.0 + 1e-6);
        assert!(records.windows(2).all(falls), "{records:?}");
        let rmse = last_column(&records, 1);
        assert!((best..1.25 * best).contains(&rmse), "{flags} {rmse} {best}");
    }
}

/// Where no coordinate can be bettered any more, exact solutions of rows cannot either.
#[test]
fn many_passes_end_where_least_squares_stay() {
    let folder = small();
    let objective = |flags: &str, clocks| {
        let line = format!("{} -k 2 --regularization 0.3 {flags}", files(folder.path()));
        train(&line, 1, 2, &settings(clocks)).last().unwrap().objective
    };
    let (ccd, als) = (objective("--method ccd", 150), objective("--method als", 150));
    assert!((ccd / als - 1.0).abs() < 1e-4, "{ccd} {als}");
}

#[test]
fn equal_seeds_give_equal_bits_however_workers_are_spread() {
    let folder = small();
    let line = format!("{} -k 6 --method ccd", files(folder.path()));
    let once = values(&train(&line, 1, 4, &settings(3)));
    assert_eq!(once, values(&train(&line, 2, 2, &settings(3))));
    assert_eq!(once, values(&train_over(InProcess::Local, &line, 4, 1, &settings(3))));
}

#[test]
fn a_run_goes_on_from_its_checkpoint_bit_for_bit() {
    let folder = small();
    let line = format!("{} -k 6 --method ccd", files(folder.path()));
    let of = |clocks| Settings {
        clocks_per_pass: 3,
        ..settings(clocks)
    };
    let whole = values(&train(&line, 2, 2, &of(8)));
    let first = Settings {
        checkpoint: Some(folder.path().join("checkpoints")),
        ..of(4)
    };
    train(&line, 2, 2, &first);
    let rest = Settings {
        resume: true,
        clocks: Some(8),
        ..first
    };
    assert_eq!(values(&train(&line, 2, 2, &rest)).last(), whole.last());
}
