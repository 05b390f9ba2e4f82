//! Gradients by differences, steps by an independent reference, whole runs.

use std::f64::consts::FRAC_1_SQRT_2;
use std::fs;
use std::path::Path;

use super::loss::{Labels, measure};
use super::network::{Layer, Network, Piece, Shape, Visitor};
use super::optimizer::{Rule, Step};
use super::{Dnn, Options};
use crate::data::Features;
use crate::engine::{InProcess, Settings, run_in_process};
use crate::math::activation::Activation;
use crate::math::gemm::{Kernel, Processor};
use crate::math::rng::Rng;
use crate::program::trial::{self, options, values};
use crate::ps::{Consistency, Wire};
use crate::report::{Notes, Record};
use crate::snapshot::{Tensor, read_tensors, take};

/// A network on made-up samples, with its loss also in 64-bit floats, written out.
struct Case {
    shape: Shape,
    features: Features,
    labels: Labels,
    rows: Vec<u32>,
}

impl Case {
    fn new(activation: Activation, labels: Labels, hidden: &[usize], sparse: bool) -> Case {
        let (samples, inputs) = (20usize, 5usize);
        let outputs = match &labels {
            Labels::Classes(_) => 3,
            Labels::Numbers(_) => 1,
        };
        let at = |s: usize, i: usize| (0.3 * s as f64 + 1.1 * i as f64 + 0.05 * (s * i) as f64).cos();
        let dense: Vec<f32> = (0..samples * inputs)
            .map(|n| at(n / inputs, n % inputs) as f32)
            .collect();
        let features = match sparse {
            false => Features::Dense {
                width: inputs,
                values: dense,
            },
            true => thinned(&dense, inputs),
        };
        Case {
            shape: Shape {
                sizes: [vec![inputs], hidden.to_vec(), vec![outputs]].concat(),
                sparse,
                activation,
                dropout: 0.0,
                batch: 32,
            },
            features,
            labels,
            rows: (0..samples as u32).collect(),
        }
    }

    fn network(&self, states: usize) -> Network {
        let mut network = Network::new(&self.shape, Kernel::new());
        for (l, layer) in network.layers.iter_mut().enumerate() {
            for u in 0..layer.units {
                for i in 0..layer.inputs {
                    let sum = 1.0 + 3.0 * l as f64 + 0.9 * u as f64 + 0.37 * i as f64;
                    *layer.weight_mut(u, i) = (0.5 * (sum + 0.11 * (u * i) as f64).sin()) as f32;
                }
                let inputs = layer.inputs;
                *layer.weight_mut(u, inputs) = (0.1 * (u as f64 + l as f64).cos()) as f32;
            }
            layer.states = vec![vec![0.0; layer.weights.len()]; states];
        }
        network
    }

    /// The mean loss of forward and, through `visitor`, backward.
    fn step(&self, network: &mut Network, visitor: &mut impl Visitor) -> f64 {
        network.take(&self.features, &self.rows);
        network.forward(Some(1));
        let measured = measure(&mut network.outputs, &self.labels, None, &self.rows);
        network.backward(visitor);
        measured.loss / measured.weight
    }

    /// The mean loss, one sample and one unit after the other.
    fn loss(&self, network: &[Vec<f64>]) -> f64 {
        let sizes = &self.shape.sizes;
        let of_sample = |row: usize| {
            let mut values: Vec<f64> = (0..sizes[0]).map(|i| self.feature(row, i)).collect();
            for (l, weights) in network.iter().enumerate() {
                let (inputs, units) = (sizes[l], sizes[l + 1]);
                let sum = |u: usize| {
                    let row = &weights[u * (inputs + 1)..][..inputs + 1];
                    row[inputs] + values.iter().zip(row).map(|(x, w)| x * w).sum::<f64>()
                };
                let sums: Vec<f64> = (0..units).map(sum).collect();
                values = match l + 1 < network.len() {
                    true => sums.iter().map(|z| apply(self.shape.activation, *z)).collect(),
                    false => sums,
                };
            }
            match &self.labels {
                Labels::Numbers(of) => (values[0] - f64::from(of[row])).powi(2),
                Labels::Classes(of) => {
                    let sum: f64 = values.iter().map(|z| z.exp()).sum();
                    sum.ln() - values[of[row] as usize]
                }
            }
        };
        (0..self.rows.len()).map(of_sample).sum::<f64>() / self.rows.len() as f64
    }

