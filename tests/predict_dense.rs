//! `petuum predict` with models of dnn and dml: the witness computes with the saved tensors, in f64.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use petuum::snapshot::{SavedModel, take};

fn petuum(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petuum"));
    command.args(arguments).output().unwrap()
}

/// The lines on stdout of a run that succeeds in silence.
fn lines(arguments: &[&str]) -> Vec<Vec<String>> {
    let output = petuum(arguments);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect()
}

/// Writes points of three classes, `x` and `y` around corners, in csv, bare csv and libsvm.
fn points(home: &Path) -> [String; 3] {
    let mut texts = ["kind,x,y\n".to_owned(), "x,y\n".to_owned(), String::new()];
    for i in 0..240 {
        let (class, step) = (i % 3, f64::from(i) / 400.0);
        let corner = [(0.0, 1.0), (40.0, 2.0), (10.0, 9.0)][class as usize];
        let (x, y) = (corner.0 + step * 7.0, corner.1 + (step * 50.0).sin());
        let name = ["far", "high, right", "low"][class as usize];
        texts[0] += &format!("\"{name}\",{x:.3},{y:.3}\n");
        texts[1] += &format!("{x:.3},{y:.3}\n");
        texts[2] += &format!("{class} 1:{x:.3} 2:{y:.3}\n");
    }
    let names = ["points.csv", "bare.csv", "points.svm"];
    std::array::from_fn(|at| {
        let path = home.join(names[at]);
        fs::write(&path, &texts[at]).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

fn numbers(line: &[String]) -> Vec<f64> {
    line.iter().map(|cell| cell.parse().unwrap()).collect()
}

/// What a network of tanh units says of one example.
fn outputs(model: &str, input: &[f64]) -> Vec<f64> {
    let mut tensors = SavedModel::open(Path::new(model))
        .unwrap()
        .tensors()
        .unwrap();
    let mut values = input.to_vec();
    for number in 0..2 {
        let mut get = |name: &str| take(&mut tensors, &format!("layers.{number}.{name}")).unwrap();
        let weights = get("weight").values::<f32>().unwrap();
        let biases = get("bias").values::<f32>().unwrap();
        let unit = |(row, bias): (&[f32], &f32)| {
            let products = row.iter().zip(&values).map(|(w, x)| f64::from(*w) * x);
            let sum = products.sum::<f64>() + f64::from(*bias);
            if number == 0 { sum.tanh() } else { sum }
        };
        values = weights
            .chunks(values.len())
            .zip(&biases)
            .map(unit)
            .collect();
    }
    values
}

fn train(arguments: &[&str]) {
    let output = petuum(arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_network_names_classes_and_their_probabilities() {
    let home = tempfile::tempdir().unwrap();
    let [csv, bare, svm] = points(home.path());
    let model = home.path().join("model").to_str().unwrap().to_owned();
    let of_model = [
        "--activation",
        "tanh",
        "--layers",
        "9",
        "--workers",
        "1",
        "-q",
        "-o",
    ];
    train(
        &[
            &["dnn", &csv[..], "--clocks", "20", "--batch", "16"],
            &of_model[..],
            &[&model],
        ]
        .concat(),
    );
    let ask =
        |data: &str, more: &[&str]| lines(&[&["predict", "--model", &model, data], more].concat());
    let inputs: Vec<Vec<f64>> = {
        let text = fs::read_to_string(&bare).unwrap();
        let cells = |line: &str| line.split(',').map(|x| x.parse().unwrap()).collect();
        text.lines().skip(1).map(cells).collect()
    };
    let probable = ask(&csv, &["--probabilities"]);
    // The name with a comma is in quotes, which the cutting at commas does not know of.
    assert_eq!(probable[0].join(","), "far,\"high, right\",low");
    let classes = ask(&csv, &[]);
    assert_eq!(
        (classes[0].join(","), classes.len()),
        ("class".to_owned(), 241)
    );
    let mut right = 0;
    for (i, input) in inputs.iter().enumerate() {
        let outputs = outputs(&model, input);
        let sum: f64 = outputs.iter().map(|z| z.exp()).sum();
        for (z, p) in outputs.iter().zip(numbers(&probable[i + 1])) {
            assert!((z.exp() / sum - p).abs() < 1e-4, "{} {p}", z.exp() / sum);
        }
        right += usize::from(classes[i + 1].join(",") == ["far", "\"high, right\"", "low"][i % 3]);
    }
    assert!(right > 235, "{right}");
    assert_eq!(ask(&bare, &[]), classes);
    let sparse = ask(&svm, &["--probabilities"]);
    for (one, other) in sparse.iter().zip(&probable).skip(1) {
        for (one, other) in numbers(one).iter().zip(numbers(other)) {
            assert!((one - other).abs() < 1e-4, "{one} {other}");
        }
    }
}

#[test]
fn a_network_predicts_numbers_on_their_own_scale() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("lines.csv");
    let row = |i: i32| format!("{},{},{}\n", 1000 + 3 * i - 7 * (i % 5), i, i % 5);
    fs::write(&data, (0..300).map(row).collect::<String>()).unwrap();
    let (data, model) = (data.to_str().unwrap(), home.path().join("model"));
    let model = model.to_str().unwrap();
    let how = [
        "--loss",
        "squared",
        "--activation",
        "tanh",
        "--layers",
        "8",
        "--batch",
        "16",
    ];
    let run = ["--workers", "1", "--clocks", "60", "-q", "-o", model];
    train(&[&["dnn", data], &how[..], &run[..]].concat());
    let said = lines(&["predict", "--model", model, data]);
    assert_eq!(said[0], ["prediction"]);
    for (i, line) in (0..300).zip(&said[1..]) {
        let wanted = outputs(model, &[f64::from(i), f64::from(i % 5)])[0];
        let said = numbers(line)[0];
        assert!((said - wanted).abs() < 1e-2, "{said} {wanted}");
        assert!(
            (said - f64::from(1000 + 3 * i - 7 * (i % 5))).abs() < 100.0,
            "{said}"
        );
    }
    let output = petuum(&["predict", "--model", model, "--probabilities", data]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_metric_maps_vectors_and_tells_distances() {
    let home = tempfile::tempdir().unwrap();
    let [csv, bare, svm] = points(home.path());
    let model = home.path().join("model").to_str().unwrap().to_owned();
    train(&[
        "dml",
        &csv,
        "-k",
        "2",
        "--workers",
        "1",
        "--clocks",
        "3",
        "-q",
        "-o",
        &model,
    ]);
    let mut tensors = SavedModel::open(Path::new(&model))
        .unwrap()
        .tensors()
        .unwrap();
    let matrix: Vec<f32> = take(&mut tensors, "L").unwrap().values().unwrap();
    let image = |x: &[f64]| -> Vec<f64> {
        let row = |row: &[f32]| row.iter().zip(x).map(|(l, x)| f64::from(*l) * x).sum();
        matrix.chunks(2).map(row).collect()
    };
    let ask =
        |data: &str, more: &[&str]| lines(&[&["predict", "--model", &model, data], more].concat());
    let images = ask(&csv, &[]);
    assert_eq!(
        (images[0].join(","), images.len()),
        ("x1,x2".to_owned(), 241)
    );
    let text = fs::read_to_string(&bare).unwrap();
    let inputs: Vec<Vec<f64>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|x| x.parse().unwrap()).collect())
        .collect();
    for (input, line) in inputs.iter().zip(&images[1..]) {
        for (wanted, said) in image(input).iter().zip(numbers(line)) {
            assert!(
                (wanted - said).abs() < 1e-5 * (1.0 + wanted.abs()),
                "{wanted} {said}"
            );
        }
    }
    assert_eq!(ask(&bare, &[]), images);
    assert_eq!(ask(&svm, &[]), images);
    let pairs = home.path().join("pairs");
    fs::write(&pairs, "0,1\n239,7\n5,5\n").unwrap();
    let distances = ask(&bare, &["--pairs", pairs.to_str().unwrap()]);
    assert_eq!(distances[0].join(","), "one,two,distance");
    for ([one, two], line) in [[0, 1], [239, 7], [5, 5]].into_iter().zip(&distances[1..]) {
        let difference: Vec<f64> = inputs[one]
            .iter()
            .zip(&inputs[two])
            .map(|(x, y)| x - y)
            .collect();
        let wanted = image(&difference).iter().map(|x| x * x).sum::<f64>().sqrt();
        let said = numbers(line);
        assert_eq!((said[0], said[1]), (one as f64, two as f64));
        assert!(
            (wanted - said[2]).abs() < 1e-5 * (1.0 + wanted),
            "{wanted} {}",
            said[2]
        );
    }
    fs::write(&pairs, "0,1\n2,240\n").unwrap();
    let wrong = petuum(&[
        "predict",
        "--model",
        &model,
        "--pairs",
        pairs.to_str().unwrap(),
        &bare,
    ]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(65), "{said}");
    assert!(
        said.contains("pairs:2: expected two numbers of examples, 0 to 239"),
        "{said}"
    );
}

#[test]
fn data_of_another_shape_is_one_clear_error() {
    let home = tempfile::tempdir().unwrap();
    let [csv, ..] = points(home.path());
    let wide = home.path().join("wide.csv");
    fs::write(&wide, "1,2,3,4,5\n1,2,3,4,5\n").unwrap();
    let odd = home.path().join("odd.csv");
    fs::write(&odd, "1,2\n1,what\n").unwrap();
    for program in ["dnn", "dml"] {
        let model = home.path().join(program).to_str().unwrap().to_owned();
        train(&[
            program,
            &csv,
            "--workers",
            "1",
            "--clocks",
            "1",
            "-q",
            "-o",
            &model,
        ]);
        let refused = |data: &Path, words: &str| {
            let output = petuum(&["predict", "--model", &model, data.to_str().unwrap()]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(
                (output.status.code(), output.stdout.len()),
                (Some(65), 0),
                "{said}"
            );
            assert!(said.contains(words), "{said}");
        };
        refused(&wide, "2 features as the model was trained with");
        refused(&odd, "odd.csv:2:3: expected a number");
        let top = petuum(&["predict", "--model", &model, "--top", "3", &csv]);
        assert_eq!(top.status.code(), Some(2));
    }
}
