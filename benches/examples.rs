//! Reading examples, and making designs of them: GB per second.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use petuum::data::{Design, ExamplesFormat, ExamplesOptions, convert_examples, load_examples};

use crate::say;

/// Reading examples on one thread, their columns on one thread, and conversion to a design on disk;
/// best of three.
pub(crate) fn run(small: bool) {
    let folder = std::env::temp_dir().join(format!("petuum-examples-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for generated files");
    let rows = if small { 50 } else { 20_000 };
    for (name, format, text) in generated(rows) {
        let path = folder.join(name);
        fs::write(&path, text).expect("a generated file");
        time(&path, format, small);
    }
    fs::remove_dir_all(&folder).expect("the folder is ours");
}

/// The fastest of three runs, in seconds.
fn fastest<T>(small: bool, mut work: impl FnMut() -> T) -> f64 {
    let runs = if small { 1 } else { 3 };
    let seconds = (0..runs).map(|_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}

fn time(path: &Path, format: ExamplesFormat, small: bool) {
    let options = ExamplesOptions {
        format: Some(format),
        ..ExamplesOptions::default()
    };
    let paths = [path.to_path_buf()];
    let bytes = fs::metadata(path).expect("the file").len() as f64;
    let read = || load_examples(&paths, &options).expect("a valid file");
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let tell = |what: &str, seconds: f64| {
        let rate = bytes / seconds / 1e9;
        say(&format!(
            "{what:8} {name:16} {:8.1} MB {seconds:8.4} s {rate:6.2} GB/s of text",
            bytes / 1e6
        ));
    };
    tell("read", fastest(small, read));
    let mut held: Vec<_> = (0..if small { 1 } else { 3 }).map(|_| read()).collect();
    tell(
        "columns",
        fastest(small, || held.pop().map(|read| Design::of(read, 1))),
    );
    let design = path.with_extension("design");
    let convert = || convert_examples(&paths, &options, &design, 64 << 20).expect("a design");
    tell("convert", fastest(small, convert));
    tell(
        "open",
        fastest(small, || Design::open(&design, 1).expect("a design")),
    );
}

/// Counts and tf-idf values of Zipf's columns as libsvm, and wide rows of decimals as csv.
fn generated(rows: u32) -> [(&'static str, ExamplesFormat, String); 4] {
    let mut state = 1u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let [mut ones, mut weights, mut decimals, mut whole] = [const { String::new() }; 4];
    for row in 0..rows {
        let mut held: Vec<u32> = (0..250)
            .map(|_| 200_000f64.powf(uniform()) as u32)
            .collect();
        held.sort_unstable();
        held.dedup();
        let _ = write!(ones, "{}", row % 2);
        let _ = write!(weights, "{:.2}", uniform() * 10.0);
        for column in held {
            let _ = write!(ones, " {column}:1");
            let _ = write!(weights, " {column}:{:.6}", uniform());
        }
        for lines in [&mut ones, &mut weights] {
            lines.push('\n');
        }
        let _ = write!(decimals, "{:.3}", uniform());
        let _ = write!(whole, "{}", row % 10);
        for _ in 0..250 {
            let _ = write!(decimals, ",{:.14}", 20.0 * uniform() - 10.0);
            let _ = write!(whole, ",{}", (256.0 * uniform()) as u32);
        }
        for lines in [&mut decimals, &mut whole] {
            lines.push('\n');
        }
    }
    [
        ("ones.svm", ExamplesFormat::Libsvm, ones),
        ("weights.svm", ExamplesFormat::Libsvm, weights),
        ("decimals.csv", ExamplesFormat::Csv, decimals),
        ("whole.csv", ExamplesFormat::Csv, whole),
    ]
}