    fn feature(&self, row: usize, feature: usize) -> f64 {
        if let Some(values) = self.features.dense_row(row) {
            return values[feature].into();
        }
        let (columns, values) = self.features.sparse_row(row).unwrap();
        let place = columns.iter().position(|column| *column as usize == feature);
        place.map_or(0.0, |place| values[place].into())
    }
}

/// Two of five values of each sample.
fn thinned(dense: &[f32], inputs: usize) -> Features {
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for (row, all) in dense.chunks(inputs).enumerate() {
        for (column, value) in all.iter().enumerate().filter(|(c, _)| (row + c) % 5 < 2) {
            columns.push(column as u32);
            values.push(*value);
        }
        starts.push(columns.len() as u64);
    }
    Features::Sparse {
        width: inputs,
        starts,
        columns,
        values,
    }
}

fn apply(activation: Activation, z: f64) -> f64 {
    match activation {
        Activation::Relu => z.max(0.0),
        Activation::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        Activation::Tanh => z.tanh(),
        Activation::Gelu => z * 0.5 * (1.0 + libm::erf(z * FRAC_1_SQRT_2)),
    }
}

fn classes() -> Labels {
    Labels::Classes((0..20).map(|s| s * s % 3).collect())
}

fn numbers() -> Labels {
    Labels::Numbers((0..20).map(|s| f64::from(s).sin() as f32).collect())
}

/// A layer's weights, units × (inputs and bias), in 64 bits.
fn plain(layer: &Layer) -> Vec<f64> {
    let mut layer = layer.clone();
    let all = (0..layer.units).flat_map(|u| (0..=layer.inputs).map(move |i| (u, i)));
    let all: Vec<(usize, usize)> = all.collect();
    all.into_iter().map(|(u, i)| f64::from(*layer.weight_mut(u, i))).collect()
}

/// Keeps gradients, units × (inputs and bias), and how many layers are done.
struct Keeper(Vec<Vec<f64>>, usize);

impl Visitor for Keeper {
    fn piece(&mut self, piece: Piece) {
        let (layer, row) = (piece.layer, piece.row);
        for (at, value) in (piece.first..).zip(piece.gradient) {
            let (u, i) = if layer.sparse { (at, row) } else { (row, at) };
            let number = self.0.len() - 1 - self.1;
            self.0[number][u * (layer.inputs + 1) + i] += f64::from(*value);
        }
    }

    fn done(&mut self, _number: usize, _layer: &mut Layer) {
        self.1 += 1;
    }
}

#[test]
fn gradients_are_differences_for_every_layer_loss_and_activation() {
    for activation in [Activation::Relu, Activation::Sigmoid, Activation::Tanh, Activation::Gelu] {
        for labels in [classes(), numbers()] {
            for (hidden, sparse) in [(&[7, 6][..], false), (&[7, 6], true), (&[], false), (&[], true)] {
                let case = Case::new(activation, labels.clone(), hidden, sparse);
                let mut network = case.network(0);
                let mut weights: Vec<Vec<f64>> = network.layers.iter().map(plain).collect();
                let mut kept = Keeper(weights.iter().map(|w| vec![0.0; w.len()]).collect(), 0);
                let loss = case.step(&mut network, &mut kept);
                assert!((loss - case.loss(&weights)).abs() < 1e-6);
                for layer in 0..weights.len() {
                    for at in 0..weights[layer].len() {
                        let (was, h) = (weights[layer][at], 1e-6);
                        weights[layer][at] = was + h;
                        let above = case.loss(&weights);
                        weights[layer][at] = was - h;
                        let slope = (above - case.loss(&weights)) / (2.0 * h);
                        weights[layer][at] = was;
                        let found = kept.0[layer][at];
                        assert!((found - slope).abs() < 2e-6, "{activation:?} {layer} {at}: {found} {slope}");
                    }
                }
            }
        }
    }
}

