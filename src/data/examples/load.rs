//! From what the user named to examples: finds the files, settles their format, reads each in turn
//! and brings features, targets, weights and names together.

use std::mem::take;
use std::path::{Path, PathBuf};

use super::super::fingerprint::SourceFile;
use super::super::format::refuse_binary;
use super::super::lines::Effort;
use super::super::source::{Source, find};
use super::columns::TargetColumn;
use super::format::{Evidence, guess, names as format_names, refuse_design};
use super::gather::{Gathered, Store};
use super::spill::Spill;
use super::vector;
use super::{Examples, ExamplesFormat, ExamplesOptions, Targets, idx};
use crate::error::{Error, Result};

/// Reads the examples in `paths`: files, folders (their files in name order) or `-` for standard
/// input.
///
/// # Errors
/// Status 65 with `file:line:column` for data that is not as its format says, 66 for what is not
/// there, 2 for options that do not fit the format.
pub fn load_examples(paths: &[PathBuf], options: &ExamplesOptions) -> Result<Examples> {
    load_sources(open(paths, options)?, options)
}

/// The files that the paths stand for.
fn open(paths: &[PathBuf], options: &ExamplesOptions) -> Result<Vec<Source>> {
    let named = [&options.targets, &options.weights, &options.names];
    let aside: Vec<&Path> = named.into_iter().flatten().map(PathBuf::as_path).collect();
    let files = find(paths, &aside)?;
    let pipes = files.iter().filter(|file| *file == Path::new("-")).count();
    if pipes > 1 {
        let message = "-: standard input can be read once, name files";
        return Err(Error::Usage(message.to_owned()));
    }
    let files = images(files)?;
    let opened = files
        .iter()
        .map(|file| Source::at(file, options.piece_bytes));
    opened.collect()
}

/// Reads examples that are part of the program; `name` is what they are called in errors.
///
/// # Errors
/// As for [`load_examples`].
pub fn load_examples_bytes(
    name: &str,
    bytes: &'static [u8],
    options: &ExamplesOptions,
) -> Result<Examples> {
    let source = Source::compiled_in(Path::new(name), bytes, options.piece_bytes)?;
    load_sources(vec![source], options)
}

/// Without files of labels, which belong to images; refuses training and test images together.
fn images(mut files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    if files.len() > 1 {
        files.retain(|file| !idx::is_labels(file));
        let test = files.iter().find(|file| idx::is_test(file));
        if let Some(test) = test.filter(|_| files.iter().any(|file| !idx::is_test(file))) {
            return Err(Error::Usage(format!(
                "{}: is a test set by its name and would be trained on; name the training files as DATA",
                test.display()
            )));
        }
    }
    Ok(files)
}

/// Reads examples into `spill`, from which columns can then be made.
///
/// # Errors
/// As for [`load_examples`].
pub(in crate::data) fn spill_examples(
    paths: &[PathBuf],
    options: &ExamplesOptions,
    spill: Spill,
) -> Result<(Spill, Loaded)> {
    let gathered = Gathered {
        features: Store::Spilled(spill),
        ..Gathered::default()
    };
    match load_into(open(paths, options)?, options, gathered)? {
        (Store::Spilled(spill), loaded) => Ok((spill, loaded)),
        (Store::Held(_), _) => Err(Error::Bug("spilled examples are held".into())),
    }
}

fn load_sources(sources: Vec<Source>, options: &ExamplesOptions) -> Result<Examples> {
    let (store, loaded) = load_into(sources, options, Gathered::default())?;
    let Store::Held(held) = store else {
        return Err(Error::Bug("examples are not held".into()));
    };
    let (features, unseen) = held.finish(loaded.first_index, loaded.width);
    Ok(Examples {
        features,
        targets: loaded.targets,
        weights: loaded.weights,
        names: loaded.names,
        format: loaded.format,
        first_index: loaded.first_index,
        unseen,
        path: loaded.path,
        sources: loaded.sources,
    })
}

