//! Every spelling of every format.

use super::*;

#[test]
fn libsvm_is_read_in_every_usual_spelling() {
    let wanted = sparse(4, &[&[(0, 1.0), (3, -2.5)], &[], &[(1, 0.125)]]);
    for text in [
        "1 1:1 4:-2.5\n-1\n2 2:.125\n",
        "+1\t1:1.0\t4:-25e-1 # a comment\r\n\r\n# another\n-1 \r\n2 qid:7 2:0.125",
        "\u{FEFF}1 1:1 3:0 4:-2.50  \n-1 1:0\n2.0 2:1.25e-1\n",
        "1 0001:1 4:-2.5 \n-1\n  2 2:+0.125\n",
    ] {
        let read = read(text, &of(ExamplesFormat::Libsvm)).unwrap();
        assert_eq!(read.features, wanted, "{text}");
        assert_eq!(read.number_targets().unwrap(), [1.0, -1.0, 2.0], "{text}");
        assert_eq!((read.first_index, read.unseen), (1, 0));
    }
}

#[test]
fn indices_begin_at_0_if_0_occurs_or_as_the_user_says() {
    let text = "a 0:1 2:3\nb 1:2\n";
    let read_as = |first_index, width| {
        let options = ExamplesOptions {
            first_index,
            width,
            ..ExamplesOptions::default()
        };
        read(text, &options)
    };
    let found = read_as(None, None).unwrap();
    assert_eq!(
        found.features,
        sparse(3, &[&[(0, 1.0), (2, 3.0)], &[(1, 2.0)]])
    );
    assert_eq!(found.first_index, 0);
    assert_eq!(found.class_targets().unwrap().names, ["a", "b"]);
    let clipped = read_as(Some(0), Some(2)).unwrap();
    assert_eq!(clipped.features, sparse(2, &[&[(0, 1.0)], &[(1, 2.0)]]));
    assert_eq!(clipped.unseen, 1);
    let wider = read_as(None, Some(9)).unwrap();
    assert_eq!((wider.features.width(), wider.unseen), (9, 0));
    let said = read_as(Some(1), None).unwrap_err().to_string();
    assert!(said.contains(":1:3: expected an index from 1 to"), "{said}");
    let from_0 = read(
        "1 1:1\n",
        &ExamplesOptions {
            first_index: Some(0),
            ..ExamplesOptions::default()
        },
    );
    assert_eq!(from_0.unwrap().features, sparse(2, &[&[(1, 1.0)]]));
}

#[test]
fn csv_is_read_in_every_usual_spelling() {
    let wanted = dense(2, &[1.5, 2.0, -3.0, 0.25]);
    for text in [
        "7,1.5,2\n-8,-3,0.25\n",
        "7;1.5;2\r\n\r\n-8;-3;0.25",
        "7\t1.5\t2\n-8\t-3\t.25\n",
        " 7  1.5 2 \n-8 -3   0.25\n",
        "y,a,b\n7,1.5,2\n-8,-3,0.25\n",
        "y,0,1\n7,1.5,2\n-8,-3,0.25\n",
        "\u{FEFF}\"y\",\"a, b\",\"say \"\"b\"\"\"\n\"7\",\"1.5\",+2\n-8, -3 ,25e-2\n",
    ] {
        let read = read(text, &of(ExamplesFormat::Csv)).unwrap();
        assert_eq!(read.features, wanted, "{text}");
        assert_eq!(read.number_targets().unwrap(), [7.0, -8.0], "{text}");
    }
    let named = read(
        "y,\"a, b\",\"say \"\"b\"\"\"\n7,1,2\n",
        &of(ExamplesFormat::Csv),
    )
    .unwrap();
    assert_eq!(named.names.unwrap(), ["a, b", "say \"b\""]);
    // Libsvm data for a model of this begins as such data does where nothing is known.
    assert_eq!(named.first_index, 1);
    let single = read("a b c\n", &of(ExamplesFormat::Csv));
    assert!(single.unwrap_err().to_string().contains("saw none"));
    assert_eq!(read("5,6\n", &of(ExamplesFormat::Csv)).unwrap().rows(), 1);
}