/// Steps by a rule, and nothing else.
struct Stepper<'a>(&'a Rule, Step);

impl Visitor for Stepper<'_> {
    fn piece(&mut self, piece: Piece) {
        let (width, inputs) = (piece.layer.width(), piece.layer.inputs);
        assert!(piece.first == 0 && piece.weights.len() == width);
        let place = piece.row * width..(piece.row + 1) * width;
        let (weights, biases) = piece.weights.split_at_mut(inputs);
        let states = piece.states.iter_mut().map(|state| state[place.clone()].split_at_mut(inputs));
        let (mut of_weights, mut of_biases): (Vec<&mut [f32]>, Vec<&mut [f32]>) = states.unzip();
        let (of_units, of_bias) = piece.gradient.split_at(inputs);
        self.0.apply(self.1, weights, &mut of_weights, of_units, true);
        self.0.apply(self.1, biases, &mut of_biases, of_bias, false);
    }
}

/// Ten steps against float64, see `benches/dnn_reference.py`, which wrote these numbers.
#[test]
fn ten_steps_are_those_of_an_independent_reference() {
    use Activation::{Gelu, Relu, Sigmoid, Tanh};
    for (activation, labels, optimizer, expected) in [
        (Relu, classes(), "sgd", REFERENCE[0]),
        (Sigmoid, classes(), "momentum", REFERENCE[1]),
        (Tanh, numbers(), "nesterov", REFERENCE[2]),
        (Gelu, classes(), "adam", REFERENCE[3]),
        (Relu, numbers(), "adam", REFERENCE[4]),
    ] {
        let case = Case::new(activation, labels, &[7, 6], false);
        let rule = Rule::new(&options::<Options>(&format!("--optimizer {optimizer} --weight-decay 0.01")));
        let mut network = case.network(rule.states());
        for (steps, expected) in expected.into_iter().enumerate() {
            let step = rule.step(0.05, steps as u64);
            let loss = case.step(&mut network, &mut Stepper(&rule, step));
            assert!((loss - expected).abs() < 1e-5, "{optimizer} {steps}: {loss} {expected}");
        }
    }
}

#[test]
fn every_processor_gives_the_same_loss() {
    let losses: Vec<f64> = Processor::all()
        .into_iter()
        .map(|processor| {
            let case = Case::new(Activation::Tanh, classes(), &[70, 33], false);
            let mut network = case.network(0);
            network.kernel = Kernel::on(processor);
            let rule = Rule::new(&options("--optimizer sgd"));
            let step = rule.step(0.05, 0);
            case.step(&mut network, &mut Stepper(&rule, step));
            case.step(&mut network, &mut Stepper(&rule, step))
        })
        .collect();
    assert!(losses.iter().all(|loss| (loss - losses[0]).abs() < 1e-6), "{losses:?}");
}

#[test]
fn what_is_switched_off_sends_no_error_back_and_the_rest_makes_up_for_it() {
    for activation in [Activation::Relu, Activation::Tanh] {
        let mut case = Case::new(activation, classes(), &[64], false);
        case.shape.dropout = 0.5;
        let mut network = case.network(0);
        network.take(&case.features, &case.rows);
        network.forward(None);
        let (whole, mut mean) = (network.outputs.at(3, 1), 0.0);
        for seed in 0..4000 {
            network.forward(Some(seed));
            mean += f64::from(network.outputs.at(3, 1)) / 4000.0;
        }
        assert!((mean - f64::from(whole)).abs() < 0.1, "{mean} {whole}");
        // By differences along the errors' own direction, with the same units off.
        let zeros = network.layers.iter().map(|l| vec![0.0; l.weights.len()]);
        let mut kept = Keeper(zeros.collect(), 0);
        let loss = case.step(&mut network, &mut kept);
        let length: f64 = kept.0.iter().flatten().map(|g| g * g).sum();
        for (layer, gradient) in network.layers.iter_mut().zip(&kept.0) {
            for (w, g) in layer.weights.iter_mut().zip(gradient) {
                *w -= (1e-3 * g) as f32;
            }
        }
        kept.1 = 0;
        let lower = case.step(&mut network, &mut kept);
        let ratio = (loss - lower) / (1e-3 * length);
        assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
    }
}