fn load_into(
    sources: Vec<Source>,
    options: &ExamplesOptions,
    gathered: Gathered,
) -> Result<(Store, Loaded)> {
    let loader = Loader::new(sources, options, gathered)?;
    let (paths, format, evidence) = (loader.paths(), loader.format, loader.evidence);
    let loaded = loader.load();
    loaded.map_err(|error| explain(error, &paths, format, evidence))
}

/// Examples without their features.
pub(in crate::data) struct Loaded {
    pub(in crate::data) rows: usize,
    pub(in crate::data) width: usize,
    pub(in crate::data) targets: Targets,
    pub(in crate::data) weights: Option<Vec<f32>>,
    pub(in crate::data) names: Option<Vec<String>>,
    pub(in crate::data) format: ExamplesFormat,
    pub(in crate::data) first_index: u32,
    pub(in crate::data) path: PathBuf,
    pub(in crate::data) sources: Vec<SourceFile>,
}

/// Adds to an error of a guessed format how to say otherwise.
fn explain(error: Error, paths: &[PathBuf], format: ExamplesFormat, evidence: Evidence) -> Error {
    let from = match evidence {
        Evidence::Given => return error,
        Evidence::Name => "name",
        Evidence::Content => "content",
    };
    match error {
        Error::Data { place, expected } if paths.contains(&place.path) => Error::Data {
            place,
            expected: format!(
                "{expected} (read as {format} by its {from}, --format says otherwise)"
            ),
        },
        error => error,
    }
}

/// One run over some sources of one format.
pub(super) struct Loader<'a> {
    sources: Vec<Source>,
    format: ExamplesFormat,
    evidence: Evidence,
    pub(super) options: &'a ExamplesOptions,
    pub(super) gathered: Gathered,
}