#[test]

fn the_target_is_where_the_user_says() {
    let text = "id,x,kind,w\n1,10,cat,1\n2,20,dog,0\n";
    let read_as = |target: &str, dropped: &[&str]| {
        let options = ExamplesOptions {
            target: Some(target.parse().unwrap()),
            weight: Some("w".parse().unwrap()),
            dropped: dropped.iter().map(|name| name.parse().unwrap()).collect(),
            ..ExamplesOptions::default()
        };
        read(text, &options)
    };
    for (target, dropped) in [("kind", ["id"]), ("3", ["1"]), ("last", ["1"])] {
        let read = read_as(target, &dropped).unwrap();
        assert_eq!(read.features, dense(1, &[10.0, 20.0]));
        assert_eq!(read.weights.as_ref().unwrap(), &[1.0, 0.0]);
        let classes = read.class_targets().unwrap();
        assert_eq!(
            (classes.names, classes.of),
            (vec!["cat".into(), "dog".into()], vec![0, 1])
        );
    }
    let first = read_as("first", &["kind"]).unwrap();
    assert_eq!(first.number_targets().unwrap(), [1.0, 2.0]);
    let none = read_as("none", &["kind"]).unwrap();
    assert_eq!(none.features.width(), 2);
    assert_eq!(none.number_targets().unwrap_err().status(), 65);
    for (target, dropped, words) in [
        (
            "9",
            "id",
            "1:1: expected a column 9 (said by --target-column), saw 4 columns",
        ),
        (
            "size",
            "id",
            "1:1: expected a column `size` (said by --target-column) in the header",
        ),
        ("w", "id", "1:1: expected column 4 to be one thing only"),
        ("x", "3", "2:1: expected"),
    ] {
        match read_as(target, &[dropped]) {
            Err(error) => assert!(error.to_string().contains(words), "{error}"),
            Ok(read) => assert_eq!(read.features.width(), 1),
        }
    }
}