fn settings(clocks: u64) -> Settings {
    trial::settings("dnn", clocks)
}

fn train(line: &str, ranks: u32, workers: u32, settings: &Settings) -> Vec<Record> {
    let options = options::<Options>(line);
    let make = || Ok(Dnn::new(options.clone()));
    run_in_process(InProcess::Coded, ranks, workers, settings, make).unwrap()
}

fn accuracy(records: &[Record]) -> f64 {
    records.last().unwrap().columns[1].unwrap()
}

const SMALL: &str = "--layers 32,16 --batch 50 --learning-rate 0.01";

/// Passes of five clocks, with a staleness of 1 where the consistency has one.
fn stale(consistency: Consistency, clocks: u64) -> Settings {
    Settings {
        consistency,
        staleness: u32::from(consistency != Consistency::Bsp),
        clocks_per_pass: 5,
        ..settings(clocks)
    }
}

#[test]
fn the_sample_is_learned_however_many_workers_there_are() {
    for (ranks, workers) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let right = accuracy(&train(SMALL, ranks, workers, &stale(Consistency::Bsp, 60)));
        assert!(right > 0.9, "{ranks} {workers}: {right}");
    }
    for consistency in [Consistency::Ssp, Consistency::Essp, Consistency::Async] {
        let right = accuracy(&train(SMALL, 1, 1, &stale(consistency, 60)));
        assert!(right > 0.9, "{consistency:?}: {right}");
    }
}

/// How far workers get depends on how their threads take turns; this does not.
#[test]
fn stale_runs_of_many_workers_are_complete_and_keep_their_bound() {
    for consistency in [Consistency::Ssp, Consistency::Essp, Consistency::Async] {
        for (ranks, workers) in [(1, 2), (2, 1)] {
            let records = train(SMALL, ranks, workers, &stale(consistency, 20));
            let clocks: Vec<u64> = records.iter().map(|record| record.clock).collect();
            assert_eq!(clocks, (1..=20).collect::<Vec<u64>>());
            for record in &records {
                let (loss, right) = (record.columns[0].unwrap(), record.columns[1].unwrap());
                assert!(record.objective.is_finite() && loss.is_finite());
                assert!((0.0..=1.0).contains(&right));
                assert!(consistency == Consistency::Async || record.staleness_max <= 1);
            }
        }
    }
}

#[test]
fn equal_runs_are_equal_and_ranks_do_not_matter_under_bsp() {
    for line in [SMALL, "--layers 32 --optimizer nesterov --dropout 0.2 --weight-decay 1e-4"] {
        let settings = Settings {
            clocks_per_pass: 4,
            ..settings(8)
        };
        let one = values(&train(line, 1, 4, &settings));
        assert_eq!(one, values(&train(line, 1, 4, &settings)));
        assert_eq!(one, values(&train(line, 2, 2, &settings)));
        assert_eq!(one, values(&train(line, 4, 1, &settings)));
    }
}

/// Whatever travels, every worker's network is the same in the end, to the bit.
#[test]
fn factors_make_the_run_that_full_matrices_make() {
    let settings = Settings {
        clocks_per_pass: 16,
        ..settings(8)
    };
    let line = "--layers 24,12 --optimizer sgd --batch 30 --learning-rate 0.2 --dropout 0.1 --weight-decay 1e-3";
    for (ranks, workers) in [(2, 1), (3, 1), (2, 2)] {
        let run = |exchange: &str| {
            values(&train(&format!("{line} --exchange {exchange}"), ranks, workers, &settings))
        };
        let full = run("full");
        for exchange in ["factors", "indices", "auto"] {
            assert_eq!(run(exchange), full, "{ranks} {workers} {exchange}");
        }
    }
}

#[test]
fn stale_workers_learn_by_factors() {
    for consistency in [Consistency::Ssp, Consistency::Essp] {
        let line = "--layers 32,16 --batch 50 --optimizer sgd --learning-rate 0.3 --exchange indices";
        let right = accuracy(&train(line, 2, 1, &stale(consistency, 60)));
        assert!(right > 0.8, "{consistency:?}: {right}");
    }
}

