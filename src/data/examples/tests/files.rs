//! Several files, guesses, pieces and threads, garbage.

use proptest::prelude::*;

use super::*;

#[test]
fn the_format_is_guessed_and_a_wrong_guess_says_so() {
    use ExamplesFormat::{Csv, Libsvm, MatrixMarket, Npy};
    let market = "%%MatrixMarket matrix array real general\n1 1\n5\n";
    for (name, text, format) in [
        ("x", "1 2:3 4:5\n1 2:3\n", Libsvm),
        ("x", "red 2:3\n", Libsvm),
        ("x.svm", "1\n2 1:1\n", Libsvm),
        ("x", "a,b,c\n1,2,3\n", Csv),
        ("x", "T,2,3,9\nF,5,4,3\n", Csv),
        ("x", "1 2 3\n", Csv),
        ("x.csv.gz", "1,2\n", Csv),
        ("x.csv", market, MatrixMarket),
        ("x.txt", market, MatrixMarket),
    ] {
        let folder = Folder::new();
        let read = load_examples(&[folder.put(name, text)], &ExamplesOptions::default());
        assert_eq!(read.unwrap().format, format, "{text}");
    }
    assert_eq!("npy".parse(), Ok(Npy));
    assert!(
        "nd".parse::<ExamplesFormat>()
            .unwrap_err()
            .contains("libsvm|csv|matrix-market|npy|idx")
    );
    let none = ExamplesOptions::default();
    assert_eq!(
        refusal("once upon a time\nthere was\n", &none),
        "data:1:1: expected examples in a format that can be told from their look, saw `once`; say \
         which with `--format libsvm|csv|matrix-market|npy|idx`"
    );
    let said = refusal("1 1:1\n2 x:1\n", &none);
    assert!(
        said.ends_with("(read as libsvm by its content, --format says otherwise)"),
        "{said}"
    );
    let folder = Folder::new();
    let two = [folder.put("a.csv", "1,2\n"), folder.put("b.svm", "1 1:1\n")];
    let said = folder.refusal(&two, &none);
    assert!(
        said.contains("b.svm: expected csv like the files before"),
        "{said}"
    );
    let said = folder.refusal(&[folder.put("d", b"petuum\0D....")], &none);
    assert!(said.contains("saw a design"), "{said}");
}

#[test]
fn several_files_are_one_set_and_must_agree() {
    let folder = Folder::new();
    let a = folder.put("a.csv", "y,a\n1,2\n");
    let b = folder.put("b.csv.gz", packed(b"y,a\n3,4\n"));
    let read = load_examples(&[a.clone(), b], &ExamplesOptions::default()).unwrap();
    assert_eq!(read.features, dense(1, &[2.0, 4.0]));
    let c = folder.put("c.csv", "3,4,5\n");
    let said = folder.refusal(&[a.clone(), c], &ExamplesOptions::default());
    assert!(
        said.starts_with("c.csv: expected 1 features as in the files before, saw 3 fields"),
        "{said}"
    );
    let d = folder.put("d.csv", "y,b\n1,2\n");
    let said = folder.refusal(&[a.clone(), d], &ExamplesOptions::default());
    assert!(
        said.starts_with("d.csv:1: expected the same header"),
        "{said}"
    );
    let options = ExamplesOptions {
        width: Some(2),
        ..ExamplesOptions::default()
    };
    let untargeted = load_examples(std::slice::from_ref(&a), &options).unwrap();
    assert_eq!(
        (untargeted.features.width(), untargeted.targets),
        (2, Targets::None)
    );
    let options = ExamplesOptions {
        width: Some(7),
        ..ExamplesOptions::default()
    };
    assert!(
        folder
            .refusal(&[a], &options)
            .contains("expected 7 features as the model was trained with, saw")
    );
}

/// A few thousand examples as libsvm and as csv.
fn generated() -> [String; 2] {
    let (mut svm, mut csv) = (String::new(), String::from("label,a,b,c,d\n"));
    for row in 0..3000u32 {
        let label = if row % 5 == 0 {
            "even".to_owned()
        } else {
            (row % 7).to_string()
        };
        svm += &label;
        csv += &label;
        for column in 0..4u32 {
            let value =
                f64::from(row * 31 % 17 * (column + 1)) / [1.0, 8.0, -3.0, 1e12][column as usize];
            csv += &format!(",{value}");
            if !(row + column).is_multiple_of(3) {
                svm += &format!(" {}:{value}", column * 1000 + row % 50 + 1);
            }
        }
        svm += if row % 11 == 0 { " # note\r\n\n" } else { "\n" };
        csv += if row % 11 == 0 { "\r\n\n" } else { "\n" };
    }
    [svm, csv]
}

#[test]
fn pieces_threads_and_packing_change_nothing() {
    let folder = Folder::new();
    for text in generated() {
        let plain = folder.put("data", &text);
        let gz = folder.put("data.gz", packed(text.as_bytes()));
        let whole =
            load_examples(std::slice::from_ref(&plain), &ExamplesOptions::default()).unwrap();
        assert_eq!((whole.rows(), whole.targets.len()), (3000, 3000));
        for (piece_bytes, threads) in [(1, 1), (100, 3), (1000, 2), (20_000, 4)] {
            for path in [&plain, &gz] {
                let options = ExamplesOptions {
                    piece_bytes,
                    threads,
                    ..ExamplesOptions::default()
                };
                let read = load_examples(std::slice::from_ref(path), &options).unwrap();
                assert_eq!(read.features, whole.features);
                assert_eq!(read.targets, whole.targets);
                assert_eq!(read.names, whole.names);
            }
        }
    }
}

#[test]
fn lines_longer_than_a_head_are_read() {
    let width = 40_000;
    let line = |first: usize| {
        (0..=width)
            .map(|n| (n + first).to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    let names: Vec<String> = (0..=width).map(|n| format!("x{n}")).collect();
    let text = format!("{}\n{}\n{}\n", names.join(","), line(7), line(8));
    for bytes in [text.as_bytes().to_vec(), packed(text.as_bytes())] {
        let read = read(bytes, &of(ExamplesFormat::Csv)).unwrap();
        assert_eq!(read.features.width(), width);
        assert_eq!(read.features.dense_row(1).unwrap()[width - 1], 40_008.0);
        assert_eq!(read.names.unwrap()[0], "x1");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(
        bytes in prop::collection::vec(prop::sample::select(b"0123456789.,;:-+eE \t\r\n\"#%nax\0\x93".to_vec()), 0..300),
        format in 0usize..5,
        guess: bool,
        piece_bytes in 1usize..64,
    ) {
        let options = ExamplesOptions {
            format: (!guess).then(|| ExamplesFormat::ALL[format]),
            piece_bytes,
            threads: 2,
            ..ExamplesOptions::default()
        };
        if let Ok(read) = read(&bytes, &options) {
            prop_assert!(read.rows() > 0 && read.features.width() > 0);
            prop_assert!(read.targets.is_empty() || read.targets.len() == read.rows());
        }
    }

    #[test]
    fn damaged_files_never_panic(at in 0usize..200, byte: u8, which in 0usize..4) {
        let mut bytes = [
            npy("<f4", false, "(2, 3)", &[0; 24]),
            vec![0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4],
            b"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 1\n".to_vec(),
            b"%%MatrixMarket matrix array real general\n2 2\n1 1 1 1\n".to_vec(),
        ][which].clone();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(&bytes, &ExamplesOptions::default());
        let _ = read(&bytes[..at.max(1)], &ExamplesOptions::default());
    }
}
