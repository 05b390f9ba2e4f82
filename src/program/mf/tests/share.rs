//! `--parallel data`: items in a shared table.

use super::*;

#[test]
fn the_objective_is_that_of_the_saved_model_over_any_transport() {
    let folder = scattered();
    for transport in [InProcess::Local, InProcess::Coded] {
        for (ranks, workers, flags) in [
            (1, 1, "-k 5 --parallel data"),
            (1, 3, "-k 17 --no-bias --parallel data --step-scaling none"),
            (2, 2, "-k 33 --nonnegative --parallel data"),
            (3, 1, "-k 4 --parallel data --step-scaling staleness"),
        ] {
            is_of_the_saved_model(folder.path(), transport, (ranks, workers), flags);
        }
    }
}

/// One worker that reads everything once a pass does what one block that rotates does.
#[test]
fn one_worker_alone_goes_the_way_of_a_single_block() {
    let folder = small();
    let flags = "-k 8 --blocks-per-worker 1 --learning-rate 0.2";
    let line = format!("{} {flags}", files(folder.path()));
    let rotating = train(&line, 1, 1, &settings(4));
    let shared = train(&format!("{line} --parallel data"), 1, 1, &settings(4));
    for (one, other) in rotating.iter().zip(&shared) {
        let difference = one.objective / other.objective - 1.0;
        assert!(difference.abs() < 1e-4, "{difference}");
    }
}

#[test]
fn equal_seeds_give_equal_bits_however_workers_are_spread() {
    let folder = small();
    let line = format!("{} -k 8 --parallel data", files(folder.path()));
    let settings = Settings {
        clocks_per_pass: 3,
        ..settings(7)
    };
    let once = values(&train(&line, 1, 4, &settings));
    assert_eq!(once, values(&train(&line, 2, 2, &settings)));
    assert_eq!(once, values(&train_over(InProcess::Local, &line, 1, 4, &settings)));
    assert_eq!(once, values(&train(&line, 4, 1, &settings)));
}

#[test]
fn planted_ratings_are_predicted_under_every_consistency() {
    let folder = small();
    let best = reachable(folder.path());
    let line = format!("{} -k 8 --parallel data", files(folder.path()));
    for consistency in [
        Consistency::Bsp,
        Consistency::Ssp,
        Consistency::Essp,
        Consistency::Async,
    ] {
        let settings = Settings {
            consistency,
            staleness: 2,
            clocks_per_pass: 4,
            evaluate_every: 20,
            ..settings(120)
        };
        let records = train(&line, 2, 2, &settings);
        let rmse = last_column(&records, 1);
        assert!((best..1.2 * best).contains(&rmse), "{consistency:?}: {rmse} {best}");
    }
}

/// With many workers and few clocks a pass, what is stable alone goes too far, unless steps know.
#[test]
fn steps_that_know_of_other_workers_stand_longer_rates() {
    let folder = small();
    let line = format!("{} -k 8 --parallel data --learning-rate 0.2", files(folder.path()));
    let after = |scaling: &str| {
        let line = format!("{line} --step-scaling {scaling}");
        let make = || Ok(Mf::new(options::<Options>(&line)));
        let records = run_in_process(InProcess::Local, 1, 8, &settings(12), make);
        records.map_or(f64::INFINITY, |records| last_column(&records, 1))
    };
    let [none, staleness, delay] = ["none", "staleness", "delay"].map(after);
    assert!(staleness < 1.2 * reachable(folder.path()), "{staleness}");
    assert!(none > 1.0, "{none}");
    // Under bsp nothing but the other workers' present clock is missing.
    assert_eq!(staleness, delay);
}

#[test]
fn a_run_goes_on_from_its_checkpoint_bit_for_bit() {
    let folder = small();
    let line = format!("{} -k 8 --parallel data", files(folder.path()));
    let of = |clocks| Settings {
        clocks_per_pass: 2,
        ..settings(clocks)
    };
    let whole = values(&train(&line, 2, 2, &of(7)));
    let checkpoints: PathBuf = folder.path().join("checkpoints");
    let first = Settings {
        checkpoint: Some(checkpoints),
        evaluate_every: 2,
        ..of(3)
    };
    train(&line, 2, 2, &first);
    let rest = Settings {
        resume: true,
        clocks: Some(7),
        ..first
    };
    let resumed = values(&train(&line, 2, 2, &rest));
    assert_eq!(resumed.last(), whole.last());
}
