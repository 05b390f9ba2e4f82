//! The flags of `petuum predict`, and what recipes that predict share.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use super::examples::{ColumnsFlags, ExamplesFlags};
use super::flag::whole;
use crate::data::{Examples, ExamplesOptions, Trained, load_examples};
use crate::error::{Error, Result};
use crate::snapshot::SavedModel;

/// What to predict, and with which model.
#[derive(Debug, Args)]
pub struct PredictFlags {
    /// The model: the folder that a training run wrote with --output
    #[arg(long, value_name = "DIR", required = true)]
    pub model: PathBuf,

    /// What to predict for: files, folders (their files in name order), or - [default: standard input]
    ///
    /// Files that end in .gz or .zst are read as they are.
    pub data: Vec<PathBuf>,

    /// The data's format [default: guessed]
    ///
    /// Of documents docword, lda-c, libsvm, text or cache; of examples libsvm, csv, matrix-market, npy
    /// or idx.
    #[arg(long)]
    pub format: Option<String>,

    /// Threads [default: cores]
    #[arg(long, value_name = "N", value_parser = whole(1..=1024u32))]
    pub workers: Option<u32>,

    /// How many items to recommend to each user (mf), or topics to name of each document (lda)
    ///
    /// Items are recommended to the users in DATA, with - those on standard input, without DATA to all
    /// of the model.
    #[arg(long, value_name = "N", value_parser = whole(1..=1_000_000u32))]
    pub top: Option<u32>,

    /// The probability of every class instead of the likeliest class (classifiers)
    #[arg(long)]
    pub probabilities: bool,

    /// Distances of pairs of the examples instead of vectors: two examples a line, from 0 (dml)
    #[arg(long, value_name = "FILE")]
    pub pairs: Option<PathBuf>,

    /// File with one word a line, in the order of the data's word ids (lda)
    ///
    /// Without it, the file beside the data with the usual name is taken (vocab.X.txt for
    /// docword.X.txt, X.vocab for X). If there is neither, ids mean the words of the model.
    #[arg(long, value_name = "FILE")]
    pub vocab: Option<PathBuf>,

    /// At most so many times a document's words are gone through (lda) [default: 50]
    #[arg(long, value_name = "N", value_parser = whole(1..=1_000_000u32))]
    pub passes: Option<u32>,

    /// What is what in examples.
    #[command(flatten)]
    pub columns: ColumnsFlags,
}

impl PredictFlags {
    /// What to read: DATA, else standard input.
    pub fn data(&self) -> Vec<PathBuf> {
        match self.data.is_empty() {
            true => vec![PathBuf::from("-")],
            false => self.data.clone(),
        }
    }

    /// `--format` as one of the formats of what the recipe reads.
    ///
    /// # Errors
    /// Status 2 if it is none of them.
    pub fn format<F: FromStr<Err: Display>>(&self) -> Result<Option<F>> {
        let parse = |name: &String| {
            name.parse()
                .map_err(|why| Error::Usage(format!("--format: {why}")))
        };
        self.format.as_ref().map(parse).transpose()
    }

    /// Refuses the flags of other recipes; `own` are the program's.
    ///
    /// # Errors
    /// Status 2, naming the first of them.
    pub fn refuse_others(&self, program: &str, own: &[&str]) -> Result<()> {
        let given = [
            ("--top", self.top.is_some()),
            ("--probabilities", self.probabilities),
            ("--pairs", self.pairs.is_some()),
            ("--format", self.format.is_some()),
            ("--vocab", self.vocab.is_some()),
            ("--passes", self.passes.is_some()),
        ];
        let other = given
            .into_iter()
            .find(|(flag, given)| *given && !own.contains(flag));
        match other {
            Some((flag, _)) => Err(Error::Usage(format!(
                "{flag}: is not for a model of {program}, which {} holds",
                self.model.display()
            ))),
            None => Ok(()),
        }
    }

    /// How a model whose `classes` are these, none of one that predicts numbers, is to answer.
    ///
    /// # Errors
    /// Status 2 for `--probabilities` of numbers.
    pub fn answers(&self, classes: &[String]) -> Result<Answers> {
        if self.probabilities && classes.is_empty() {
            let message = "--probabilities: the model predicts numbers, not classes";
            return Err(Error::Usage(message.into()));
        }
        let names: Vec<String> = classes.iter().map(|class| quoted(class)).collect();
        let header = match (names.is_empty(), self.probabilities) {
            (true, _) => "prediction".to_owned(),
            (false, false) => "class".to_owned(),
            (false, true) => names.join(","),
        };
        Ok(Answers { names, header })
    }