#[test]
fn operands_of_16_bits_learn_the_same() {
    let whole = accuracy(&train(SMALL, 1, 2, &stale(Consistency::Bsp, 60)));
    let line = format!("{SMALL} --precision bf16");
    let half = accuracy(&train(&line, 1, 2, &stale(Consistency::Bsp, 60)));
    assert!(half > whole - 0.03, "{half} {whole}");
}

/// What rounding takes off a change is added to the next one: gradients of half the bytes lose nothing.
#[test]
fn changes_of_half_the_bytes_learn_the_same() {
    for consistency in [Consistency::Ssp, Consistency::Essp] {
        let with = |wire| Settings {
            wire,
            ..stale(consistency, 60)
        };
        let half = train(SMALL, 2, 1, &with(Wire::Bf16));
        let whole = train(SMALL, 2, 1, &with(Wire::F32));
        assert!(accuracy(&half) > accuracy(&whole) - 0.05, "{consistency:?}");
        let bytes = |records: &[Record]| records.last().unwrap().bytes_sent as f64;
        assert!(bytes(&half) < 0.6 * bytes(&whole), "{} {}", bytes(&half), bytes(&whole));
    }
}

/// Mini-batches of 30 by two workers, averaged after each, are mini-batches of 60.
#[test]
fn averaged_steps_are_those_of_a_larger_batch() {
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("rings.all.csv");
    generate(file.path(), "--name all --points 60");
    let line = |batch: u32| {
        let path = path.display();
        format!("{path} --layers 8 --optimizer sgd --batch {batch} --holdout 0 --learning-rate 0.3")
    };
    let two = train(&line(30), 1, 2, &settings(10));
    let one = train(&line(60), 1, 1, &settings(10));
    for (a, b) in two.iter().zip(&one) {
        assert!((a.objective - b.objective).abs() < 1e-5, "{} {}", a.objective, b.objective);
    }
}

fn generate(folder: &Path, line: &str) {
    let line = format!("-o {} {line}", folder.display());
    let options = options(&line);
    super::generate::run(options, &Notes::silent()).unwrap();
}

#[test]
fn the_saved_model_takes_features_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), "--name p --points 500 --features 4");
    let path = folder.path().join("rings.p.csv");
    let settings = Settings {
        output: Some(folder.path().join("model")),
        ..settings(20)
    };
    let line = format!("{} --layers 16,8 --batch 20 --learning-rate 0.01 --test {}", path.display(), path.display());
    let records = train(&line, 1, 2, &settings);
    let tensors = read_tensors(&folder.path().join("model/model.safetensors")).unwrap();
    let right = predicted_right(&tensors, &fs::read_to_string(path).unwrap());
    assert!((right - accuracy(&records)).abs() < 1e-9, "{right}");
    assert!(right > 0.9, "{right}");
}

/// The part of the lines of a csv file whose class a saved model finds.
fn predicted_right(tensors: &[Tensor], text: &str) -> f64 {
    let floats = |name: &str| take(&mut tensors.to_vec(), name).unwrap().values::<f32>().unwrap();
    let layers: Vec<(Vec<f32>, Vec<f32>)> = (0..3)
        .map(|l| (floats(&format!("layers.{l}.weight")), floats(&format!("layers.{l}.bias"))))
        .collect();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let is_right = |line: &&&str| {
        let (class, features) = line.split_once(',').unwrap();
        let mut values: Vec<f32> = features.split(',').map(|x| x.parse().unwrap()).collect();
        for (l, (weights, biases)) in layers.iter().enumerate() {
            let unit = |(row, bias): (&[f32], &f32)| {
                let sum = bias + row.iter().zip(&values).map(|(w, x)| w * x).sum::<f32>();
                if l < 2 { sum.max(0.0) } else { sum }
            };
            values = weights.chunks(values.len()).zip(biases).map(unit).collect();
        }
        let best = (0..3).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap();
        class == format!("ring{}", best + 1)
    };
    lines.iter().filter(is_right).count() as f64 / lines.len() as f64
}

