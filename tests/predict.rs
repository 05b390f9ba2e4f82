//! `petuum predict`: what it says follows from what the model's folder holds, and nothing else is
//! ever on stdout.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use petuum::snapshot::{SavedModel, take};

pub(crate) fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petuum"));
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses its flags does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// The lines on stdout of a run that succeeds in silence.
pub(crate) fn predicted(arguments: &[&str], input: &str) -> Vec<String> {
    let output = run(arguments, input);
    assert_eq!(
        (
            String::from_utf8_lossy(&output.stderr).as_ref(),
            output.status.code()
        ),
        ("", Some(0))
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Trains on the built-in sample; the model's folder.
pub(crate) fn train(home: &Path, program: &str) -> String {
    let folder = home.join(program).to_str().unwrap().to_owned();
    let output = run(
        &[
            program,
            "-q",
            "--workers",
            "1",
            "--clocks",
            "2",
            "-o",
            &folder,
        ],
        "",
    );
    assert!(output.status.success());
    folder
}

/// Ids and a function for the ratings of a model, by the formula in its documentation.
struct Witness {
    users: Vec<String>,
    items: Vec<String>,
    tensors: [Vec<f32>; 4],
    mean: f64,
    rank: usize,
}

impl Witness {
    fn of(folder: &str) -> Witness {
        let model = SavedModel::open(Path::new(folder)).unwrap();
        let mut tensors = model.tensors().unwrap();
        let ids = |name| {
            let text = fs::read_to_string(model.path(name)).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut get = |name: &str| take(&mut tensors, name).unwrap();
        let names = ["user_factors", "item_factors", "user_biases", "item_biases"];
        let of = names.map(|name| get(name).values::<f32>().unwrap());
        let users = ids("users.txt");
        Witness {
            rank: of[0].len() / users.len(),
            mean: get("mean").values::<f64>().unwrap()[0],
            items: ids("items.txt"),
            tensors: of,
            users,
        }
    }

    fn rating(&self, user: usize, item: usize) -> f64 {
        let [p, q, b, c] = &self.tensors;
        let product =
            |k: usize| f64::from(p[user * self.rank + k]) * f64::from(q[item * self.rank + k]);
        let products: f64 = (0..self.rank).map(product).sum();
        self.mean + f64::from(b[user]) + f64::from(c[item]) + products
    }
}

fn rating(line: &str) -> f64 {
    line.rsplit(',').next().unwrap().parse().unwrap()
}

#[test]
fn ratings_follow_from_the_saved_model() {
    let home = tempfile::tempdir().unwrap();
    let model = train(home.path(), "mf");
    let witness = Witness::of(&model);
    let pairs = [
        (0, 0),
        (1, 5),
        (17, 3),
        (witness.users.len() - 1, witness.items.len() - 1),
    ];
    let mut input = String::from("user\titem\n");
    for (user, item) in pairs {
        input += &format!("{}\t{}\t5\n", witness.users[user], witness.items[item]);
    }
    input += &format!("nobody\t{}\nno, body\tnothing\n", witness.items[3]);
    let lines = predicted(&["predict", "--model", &model], &input);
    assert_eq!(lines[0], "user,item,rating");
    assert_eq!(lines.len(), pairs.len() + 3);
    for ((user, item), line) in pairs.iter().zip(&lines[1..]) {
        let ids = format!("{},{},", witness.users[*user], witness.items[*item]);
        assert!(line.starts_with(&ids), "{line}");
        assert!(
            (rating(line) - witness.rating(*user, *item)).abs() < 1e-5,
            "{line}"
        );
    }
    let known = witness.mean + f64::from(witness.tensors[3][3]);
    assert!((rating(&lines[5]) - known).abs() < 1e-5, "{}", lines[5]);
    assert!(
        lines[6].starts_with("\"no, body\",nothing,"),
        "{}",
        lines[6]
    );
    assert!((rating(&lines[6]) - witness.mean).abs() < 1e-5);
    let file = home.path().join("pairs");
    fs::write(&file, &input).unwrap();
    assert_eq!(
        predicted(&["predict", "--model", &model, file.to_str().unwrap()], ""),
        lines
    );
}

/// Ids are bytes: what is no UTF-8, has quotes or ends in a carriage return is itself, and no other.
#[test]
fn ids_come_back_byte_for_byte() {
    let home = tempfile::tempdir().unwrap();
    let (data, model) = (home.path().join("r.csv"), home.path().join("m"));
    let users: [&[u8]; 5] = [
        b"caf\xe9",
        b"caf\xe8",
        b"caf\xc3\xa9",
        b"say \"\"hi\"\", twice",
        b"cr\r",
    ];
    let mut lines = Vec::new();
    for (at, user) in users.iter().enumerate() {
        let item = at % 2;
        lines.extend(
            [
                &b"\""[..],
                user,
                format!("\",item{item},{}\n", at + 1).as_bytes(),
            ]
            .concat(),
        );
    }
    fs::write(&data, &lines).unwrap();
    let [data, model] = [&data, &model].map(|path| path.to_str().unwrap());
    let trained = run(
        &[
            "mf",
            data,
            "--holdout",
            "0",
            "-q",
            "-k",
            "2",
            "--clocks",
            "20",
            "-o",
            model,
        ],
        "",
    );
    assert!(trained.status.success());
    let kept = fs::read(Path::new(model).join("users.txt")).unwrap();
    let wanted = b"caf\xc3\xa9\ncaf\xe8\ncaf\xe9\ncr\r\nsay \"hi\", twice\n";
    assert_eq!(kept, wanted);
    let output = run(&["predict", "--model", model, data], "");
    assert!(output.status.success());
    let said: Vec<&[u8]> = output.stdout.split(|byte| *byte == b'\n').skip(1).collect();
    let mut ratings = Vec::new();
    for (line, user) in said.iter().zip(users) {
        let plain = user.starts_with(b"caf");
        let user = if plain {
            user.to_vec()
        } else {
            [b"\"", user, b"\""].concat()
        };
        assert!(line.starts_with(&user), "{}", String::from_utf8_lossy(line));
        ratings.push(rating(std::str::from_utf8(&line[user.len()..]).unwrap()));
    }
    // Five users of different ratings: none is taken for another.
    assert!(
        ratings.windows(2).all(|two| two[0] != two[1]),
        "{ratings:?}"
    );
    let matrix = "%%MatrixMarket matrix coordinate pattern general\n1 1 1\n1 1\n";
    let lines = predicted(&["predict", "--model", model, "-"], matrix);
    assert!(
        lines.len() == 2 && lines[1].starts_with("1,1,"),
        "{lines:?}"
    );
}

#[test]
fn the_best_items_are_the_best() {
    let home = tempfile::tempdir().unwrap();
    let model = train(home.path(), "mf");
    let witness = Witness::of(&model);
    let user = 4;
    let lines = predicted(
        &["predict", "--model", &model, "--top", "7", "-"],
        &witness.users[user],
    );
    let mut wanted: Vec<usize> = (0..witness.items.len()).collect();
    wanted.sort_by(|a, b| {
        witness
            .rating(user, *b)
            .total_cmp(&witness.rating(user, *a))
    });
    assert_eq!(lines.len(), 8);
    for (line, item) in lines[1..].iter().zip(wanted) {
        assert!(
            (rating(line) - witness.rating(user, item)).abs() < 1e-5,
            "{line}"
        );
    }
    let all = predicted(&["predict", "--model", &model, "--top", "1"], "");
    assert_eq!(all.len(), witness.users.len() + 1);
    assert_eq!(all[user + 1], lines[1]);
    let more = predicted(
        &["predict", "--model", &model, "--top", "1000000", "-"],
        "nobody",
    );
    assert_eq!(more.len(), witness.items.len() + 1);
}

#[test]
fn what_cannot_predict_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let [lda, mf] = ["lda", "mf"].map(|program| train(home.path(), program));
    let refused = |arguments: &[&str], input: &str, status: i32, words: &str| {
        let output = run(&[&["predict"], arguments].concat(), input);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(words), "{said}");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(out.is_empty() || out == "user,item,rating\n", "{out}");
    };
    refused(&[], "", 2, "--model <DIR> is missing");
    let description = Path::new(&lda).join("model.json");
    let text = fs::read_to_string(&description).unwrap();
    let other = text.replace("\"program\": \"lda\"", "\"program\": \"other\"");
    fs::write(&description, other).unwrap();
    refused(
        &["--model", &lda],
        "",
        2,
        "holds a model of other, which cannot predict",
    );
    refused(&["--model", "/nowhere"], "", 66, "no such model folder");
    refused(
        &["--model", &mf, "--probabilities"],
        "",
        2,
        "--probabilities: is not for a model of mf",
    );
    refused(
        &["--model", &mf, "--targets", "x"],
        "",
        2,
        "--targets: means nothing without a model of examples",
    );
    refused(
        &["--model", &mf, "--top", "0"],
        "",
        2,
        "--top: 0 is too small, at least 1",
    );
    refused(
        &["--model", &mf],
        "1 2\n3\n",
        65,
        "-:2:2: expected a user and an item",
    );
    refused(
        &["--model", &mf, "/nowhere/pairs"],
        "",
        66,
        "/nowhere/pairs: ",
    );
    let description = Path::new(&mf).join("model.json");
    let text = fs::read_to_string(&description).unwrap();
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version));
    fs::write(
        &description,
        text.replace(&version, "\"version\": \"99.1.0\""),
    )
    .unwrap();
    refused(
        &["--model", &mf],
        "",
        76,
        "was written by petuum 99.1.0, this is petuum",
    );
    fs::write(
        &description,
        text.replace("\"factors\": 5", "\"factors\": 7"),
    )
    .unwrap();
    refused(
        &["--model", &mf],
        "",
        65,
        "model.json: expected `factors` to be 5",
    );
    fs::write(&description, &text).unwrap();
    fs::write(Path::new(&mf).join("users.txt"), "one\n").unwrap();
    refused(&["--model", &mf], "", 65, "users.txt: expected ");
    fs::remove_file(Path::new(&mf).join("DONE")).unwrap();
    refused(&["--model", &mf], "", 66, "not a finished model");
}