impl<'a> Loader<'a> {
    /// Settles the format of `sources`.
    fn new(
        mut sources: Vec<Source>,
        options: &'a ExamplesOptions,
        gathered: Gathered,
    ) -> Result<Loader<'a>> {
        let mut settled: Option<(ExamplesFormat, Evidence)> = None;
        for source in &mut sources {
            let head = source.head()?;
            let (format, evidence) = match options.format {
                Some(format) => {
                    refuse_design(source.path(), &head)?;
                    (format, Evidence::Given)
                }
                None => guess(source.path(), &head)?,
            };
            if !format.is_binary() {
                refuse_binary(source.path(), &head)?;
            }
            match settled {
                Some((first, _)) if first != format => return Err(mixed(source, first, format)),
                Some(_) => {}
                None => settled = Some((format, evidence)),
            }
        }
        let (format, evidence) = settled.ok_or_else(|| Error::Usage("no data given".to_owned()))?;
        let loader = Loader {
            sources,
            format,
            evidence,
            options,
            gathered,
        };
        loader.refuse_column_options()?;
        Ok(loader)
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.sources
            .iter()
            .map(|source| source.path().to_path_buf())
            .collect()
    }

    /// Options about columns are refused where there are none, rather than ignored.
    fn refuse_column_options(&self) -> Result<()> {
        let options = self.options;
        let target = options
            .target
            .as_ref()
            .is_some_and(|target| *target != TargetColumn::None);
        if target && options.targets.is_some() {
            let message =
                "--targets: and --target-column say two different things, give one of them";
            return Err(Error::Usage(message.to_owned()));
        }
        if options.weight.is_some() && options.weights.is_some() {
            let message =
                "--weights: and --weight-column say two different things, give one of them";
            return Err(Error::Usage(message.to_owned()));
        }
        let flag = match () {
            () if target => "--target-column",
            () if options.weight.is_some() => "--weight-column",
            () if !options.dropped.is_empty() => "--drop-columns",
            () => return Ok(()),
        };
        match self.format {
            ExamplesFormat::Csv | ExamplesFormat::Npy => Ok(()),
            format => Err(Error::Usage(format!(
                "{flag}: is for csv and npy, {} is {format}",
                self.sources[0].path().display()
            ))),
        }
    }

    pub(super) fn effort(&self) -> Effort {
        Effort {
            threads: self.options.threads.max(1),
            piece_bytes: self.options.piece_bytes.max(1),
        }
    }

    /// Reads everything.
    fn load(mut self) -> Result<(Store, Loaded)> {
        // Before the long part.
        let names = self
            .options
            .names
            .as_deref()
            .map(vector::names)
            .transpose()?;
        let mut sources = take(&mut self.sources);
        let mut labels = Vec::new();
        for source in &mut sources {
            let rows = self.gathered.rows;
            match self.format {
                ExamplesFormat::Libsvm => self.libsvm(source)?,
                ExamplesFormat::Csv => self.csv(source)?,
                ExamplesFormat::MatrixMarket => self.matrix(source)?,
                ExamplesFormat::Npy => self.npy(source)?,
                ExamplesFormat::Idx => labels.extend(self.idx(source)?),
            }
            if self.gathered.rows == rows {
                return Err(Error::data(
                    source.path(),
                    0,
                    0,
                    "expected examples, saw none",
                ));
            }
        }
        let path = sources[0].path().to_path_buf();
        let mut files: Vec<SourceFile> = sources.iter().filter_map(SourceFile::of).collect();
        drop(sources);
        self.columns_from_files(&path, &mut files)?;
        files.extend(labels);
        self.finish(path, files, names)
    }

    /// Targets and weights from files of their own.
    fn columns_from_files(&mut self, path: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
        let rows = self.gathered.rows;
        if let Some(weights) = &self.options.weights {
            let (values, file) = vector::weights(weights)?;
            vector::require_length(weights, values.len(), rows, path)?;
            self.gathered.weights = values;
            files.extend(file);
        }
        Ok(())
    }

    fn finish(
        self,
        path: PathBuf,
        mut sources: Vec<SourceFile>,
        names: Option<(PathBuf, Vec<String>)>,
    ) -> Result<(Store, Loaded)> {
        let (options, mut gathered) = (self.options, self.gathered);
        let targets = match &options.targets {
            None => take(&mut gathered.targets).finish(),
            Some(file) => {
                let (targets, print) = vector::targets(file)?;
                vector::require_length(file, targets.len(), gathered.rows, &path)?;
                sources.extend(print);
                targets
            }
        };
        let seen = gathered.seen();
        let first = match (self.format, options.first_index, seen) {
            (ExamplesFormat::Libsvm, Some(first), _) => first,
            (ExamplesFormat::Libsvm, None, Some((0, _))) => 0,
            _ => 1,
        };
        let largest = seen.map_or(0, |(_, largest)| {
            (largest + 1).saturating_sub(first) as usize
        });
        let needed = gathered.width.unwrap_or(largest);
        let width = match (options.width, &names) {
            (Some(width), _) => width,
            (None, Some((path, names))) => {
                vector::width_of_names(path, names, needed, gathered.width)?
            }
            (None, None) => needed,
        };
        if width == 0 {
            return Err(Error::data(
                &path,
                0,
                0,
                "expected features, saw only targets",
            ));
        }
        let loaded = Loaded {
            rows: gathered.rows,
            width,
            targets,
            weights: Some(gathered.weights).filter(|weights| !weights.is_empty()),
            names: names.map(|(_, names)| names).or(gathered.names),
            format: self.format,
            first_index: first,
            path,
            sources,
        };
        Ok((gathered.features, loaded))
    }
}

/// The error of files of several formats.
fn mixed(source: &Source, first: ExamplesFormat, format: ExamplesFormat) -> Error {
    let message = format!(
        "expected {first} like the files before, this one looks like {format}; name files of one \
         format or say which with `--format {}`",
        format_names()
    );
    Error::data(source.path(), 0, 0, message)
}