    /// The examples to predict for, of `width` features as the model was trained with. With names on
    /// both sides columns are known by them, in whatever order. Targets may be there; they are not
    /// looked at.
    ///
    /// # Errors
    /// As for [`load_examples`].
    pub fn read_examples(
        &self,
        threads: usize,
        width: usize,
        first_index: u32,
        trained: Trained,
    ) -> Result<Examples> {
        let examples = ExamplesFlags {
            data: self.data(),
            format: self.format()?,
            columns: self.columns.clone(),
        };
        let options = ExamplesOptions {
            width: Some(width),
            first_index: Some(first_index),
            trained: Some(trained),
            ..examples.options(threads)
        };
        load_examples(&examples.data, &options)
    }
}

/// What a model of classes or of numbers writes.
pub struct Answers {
    /// The classes' names as fields of csv.
    pub names: Vec<String>,
    /// The first line.
    pub header: String,
}

/// Opens a model that this version can use, and says which program made it.
///
/// # Errors
/// Status 66 if there is none, 65 if it is damaged, 76 if another version made it.
pub fn open_model(folder: &Path) -> Result<(SavedModel, String)> {
    let model = SavedModel::open(folder)?;
    let program = model.program()?.to_owned();
    let version = model.json("version")?.as_str().unwrap_or_default();
    let own = env!("CARGO_PKG_VERSION");
    // Before 1.0 the second number counts changes that matter (Semantic Versioning 2.0, 4).
    let series = |version: &str| {
        version
            .split('.')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    match series(version) == series(own) {
        true => Ok((model, program)),
        false => Err(Error::Mismatch(format!(
            "{}: was written by petuum {version}, this is petuum {own}; predict with that version or \
             train again",
            folder.display()
        ))),
    }
}

/// A field of csv, in quotes if it needs them.
pub fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// The same of a text that need not be UTF-8.
fn quoted_bytes(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| b",\"\n\r".contains(byte)) {
        return Cow::Borrowed(text);
    }
    let mut out = vec![b'"'];
    for byte in text {
        out.push(*byte);
        if *byte == b'"' {
            out.push(b'"');
        }
    }
    out.push(b'"');
    Cow::Owned(out)
}

/// Where predictions go. A reader that goes away has read enough.
pub struct Predictions<'a> {
    out: io::BufWriter<&'a mut (dyn Write + Send)>,
    closed: bool,
}

impl<'a> Predictions<'a> {
    /// Writes to `out`, first the names of the columns.
    ///
    /// # Errors
    /// Status 74 if it cannot be written.
    pub fn begin(out: &'a mut (dyn Write + Send), columns: &str) -> Result<Predictions<'a>> {
        let mut predictions = Predictions {
            out: io::BufWriter::with_capacity(1 << 16, out),
            closed: false,
        };
        predictions.line(format_args!("{columns}"))?;
        Ok(predictions)
    }

    /// Writes whole lines, each with its end.
    ///
    /// # Errors
    /// Status 74 if they cannot be written.
    pub fn lines(&mut self, text: &[u8]) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = self.out.write_all(text);
        self.check(written)
    }

    /// Writes a line.
    ///
    /// # Errors
    /// Status 74 if it cannot be written.
    pub fn line(&mut self, text: std::fmt::Arguments) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = self
            .out
            .write_fmt(text)
            .and_then(|()| self.out.write_all(b"\n"));
        self.check(written)
    }

    /// Writes a line of texts, byte for byte and in quotes where they need them, and a number.
    ///
    /// # Errors
    /// Status 74 if it cannot be written.
    pub fn fields(&mut self, texts: &[&[u8]], number: f32) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let mut line = Vec::new();
        for text in texts {
            line.extend_from_slice(&quoted_bytes(text));
            line.push(b',');
        }
        line.extend_from_slice(format!("{number}\n").as_bytes());
        let written = self.out.write_all(&line);
        self.check(written)
    }

    /// True if nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes what is held back.
    ///
    /// # Errors
    /// Status 74 if it cannot be written.
    pub fn finish(mut self) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.check(flushed)
    }

    fn check(&mut self, written: io::Result<()>) -> Result<()> {
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Error::cannot_write(Path::new("standard output"), error)),
        }
    }
}
