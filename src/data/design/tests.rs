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
    if matches!(examples.features, Features::Dense { .. }) {
        return examples;
    }
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

/// Files in every format, of enough examples for several runs and pieces.
fn files(folder: &Path, ones: bool) -> Vec<(PathBuf, ExamplesOptions)> {
    let (rows, width) = (1500usize, 9usize);
    let value = |row: usize, column: usize| match (row * 31 + column * 17) % 23 {
        0 | 1 if ones => 1,
        n @ 0..4 if !ones => n as i32 - 2,
        _ => 0,
    };
    let [mut svm, mut csv, mut coordinates, mut array] = [const { String::new() }; 4];
    let mut entries = 0;
    for row in 0..rows {
        svm += &format!("{}", row % 3);
        csv += &format!("{}", row % 3);
        for column in 0..width {
            let value = value(row, column);
            csv += &format!(",{value}");
            if value != 0 {
                svm += &format!(" {}:{value}", column + 1);
                // From the last row up, a part of each entry twice.
                let row = rows - row;
                entries += 1;
                coordinates += &format!("{row} {} {value}\n", column + 1);
                if row % 100 == 7 {
                    entries += 1;
                    coordinates += &format!("{row} {} {value}\n", column + 1);
                }
            }
        }
        svm += "\n";
        csv += "\n";
    }
    for column in 0..width {
        (0..rows).for_each(|row| array += &format!("{}\n", value(row, column) * 2 + 1));
    }
    let market = "%%MatrixMarket matrix";
    let names = folder.join("names");
    fs::write(
        &names,
        (0..width).map(|n| format!("n{n}\n")).collect::<String>(),
    )
    .unwrap();
    let with_names = ExamplesOptions {
        names: Some(names),
        ..ExamplesOptions::default()
    };
    let texts = [
        ("a.svm", svm, with_names),
        ("a.csv", csv, ExamplesOptions::default()),
        (
            "c.mtx",
            format!("{market} coordinate integer general\n{rows} {width} {entries}\n{coordinates}"),
            ExamplesOptions::default(),
        ),
        (
            "d.mtx",
            format!("{market} array real general\n{rows} {width}\n{array}"),
            ExamplesOptions::default(),
        ),
    ];
    let put = |(name, text, options): (&str, String, ExamplesOptions)| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        (
            path,
            ExamplesOptions {
                piece_bytes: 4000,
                threads: 2,
                ..options
            },
        )
    };
    texts.into_iter().map(put).collect()
}

#[test]
fn a_converted_file_is_the_design_of_its_examples() {
    for ones in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("design");
        for (path, options) in files(home.path(), ones) {
            // The same file twice: examples of several files.
            let paths = [path.clone(), path.clone()];
            let examples = load_examples(&paths, &options).unwrap();
            let wanted = columns(&examples);
            let design = Design::of(examples, 2).unwrap();
            for memory in [0, 40_000, 1 << 20] {
                let converted = convert_examples(&paths, &options, &out, memory).unwrap();
                assert_eq!((converted.rows, converted.columns), (3000, 9));
                let opened = Design::open(&out, 2).unwrap();
                check(&opened, &wanted);
                assert_eq!(opened.is_dense(), design.is_dense(), "{}", path.display());
                assert_eq!(opened.targets(), design.targets());
                assert_eq!(opened.name(8), design.name(8));
                assert_eq!(opened.first_index(), design.first_index());
                let values = |design: &Design| {
                    matches!(design.column(0), ColumnRef::Sparse { values: None, .. })
                };
                assert_eq!(values(&opened), values(&design), "{}", path.display());
            }
        }
        assert_eq!(
            fs::read_dir(home.path()).unwrap().count(),
            6,
            "no rubbish beside"
        );
        let last = home.path().join("d.mtx");
        fs::write(&last, "%%MatrixMarket matrix array real general\n1 1\n5\n").unwrap();
        let stale = Design::open(&out, 1).unwrap_err().to_string();
        assert!(
            stale.contains("make the cache again") || stale.contains("convert"),
            "{stale}"
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
        assert!(
            error.to_string().contains("petuum convert --columns"),
            "{error}"
        );
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
