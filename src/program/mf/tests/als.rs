//! `--method als`: each half is solved exactly, whatever holds the rows.

use super::*;

/// A saved model in doubles, and the ratings by row.
#[derive(Clone)]
struct Dense {
    k: usize,
    mean: f64,
    users: Vec<f64>,
    items: Vec<f64>,
    biases: [Vec<f64>; 2],
    ratings: Vec<(usize, usize, f64)>,
}

impl Dense {
    fn of(saved: &Saved, train: &Path) -> Dense {
        let biases = ["user_biases", "item_biases"].map(|name| saved.floats(name));
        let users = saved.floats("user_factors");
        let row = |side: usize, id: &str| saved.ids[side].iter().position(|x| x == id).unwrap();
        Dense {
            k: users.len() / biases[0].len(),
            mean: saved.mean(),
            items: saved.floats("item_factors"),
            ratings: triples(train)
                .iter()
                .map(|(user, item, rating)| (row(0, user), row(1, item), *rating))
                .collect(),
            users,
            biases,
        }
    }

    fn product(&self, user: usize, item: usize) -> f64 {
        let p = &self.users[user * self.k..][..self.k];
        let q = &self.items[item * self.k..][..self.k];
        p.iter().zip(q).map(|(p, q)| p * q).sum()
    }

    /// The objective, once per rating.
    fn explicit(&self, lambda: f64) -> f64 {
        let square = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
        let deviations = self.ratings.iter().map(|rating| (rating.2 - self.mean).powi(2));
        let deviation = (deviations.sum::<f64>() / self.ratings.len() as f64).sqrt();
        let of_rating = |&(user, item, rating): &(usize, usize, f64)| {
            let (b, c) = (self.biases[0][user], self.biases[1][item]);
            let error = rating - self.mean - b - c - self.product(user, item);
            let p = &self.users[user * self.k..][..self.k];
            let q = &self.items[item * self.k..][..self.k];
            error * error + lambda * (square(p) + square(q) + (b * b + c * c) / deviation)
        };
        self.ratings.iter().map(of_rating).sum()
    }

    /// The objective of `--implicit`, over every cell of the matrix.
    fn implicit(&self, lambda: f64, confidence: f64) -> f64 {
        let (users, items) = (self.biases[0].len(), self.biases[1].len());
        let mut seen = vec![0.0; users * items];
        for &(user, item, rating) in &self.ratings {
            seen[user * items + item] += rating;
        }
        let cells = seen.iter().enumerate().map(|(at, rating)| {
            let liked = if *rating > 0.0 { 1.0 } else { 0.0 };
            let error: f64 = liked - self.product(at / items, at % items);
            (1.0 + confidence * rating) * error * error
        });
        let squares = self.users.iter().chain(&self.items).map(|x| x * x);
        cells.sum::<f64>() + lambda * squares.sum::<f64>()
    }

    /// By how much the objective changes with each factor and bias of the items, by central
    /// differences; with the value of the factor or bias.
    fn item_slopes(&self, objective: impl Fn(&Dense) -> f64) -> Vec<(f64, f64)> {
        let number = self.items.len() + self.biases[1].len();
        let slope = |at: usize| {
            let moved = |by: f64| {
                let mut moved = self.clone();
                match at.checked_sub(self.items.len()) {
                    None => moved.items[at] += by,
                    Some(at) => moved.biases[1][at] += by,
                }
                objective(&moved)
            };
            let value = match at.checked_sub(self.items.len()) {
                None => self.items[at],
                Some(at) => self.biases[1][at],
            };
            ((moved(1e-4) - moved(-1e-4)) / 2e-4, value)
        };
        (0..number).map(slope).collect()
    }
}

/// Ratings of a few users and items, some 0, some pairs twice.
fn counted() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::stream(8, 0, 0, 0);
    let mut line = |_| format!("u{}\t{}\t{}\n", rng.below(9), rng.below(7), rng.below(4));
    let text: String = (0..40).map(&mut line).collect();
    fs::write(folder.path().join("r.tsv"), text).unwrap();
    let text: String = (0..15).map(&mut line).collect();
    fs::write(folder.path().join("t.tsv"), text).unwrap();
    folder
}

