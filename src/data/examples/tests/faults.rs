//! The place and words of every refusal.

use super::*;
use crate::data::examples::ExamplesFormat::{Csv, Libsvm, MatrixMarket};

/// Format, text, what is said.
const TEXT_FAULTS: [(ExamplesFormat, &str, &str); 34] = [
    (
        Libsvm,
        "1 1:1\n2 1:x\n",
        "data:2:5: expected a finite 32-bit number after the colon, saw `x`",
    ),
    (
        Libsvm,
        "1 1:\n",
        "data:1:5: expected a finite 32-bit number after the colon, saw nothing",
    ),
    (
        Libsvm,
        "1 2:nan\n",
        "data:1:5: expected a finite 32-bit number after the colon, saw `nan`",
    ),
    (
        Libsvm,
        "1 2:1e39\n",
        "data:1:5: expected a finite 32-bit number after the colon, saw `1e39`",
    ),
    (
        Libsvm,
        "1 3:1 3:2\n",
        "data:1:7: expected an index above 3, saw `3`; sort the pairs of each line by index, each index once",
    ),
    (
        Libsvm,
        "1 3:1 2:2\n",
        "data:1:7: expected an index above 3, saw `2`; sort the pairs of each line by index, each index once",
    ),
    (
        Libsvm,
        "1 4294967295:1\n",
        "data:1:3: expected an index from 0 to 268435456, saw `4294967295`",
    ),
    (
        Libsvm,
        "1 -1:1\n",
        "data:1:3: expected an index from 0 to 268435456, saw `-1`",
    ),
    (
        Libsvm,
        "1 1:1 x\n",
        "data:1:7: expected index:value, saw `x`",
    ),
    (
        Libsvm,
        "1:1 2:2\n",
        "data:1:1: expected a target before the pairs, saw `1:1`",
    ),
    (
        Libsvm,
        "1,2 2:2\n",
        "data:1:1: expected one target, saw several: `1,2`",
    ),
    (
        Libsvm,
        "nan 2:2\n",
        "data:1:1: expected a target, saw `nan`; leave such lines out",
    ),
    (
        Libsvm,
        "1\n2\n",
        "data: expected features, saw only targets",
    ),
    (Libsvm, "# nothing\n", "data: expected examples, saw none"),
    (
        Csv,
        "1,2,3\n1,2\n",
        "data:2:4: expected 3 fields as in the first line, the line ends after 2",
    ),
    (
        Csv,
        "1,2,3\n1,2,3,4\n",
        "data:2:6: expected the end of the line after 3 fields as in the first line, saw more",
    ),
    (
        Csv,
        "1,2,3\n1,,3\n",
        "data:2:3: expected a number in column 2, saw nothing; fill missing values in or leave the line out",
    ),
    (
        Csv,
        "1,2,3\n1,2,nan\n",
        "data:2:5: expected a number in column 3, saw `nan`; fill missing values in or leave the line out",
    ),
    (
        Csv,
        "1,2,3\n1,-1e39,3\n",
        "data:2:3: expected a finite 32-bit number in column 2, saw `-1e39`",
    ),
    (
        Csv,
        "y,a,b\n1,2,3\n1,red,3\n",
        "data:3:3: expected a number in column 2 (`a`), saw `red`; --target-column 2 takes it as the target, --drop-columns 2 leaves the column out",
    ),
    (
        Csv,
        "1,2\n?,3\n",
        "data:2:1: expected a target, saw `?`; leave such lines out",
    ),
    (
        Csv,
        "1,2\n3,\"4\n",
        "data:2:3: expected a closing quote on this line",
    ),
    (
        Csv,
        "1,2\n3,\"4\"5\n",
        "data:2:6: expected commas between fields, saw `5`",
    ),
    (
        Csv,
        "1\n2\n",
        "data:1:1: expected features beside the target, saw 1 fields in all",
    ),
    (
        Csv,
        "\n \n",
        "data:1:1: expected examples, the file holds only blanks",
    ),
    (
        Csv,
        "1,2\n1,2\0\n",
        "data:2:4: expected text, saw a binary file (`\\0`)",
    ),
    (
        MatrixMarket,
        "%%MatrixMarket matrix coordinate complex general\n",
        "data:1:1: expected `%%MatrixMarket matrix coordinate|array real|integer|pattern general`, saw `%%matrixmarket matrix coordinate complex...`",
    ),
    (
        MatrixMarket,
        "%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 1\n",
        "data:3:1: expected a row from 1 to 2 (the size stated above), saw `3`",
    ),
    (
        MatrixMarket,
        "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 x\n",
        "data:3:5: expected a finite 32-bit number, saw `x`",
    ),
    (
        MatrixMarket,
        "%%MatrixMarket matrix coordinate real general\n%\n2 2 2\n1 1 1\n",
        "data:3: expected 2 entries as stated here, saw 1",
    ),
    (
        MatrixMarket,
        "%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 1 1\n",
        "data:3:5: expected the end of the line after row and column, saw `1`",
    ),
    (
        MatrixMarket,
        "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n",
        "data:2: expected 4 entries as stated here, saw 3",
    ),
    (
        MatrixMarket,
        "%%MatrixMarket matrix array real general\n200000000 200000000\n1\n",
        "data:2: expected 40000000000000000 entries as stated here, saw 1",
    ),
    (
        MatrixMarket,
        "%%MatrixMarket matrix coordinate real general\n200000000 2 1\n1 1 1\n",
        "data:2: expected entries for most of the 200000000 rows stated here, saw 1 in all",
    ),
];

