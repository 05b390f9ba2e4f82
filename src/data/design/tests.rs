//! Designs against the rows that they were made of, in memory and in files.

use std::fs;

use super::super::examples::{Examples, ExamplesOptions, Features, load_examples};
use super::*;

/// Examples of `rows` rows and 7 columns, one in `every` values not 0: among them a constant and an
/// empty column.
fn examples(rows: usize, every: usize, ones: bool) -> Examples {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for row in 0..rows {
        text += &format!("{}", row as f64 / 4.0);
        for column in 0..7 {
            let is_stored = column == 2 || (column != 5 && (row * 7 + column * 3) % every == 0);
            if is_stored {
                let value = if ones {
                    1.0
                } else {
                    (row % 13) as f64 - 20.5 * column as f64 + 1.0 / 3.0
                };
                text += &format!(" {}:{value}", column + 1);
            }
        }
        text += "\n";
    }
    let path = folder.path().join("x.svm");
    fs::write(&path, text).unwrap();
    let options = ExamplesOptions {
        width: Some(7),
        ..ExamplesOptions::default()
    };
    load_examples(&[path], &options).unwrap()
}

fn as_dense(mut examples: Examples) -> Examples {
    let width = examples.features.width();
    let mut values = vec![0.0; examples.rows() * width];
    for row in 0..examples.rows() {
        let (columns, of) = examples.features.sparse_row(row).unwrap();
        columns
            .iter()
            .zip(of)
            .for_each(|(column, value)| values[row * width + *column as usize] = *value);
    }
    examples.features = Features::Dense { width, values };
    examples
}

/// All columns, all values.
fn columns(examples: &Examples) -> Vec<Vec<f32>> {
    let dense = as_dense(examples.clone());
    let rows = 0..dense.rows();
    let value = |row: usize, column: usize| dense.features.dense_row(row).unwrap()[column];
    (0..dense.features.width())
        .map(|column| rows.clone().map(|row| value(row, column)).collect())
        .collect()
}

fn check(design: &Design, wanted: &[Vec<f32>]) {
    assert_eq!(
        (design.columns(), design.rows()),
        (wanted.len(), wanted[0].len())
    );
    let mut stored = 0;
    for (column, wanted) in wanted.iter().enumerate() {
        let seen = design.column(column);
        let mut values = vec![0.0; wanted.len()];
        seen.for_each(|row, value| values[row] = value);
        assert_eq!(&values, wanted, "column {column}");
        let filled = wanted.iter().filter(|value| **value != 0.0).count();
        assert!(design.is_dense() || seen.len() == filled);
        stored += seen.len() as u64;
        let sum: f64 = wanted.iter().map(|x| f64::from(*x)).sum();
        let squares: f64 = wanted.iter().map(|x| f64::from(*x).powi(2)).sum();
        assert_eq!(design.mean(column), (sum / wanted.len() as f64) as f32);
        assert_eq!(design.norm(column), squares.sqrt() as f32);
    }
    assert_eq!(design.values(), stored);
    assert!(
        (0..wanted.len())
            .all(|column| design.bytes_before(column) <= design.bytes_before(column + 1))
    );
}

fn write(path: &Path, examples: &Examples, kind: DesignKind) {
    let mut writer = DesignWriter::create(path, examples.rows(), kind).unwrap();
    for column in columns(examples) {
        writer.push_dense(&column).unwrap();
    }
    let names: Vec<String> = (0..7).map(|n| format!("x{n}·")).collect();
    let mut names = names.iter().map(String::as_str);
    writer
        .finish(
            &examples.targets,
            examples.weights.as_deref(),
            Some(&mut names),
        )
        .unwrap();
}

#[test]
fn a_design_holds_the_columns_of_its_rows() {
    for (rows, every, ones) in [
        (1, 2, false),
        (50, 9, false),
        (50, 9, true),
        (50, 1, false),
        (70_000, 11, false),
        (70_000, 11, true),
    ] {
        let sparse = examples(rows, every, ones);
        let wanted = columns(&sparse);
        let home = tempfile::tempdir().unwrap();
        for threads in [1, 3] {
            for examples in [sparse.clone(), as_dense(sparse.clone())] {
                let targets = examples.targets.clone();
                let design = Design::of(examples, threads).unwrap();
                check(&design, &wanted);
                assert_eq!(design.targets(), &targets);
                assert_eq!(design.is_dense(), every == 1 || rows == 1);
            }
        }
        for kind in [
            DesignKind::Dense,
            DesignKind::Sparse,
            DesignKind::SparseOnes,
        ] {
            if kind == DesignKind::SparseOnes && !ones {
                continue;
            }
            let path = home.path().join(format!("{kind:?}"));
            write(&path, &sparse, kind);
            let design = Design::open(&path, 2).unwrap();
            check(&design, &wanted);
            assert_eq!(design.is_dense(), kind == DesignKind::Dense);
            assert_eq!(design.number_targets().unwrap().len(), rows);
            assert_eq!(
                (design.name(0), design.name(6), design.name(7)),
                (Some("x0·"), Some("x6·"), None)
            );
            design.release(0..7);
            design.expect(2..3);
            check(&design, &wanted);
        }
        assert_eq!(
            fs::read_dir(home.path()).unwrap().count(),
            if ones { 3 } else { 2 },
            "no rubbish beside"
        );
    }
}

#[test]
fn a_damaged_design_is_refused_wherever_it_is_damaged() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("design");
    write(&path, &examples(40, 5, false), DesignKind::Sparse);
    assert!(Design::is_at(&path));
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let error = Design::open(&path, 1).unwrap_err();
        assert_eq!(error.status(), 65, "byte {at}");
    }
    for length in [1, 8, 100, 256, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        let error = Design::open(&path, 1).unwrap_err();
        assert!(error.to_string().contains("petuum convert"), "{error}");
    }
    fs::write(&path, &good).unwrap();
    Design::open(&path, 1).unwrap();
    let gone = Design::open(&home.path().join("nothing"), 1).unwrap_err();
    assert_eq!(gone.status(), 66);
}

#[test]
fn what_is_no_column_is_a_bug_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("design");
    let mut writer = DesignWriter::create(&path, 3, DesignKind::SparseOnes).unwrap();
    assert_eq!(writer.push_dense(&[1.0]).unwrap_err().status(), 101);
    for rows in [&[1, 1][..], &[2, 1], &[0, 3]] {
        assert_eq!(
            writer.push_sparse(rows, &[1.0, 1.0]).unwrap_err().status(),
            101
        );
    }
    assert_eq!(writer.push_sparse(&[0], &[2.0]).unwrap_err().status(), 101);
    assert_eq!(writer.columns(), 0);
    assert_eq!(
        writer
            .finish(&Targets::None, None, None)
            .unwrap_err()
            .status(),
        101
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    let missing = DesignWriter::create(&home.path().join("no/where"), 3, DesignKind::Dense);
    assert_eq!(missing.err().unwrap().status(), 73);
}