#[test]
fn a_resumed_run_is_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let with = |clocks, resume| Settings {
        checkpoint: Some(folder.path().join("checkpoints")),
        checkpoint_every: 3,
        clocks_per_pass: 2,
        resume,
        force: true,
        ..settings(clocks)
    };
    let line = "--layers 16 --batch 64 --schedule constant";
    let whole = train(line, 2, 1, &with(8, false));
    train(line, 2, 1, &with(6, false));
    let resumed = train(line, 2, 1, &with(8, true));
    assert_eq!(values(&whole), values(&resumed));
}

#[test]
fn numbers_are_predicted_and_sparse_features_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.svm");
    let mut text = String::new();
    let mut rng = Rng::stream(5, 0, 0, 0);
    for _ in 0..600 {
        let (a, b) = (rng.below(20), 20 + rng.below(20));
        let (x, y) = (rng.uniform(), rng.uniform());
        let target = 100.0 + 50.0 * (x * a as f64 - y * (b - 20) as f64);
        text += &format!("{target} {}:{x} {}:{y}\n", a + 1, b + 1);
    }
    fs::write(&path, text).unwrap();
    let line = format!("{} --loss squared --layers 64 --batch 32 --learning-rate 0.01", path.display());
    for (ranks, consistency) in [(2, Consistency::Bsp), (1, Consistency::Essp)] {
        let records = train(&line, ranks, 1, &stale(consistency, 200));
        let (first, last) = (records[0].objective, records.last().unwrap());
        assert!(last.objective < 0.05 * first, "{first} {}", last.objective);
        assert!(last.columns[0].unwrap() < 0.15 * first && last.columns[1].is_none());
    }
    // What is stale reaches what the threads let it; its rows are exchanged all the same.
    let records = train(&line, 2, 1, &stale(Consistency::Essp, 30));
    assert_eq!(records.len(), 30);
    assert!(records.iter().all(|record| record.objective.is_finite() && record.staleness_max <= 1));
}

#[test]
fn patience_is_kept_before_the_run_ends() {
    let settings = Settings {
        tolerance: Some(0.5),
        ..settings(100)
    };
    let line = format!("{SMALL} --patience 4");
    let records = train(&line, 1, 1, &settings);
    assert!((5..40).contains(&records.len()), "{}", records.len());
}

const REFERENCE: [[f64; 10]; 5] = [
    [1.039737905, 1.027832176, 1.016338821, 1.005231507, 0.994515806, 0.984164836, 0.974153853, 0.964498972, 0.955196176, 0.946235414],
    [1.074549689, 1.038179568, 0.975546288, 0.900512651, 0.827836086, 0.769798184, 0.733255860, 0.718597221, 0.721140502, 0.733870189],
    [0.465917612, 0.459258058, 0.453405738, 0.449162429, 0.445986600, 0.442924374, 0.439319283, 0.435013580, 0.430172393, 0.425018336],
    [1.092173168, 0.998741930, 0.903859642, 0.819413810, 0.750460392, 0.704756970, 0.680152347, 0.667762405, 0.667453413, 0.666047921],
    [0.616797578, 0.456178890, 0.416730726, 0.407247156, 0.394523720, 0.372463204, 0.351628807, 0.331224528, 0.304498285, 0.276373631],
];

/// Steps that are stable when one worker takes them are too long when eight add up what they learn of
/// the same old weights, unless they know of each other.
#[test]
fn steps_that_know_of_other_workers_stand_longer_rates() {
    let after = |scaling: &str| {
        let line = "--layers 32 --batch 32 --optimizer sgd --schedule constant --learning-rate 1 --exchange indices";
        let options = options::<Options>(&format!("{line} --step-scaling {scaling}"));
        let settings = Settings {
            consistency: Consistency::Ssp,
            staleness: 3,
            clocks_per_pass: 4,
            ..settings(60)
        };
        let make = || Ok(Dnn::new(options.clone()));
        let run = run_in_process(InProcess::Coded, 8, 1, &settings, make);
        run.map_or(f64::INFINITY, |records| records.last().unwrap().objective)
    };
    let [none, staleness, delay] = ["none", "staleness", "delay"].map(after);
    assert!(none > 1.0, "{none}");
    assert!(staleness < 0.7 && delay < 0.7, "{staleness} {delay}");
}