#[test]
fn text_faults_are_told_with_their_place() {
    for (format, text, words) in TEXT_FAULTS {
        let said = refusal(text, &of(format));
        assert_eq!(said, words, "{text}");
    }
}

#[test]
fn binary_faults_say_what_is_wrong() {
    let ones = [0, 0, 128, 63].repeat(6);
    let nan = [&ones[..16], &[0, 0, 192, 127], &ones[..4]].concat();
    for (bytes, words) in [
        (
            npy("<f4", false, "(2, 3)", &ones[..20]),
            "data: expected 6 values as its header states, saw 5",
        ),
        (
            npy("<f4", false, "(2, 2)", &ones),
            "data: expected 4 values as its header states, saw more",
        ),
        (
            npy("<f4", false, "(2, 3)", &nan),
            "data: expected a finite 32-bit number in row 2, column 2, saw NaN; fill missing values in or leave the row out",
        ),
        (
            npy("<f4", true, "(2, 3)", &nan),
            "data: expected a finite 32-bit number in row 1, column 3, saw NaN; fill missing values in or leave the row out",
        ),
        (
            npy("<f4", false, "(999999999999, 3)", &ones),
            "data: expected 2999999999997 values as its header states, saw 6",
        ),
        (
            npy("<f4", false, "(2, 0)", &[]),
            "data: expected examples times features, saw an array of shape [2, 0]",
        ),
        (
            npy("<c8", false, "(1,)", &ones),
            "data: expected an array of floats of 4 or 8 bytes or of integers, saw type `<c8`; save it with `.astype('f4')`",
        ),
        (
            b"\x93NUMPY\x09\x00\x00".to_vec(),
            "data: expected version 1 to 3 of NumPy's format, saw 9",
        ),
        (
            b"\x93NUMPY\x01\x00\xFF\xFF{".to_vec(),
            "data: expected its header, the file ends within it",
        ),
        (
            b"\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF{".to_vec(),
            "data: expected a header of at most 65536 bytes, saw 4294967295",
        ),
        (
            vec![0, 0, 8, 3, 255, 255, 255, 255, 0, 0, 0, 2, 0, 0, 0, 1, 7],
            "data: expected 8589934590 values as its header states, saw 1",
        ),
        (
            vec![0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 0],
            "data: expected examples times features, saw sizes [1, 0]",
        ),
        (
            vec![0, 0, 13, 2, 0, 0, 0, 1, 0, 0, 0, 0],
            "data: expected bytes (idx type 8), saw idx type 13",
        ),
        (
            vec![0, 0, 8, 2, 0, 0, 0, 1],
            "data: expected its sizes, the file ends within it",
        ),
    ] {
        let said = refusal(&bytes, &ExamplesOptions::default());
        let (said, _) = said.split_once(" (read as").unwrap();
        assert_eq!(said, words);
    }
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    let svm = folder.put("a.svm", "1 1:1\n");
    let csv = folder.put("a.csv", "1,1\n");
    let y = folder.put("y", "1\n");
    let target = ExamplesOptions {
        target: Some(TargetColumn::Last),
        ..ExamplesOptions::default()
    };
    assert!(
        folder
            .refusal(&[svm], &target)
            .contains("--target-column: is for csv and npy")
    );
    let both = ExamplesOptions {
        targets: Some(y.clone()),
        ..target
    };
    assert!(
        folder
            .refusal(std::slice::from_ref(&csv), &both)
            .starts_with("--targets: and --target-column")
    );
    let weights = ExamplesOptions {
        weights: Some(folder.put("w", "-1\n")),
        ..ExamplesOptions::default()
    };
    assert_eq!(
        folder.refusal(std::slice::from_ref(&csv), &weights),
        "w:1:1: expected a weight, a number of 0 or more, saw `-1`"
    );
    let weights = ExamplesOptions {
        weights: Some(folder.put("w", "0\n")),
        ..ExamplesOptions::default()
    };
    assert_eq!(
        folder.refusal(std::slice::from_ref(&csv), &weights),
        "w: expected a weight above 0, all are 0"
    );
    let names = ExamplesOptions {
        names: Some(folder.put("n", "a\nb\n")),
        ..ExamplesOptions::default()
    };
    assert_eq!(
        folder.refusal(&[csv], &names),
        "n: expected 1 names, one per feature, saw 2"
    );
    let missing = ExamplesOptions {
        targets: Some("/nowhere/y".into()),
        ..ExamplesOptions::default()
    };
    assert_eq!(load_examples(&[y], &missing).unwrap_err().status(), 66);
}