#[test]
fn matrix_market_is_read_in_any_order() {
    let wanted = sparse(3, &[&[(0, 1.0), (2, 5.0)], &[], &[(1, -2.0)]]);
    let texts = [
        "%%MatrixMarket matrix coordinate real general\n% by hand\n\n3 3 4\n3 2 -2\n1 3 2.5\n1 1 1\n1 3 2.5\n",
        "%%matrixmarket MATRIX Coordinate Integer General\r\n3 3 5\r\n 1 1 1\r\n1  3 5 \r\n3 2 -2\r\n2 2 0\r\n2 1 0",
    ];
    for text in texts {
        assert_eq!(
            read(text, &ExamplesOptions::default()).unwrap().features,
            wanted
        );
    }
    let pattern = "%%MatrixMarket matrix coordinate pattern general\n2 2 2\n2 1\n1 2\n";
    let read_pattern = read(pattern, &ExamplesOptions::default()).unwrap();
    assert_eq!(
        read_pattern.features,
        sparse(2, &[&[(1, 1.0)], &[(0, 1.0)]])
    );
    let array = "%%MatrixMarket matrix array real general\n2 3\n1\n2\n3\n4 5\n\n6";
    let folder = Folder::new();
    let options = ExamplesOptions {
        targets: Some(folder.put("y", "target\n0.1\n-2\n")),
        weights: Some(folder.put("w", "1\n2")),
        names: Some(folder.put("n", "a\nb c\nd\n")),
        ..ExamplesOptions::default()
    };
    let read = load_examples(&[folder.put("data", array)], &options).unwrap();
    assert_eq!(read.features, dense(3, &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    assert_eq!(read.number_targets().unwrap(), [0.1, -2.0]);
    assert_eq!(read.weights.as_ref().unwrap(), &[1.0, 2.0]);
    assert_eq!(read.names.as_ref().unwrap(), &["a", "b c", "d"]);
    assert_eq!(read.files().count(), 3);
}

#[test]
fn arrays_of_numpy_are_read_whatever_their_type() {
    let wanted = dense(3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let all = |convert: &dyn Fn(u8) -> Vec<u8>| (1..=6).flat_map(convert).collect::<Vec<u8>>();
    let files = [
        npy(
            "<f4",
            false,
            "(2, 3)",
            &all(&|n| f32::from(n).to_le_bytes().to_vec()),
        ),
        npy(
            ">f8",
            false,
            "(2, 3)",
            &all(&|n| f64::from(n).to_be_bytes().to_vec()),
        ),
        npy("|u1", false, "(2, 3)", &[1, 2, 3, 4, 5, 6]),
        npy("|i1", true, "(2, 3)", &[1, 4, 2, 5, 3, 6]),
        npy(
            "<i8",
            false,
            "(2, 3, 1)",
            &all(&|n| i64::from(n).to_le_bytes().to_vec()),
        ),
        npy(
            "<u2",
            false,
            "(2, 1, 3)",
            &all(&|n| u16::from(n).to_le_bytes().to_vec()),
        ),
    ];
    for file in &files {
        let read = read(file, &ExamplesOptions::default()).unwrap();
        assert_eq!(read.features, wanted);
        assert_eq!(
            (read.targets, read.format),
            (Targets::None, ExamplesFormat::Npy)
        );
    }
    let options = ExamplesOptions {
        target: Some(TargetColumn::Last),
        ..ExamplesOptions::default()
    };
    let last = read(&files[0], &options).unwrap();
    assert_eq!(last.features, dense(2, &[1.0, 2.0, 4.0, 5.0]));
    assert_eq!(last.number_targets().unwrap(), [3.0, 6.0]);
    let folder = Folder::new();
    let y = npy(
        "<f8",
        false,
        "(2,)",
        &[0.1f64, 7.0].map(f64::to_le_bytes).concat(),
    );
    let options = ExamplesOptions {
        targets: Some(folder.put("y.npy", y)),
        ..ExamplesOptions::default()
    };
    let with = load_examples(&[folder.put("x.npy", &files[1])], &options).unwrap();
    assert_eq!(with.number_targets().unwrap(), [0.1, 7.0]);
}

#[test]
fn images_find_their_labels_beside_them() {
    let images = [
        &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..],
        &[0, 255, 10, 7],
    ]
    .concat();
    let labels = [0, 0, 8, 1, 0, 0, 0, 2, 9, 3];
    let wanted = dense(2, &[0.0, 255.0, 10.0, 7.0]);
    for (images_packed, labels_packed) in
        [(true, true), (false, true), (true, false), (false, false)]
    {
        let folder = Folder::new();
        let put = |name: &str, bytes: &[u8], pack: bool| match pack {
            true => folder.put(&format!("{name}.gz"), packed(bytes)),
            false => folder.put(name, bytes),
        };
        let path = put("train-images-idx3-ubyte", &images, images_packed);
        put("train-labels-idx1-ubyte", &labels, labels_packed);
        for path in [path, folder.0.path().to_path_buf()] {
            let read = load_examples(&[path], &ExamplesOptions::default()).unwrap();
            assert_eq!(read.features, wanted);
            assert_eq!(read.class_targets().unwrap().names, ["3", "9"]);
            assert_eq!(read.files().count(), 2);
        }
        let test = put("t10k-images-idx3-ubyte", &images, false);
        let alone =
            load_examples(std::slice::from_ref(&test), &ExamplesOptions::default()).unwrap();
        assert!(alone.targets.is_empty());
        let options = ExamplesOptions {
            targets: Some(folder.put("l", [0, 0, 8, 1, 0, 0, 0, 3, 9, 3, 1])),
            ..ExamplesOptions::default()
        };
        let said = folder.refusal(&[test], &options);
        assert!(
            said.starts_with("l: expected 2 values, one per example of "),
            "{said}"
        );
        let both = load_examples(
            &[folder.0.path().to_path_buf()],
            &ExamplesOptions::default(),
        );
        assert_eq!(both.unwrap_err().status(), 2);
    }
}