#[test]
fn the_objective_is_that_of_the_saved_model_and_items_have_no_slope() {
    let folder = scattered();
    for transport in [InProcess::Local, InProcess::Coded] {
        for (ranks, workers, flags) in [
            (1, 1, "-k 5 --method als"),
            (1, 3, "-k 17 --no-bias --method als"),
            (2, 2, "-k 6 --nonnegative --method als"),
        ] {
            let saved = is_of_the_saved_model(folder.path(), transport, (ranks, workers), flags);
            let dense = Dense::of(&saved, &folder.path().join("r.tsv"));
            let mut slopes = dense.item_slopes(|dense| dense.explicit(0.2));
            if flags.contains("--no-bias") {
                slopes.truncate(dense.items.len());
            }
            for (at, (slope, value)) in slopes.into_iter().enumerate() {
                // Ratings are up to 100 here, so that slopes before the first pass are thousands.
                let is_bound = flags.contains("--nonnegative") && at < dense.items.len();
                let bound = is_bound && value == 0.0;
                assert!(slope.abs() < 1.0 || (bound && slope > -1.0), "{flags} {slope} {value}");
            }
        }
    }
}

#[test]
fn implicit_ratings_are_those_of_the_whole_matrix() {
    let folder = counted();
    let (data, test) = (folder.path().join("r.tsv"), folder.path().join("t.tsv"));
    for (ranks, workers, flags) in [
        (1, 1, "-k 3"),
        (2, 2, "-k 2 --nonnegative"),
        (1, 3, "-k 18 --confidence 2.5"),
    ] {
        let model = folder.path().join(format!("model{ranks}{workers}"));
        let settings = Settings {
            output: Some(model.clone()),
            ..settings(5)
        };
        let line = format!(
            "{} --test {} --method als --implicit --regularization 0.3 {flags}",
            data.display(),
            test.display()
        );
        let records = train(&line, ranks, workers, &settings);
        let dense = Dense::of(&Saved::read(&model), &data);
        let confidence = if flags.contains("2.5") { 2.5 } else { 40.0 };
        let found = dense.implicit(0.3, confidence);
        let said = records.last().unwrap().objective;
        assert!((said / found - 1.0).abs() < 1e-5, "{flags} {said} {found}");
        let slopes = dense.item_slopes(|dense| dense.implicit(0.3, confidence));
        for (slope, value) in &slopes[..dense.items.len()] {
            let bound = flags.contains("--nonnegative") && *value == 0.0;
            assert!(slope.abs() < 0.02 || (bound && *slope > -0.02), "{flags} {slope}");
        }
        let falls = records.windows(2).all(|two| two[1].objective <= two[0].objective * (1.0 + 1e-6));
        assert!(falls, "{records:?}");
        assert_eq!(dense.mean, 0.0);
        assert!(dense.biases.concat().iter().all(|b| *b == 0.0));
        // Half of the pairs were seen; a test error of 1 is what all zeros have.
        assert!(last_column(&records, 0) < 0.9 && last_column(&records, 1) < 1.2);
    }
}

#[test]
fn the_objective_never_increases_and_planted_ratings_are_predicted() {
    let folder = small();
    let best = reachable(folder.path());
    let line = format!("{} -k 8 --method als", files(folder.path()));
    let records = train(&line, 1, 2, &settings(12));
    let falls = |two: &[Record]| two[1].objective <= two[0].objective * (1.0 + 1e-6);
    assert!(records.windows(2).all(falls), "{records:?}");
    let rmse = last_column(&records, 1);
    assert!((best..1.15 * best).contains(&rmse), "{rmse} {best}");
}

#[test]
fn equal_seeds_give_equal_bits_however_workers_are_spread() {
    let folder = small();
    for flags in ["--method als", "--method als --implicit", "--method als --nonnegative"] {
        let line = format!("{} -k 6 {flags}", files(folder.path()));
        let once = values(&train(&line, 1, 4, &settings(3)));
        assert_eq!(once, values(&train(&line, 2, 2, &settings(3))));
        assert_eq!(once, values(&train_over(InProcess::Local, &line, 4, 1, &settings(3))));
        let stale = Settings {
            consistency: Consistency::Async,
            ..settings(3)
        };
        assert_eq!(once, values(&train(&line, 1, 4, &stale)));
    }
}

#[test]
fn halves_are_clocks_too_and_a_run_goes_on_between_them() {
    let folder = small();
    let line = format!("{} -k 8 --method als --nonnegative", files(folder.path()));
    let passes = values(&train(&line, 2, 2, &settings(3)));
    let of = |clocks| Settings {
        clocks_per_pass: 2,
        ..settings(clocks)
    };
    let halves = values(&train(&line, 2, 2, &of(6)));
    for (at, pass) in passes.iter().enumerate() {
        let half = &halves[2 * at + 1];
        assert_eq!((half.1, &half.2), (pass.1, &pass.2));
    }
    for clocks in [3, 4] {
        let first = Settings {
            checkpoint: Some(folder.path().join(format!("checkpoints{clocks}"))),
            ..of(clocks)
        };
        train(&line, 2, 2, &first);
        let rest = Settings {
            resume: true,
            clocks: Some(6),
            ..first
        };
        assert_eq!(values(&train(&line, 2, 2, &rest)).last(), halves.last());
    }
}
