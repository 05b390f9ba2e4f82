//! From what the user named to a corpus: finds the files, settles their format and vocabulary, and
//! reads this rank's share of each in turn.

use std::path::{Path, PathBuf};

use super::cache;
use super::corpus::{Check, Corpus, Store, Totals};
use super::docword::{Docword, ENTRIES_LINE, Header};
use super::fingerprint::SourceFile;
use super::format::{CACHE_MAGIC, Evidence, Format, guess, names, refuse_binary};
use super::lines::{Effort, read_lines};
use super::pairs::{Lead, Pairs};
use super::rows::Rows;
use super::share::{Part, Share};
use super::source::{Source, find};
use super::text::{self, StopWords, Text, TextBlock};
use super::vocabulary::{self, Vocabulary};
use crate::error::{Error, Result};

/// How to read documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusOptions {
    /// The format of all files; guessed from names and contents if not given.
    pub format: Option<Format>,
    /// The file that names the words. If not given, the one that lies beside the data by its usual
    /// name: `vocab.X.txt` beside `docword.X.txt`, `X.vocab` beside `X`.
    pub vocabulary: Option<PathBuf>,
    /// Words of plain text that are left out.
    pub stop_words: Option<PathBuf>,
    /// Words of plain text that occur fewer times than this in the whole corpus are left out.
    pub min_count: u64,
    /// Threads that parse; at least 1.
    pub threads: usize,
    /// Bytes of text that a thread parses at a time. All ranks need the same; tests use few.
    pub piece_bytes: usize,
}

impl Default for CorpusOptions {
    fn default() -> CorpusOptions {
        CorpusOptions {
            format: None,
            vocabulary: None,
            stop_words: None,
            min_count: 1,
            threads: 1,
            piece_bytes: 256 << 10,
        }
    }
}

/// Reads a rank's share of the documents in `paths`: files, folders (their files in name order) or
/// `-` for standard input. If there are several ranks, all must give their [`Corpus::tally`] to all
/// and then [`Corpus::agree`].
///
/// # Errors
/// Status 65 with `file:line:column` for data that is not as its format says, 66 for what is not
/// there, 2 for options that do not fit the format.
pub fn load_corpus(paths: &[PathBuf], options: &CorpusOptions, share: Share) -> Result<Corpus> {
    let (loader, given) = Loader::open(paths, options, share)?;
    loader.load(given)
}

/// Reads a rank's share of a docword file that is part of the program; `name` is what it is called
/// in error messages. Both may be compressed.
///
/// # Errors
/// Status 65 as for [`load_corpus`].
pub fn load_corpus_bytes(
    name: &str,
    docword: &'static [u8],
    vocabulary: &'static [u8],
    share: Share,
) -> Result<Corpus> {
    let options = CorpusOptions {
        format: Some(Format::Docword),
        ..CorpusOptions::default()
    };
    let data = Source::compiled_in(Path::new(name), docword, options.piece_bytes)?;
    let path = PathBuf::from(format!("{name} (vocabulary)"));
    let mut words = Source::compiled_in(&path, vocabulary, options.piece_bytes)?;
    let names = Names {
        vocabulary: Vocabulary::read(&mut words)?,
        path,
        file: None,
    };
    Loader::new(vec![data], &options, share)?.load(Some(names))
}

/// A vocabulary and where it was read.
pub(super) struct Names {
    pub(super) vocabulary: Vocabulary,
    path: PathBuf,
    file: Option<SourceFile>,
}

impl Names {
    fn read(path: &Path, chunk_bytes: usize) -> Result<Names> {
        let mut source = Source::at(path, chunk_bytes)?;
        Ok(Names {
            vocabulary: Vocabulary::read(&mut source)?,
            path: path.to_path_buf(),
            file: SourceFile::of(&source),
        })
    }
}

/// One run over some sources of one format.
pub(super) struct Loader<'a> {
    pub(super) sources: Vec<Source>,
    pub(super) format: Format,
    evidence: Evidence,
    options: &'a CorpusOptions,
    share: Share,
    /// Size of all sources on disk.
    disk_bytes: u64,
}

impl<'a> Loader<'a> {
    /// Finds and opens what the user named, and the vocabulary if one is given.
    pub(super) fn open(
        paths: &[PathBuf],
        options: &'a CorpusOptions,
        share: Share,
    ) -> Result<(Loader<'a>, Option<Names>)> {
        let named = [&options.vocabulary, &options.stop_words];
        let aside: Vec<&Path> = named.into_iter().flatten().map(PathBuf::as_path).collect();
        let files = find(paths, &aside)?;
        let pipes = files.iter().filter(|file| *file == Path::new("-")).count();
        if pipes > 1 || (pipes == 1 && share.of > 1) {
            let message = "-: standard input can be read once and by one rank, name files";
            return Err(Error::Usage(message.to_string()));
        }
        let opened = files
            .iter()
            .map(|file| Source::at(file, options.piece_bytes));
        let sources = opened.collect::<Result<Vec<Source>>>()?;
        let given = options.vocabulary.as_deref();
        let given = given
            .map(|path| Names::read(path, options.piece_bytes))
            .transpose()?;
        Ok((Loader::new(sources, options, share)?, given))
    }

    /// Settles the format of `sources`.
    fn new(
        mut sources: Vec<Source>,
        options: &'a CorpusOptions,
        share: Share,
    ) -> Result<Loader<'a>> {
        let mut settled: Option<(Format, Evidence)> = None;
        for source in &mut sources {
            let head = source.head()?;
            if options.format != Some(Format::Cache) && !head.starts_with(CACHE_MAGIC) {
                refuse_binary(source.path(), &head)?;
            }
            let (format, evidence) = match options.format {
                Some(format) => (format, Evidence::Given),
                None => guess(source.path(), &head)?,
            };
            match settled {
                Some((first, _)) if first != format => return Err(mixed(source, first, format)),
                Some(_) => {}
                None => settled = Some((format, evidence)),
            }
        }
        let (format, evidence) =
            settled.ok_or_else(|| Error::Usage("no data given".to_string()))?;
        let disk_bytes = sources.iter().filter_map(Source::disk_bytes).sum();
        Ok(Loader {
            sources,
            format,
            evidence,
            options,
            share,
            disk_bytes,
        })
    }

    /// Reads everything.
    fn load(mut self, given: Option<Names>) -> Result<Corpus> {
        self.refuse_text_options()?;
        let files: Vec<SourceFile> = self.sources.iter().filter_map(SourceFile::of).collect();
        let read = match self.format {
            Format::Cache => return self.load_cache(given),
            Format::Docword => self.load_docword(given),
            Format::LdaC => self.load_pairs(Lead::Pairs, given),
            Format::Svm => self.load_pairs(Lead::Label, given),
            Format::Text => self.load_text(given),
        };
        let mut corpus = read.map_err(|error| self.explain(error))?;
        corpus.sources.splice(0..0, files);
        self.settle(corpus)
    }

    /// Agrees with nobody else, if there is nobody else.
    fn settle(&self, mut corpus: Corpus) -> Result<Corpus> {
        if self.share.of <= 1 {
            corpus.agree(&[corpus.tally()], 0)?;
        }
        Ok(corpus)
    }

    /// Options that only plain text has are refused elsewhere, rather than ignored.
    fn refuse_text_options(&self) -> Result<()> {
        let flag = match (&self.options.stop_words, self.options.min_count) {
            (Some(_), _) => "--stop-words",
            (None, 2..) => "--min-count",
            _ => return Ok(()),
        };
        match self.format {
            Format::Text => Ok(()),
            format => Err(Error::Usage(format!(
                "{flag}: is for plain text, {} is {format}",
                self.sources[0].path().display()
            ))),
        }
    }

    /// Adds to an error of a guessed format how to say otherwise.
    pub(super) fn explain(&self, error: Error) -> Error {
        let from = match self.evidence {
            Evidence::Given => return error,
            Evidence::Name => "name",
            Evidence::Content => "content",
        };
        match error {
            Error::Data { place, expected }
                if self.sources.iter().any(|s| s.path() == place.path) =>
            {
                let hint = format!(
                    "read as {} by its {from}, --format says otherwise",
                    self.format
                );
                Error::Data {
                    place,
                    expected: format!("{expected} ({hint})"),
                }
            }
            error => error,
        }
    }

    pub(super) fn effort(&self) -> Effort {
        Effort {
            threads: self.options.threads.max(1),
            piece_bytes: self.options.piece_bytes.max(1),
        }
    }

    /// The rank's part of each source.
    fn parts(&self) -> Vec<Part> {
        let mut base = 0;
        let part = |source: &Source| match source.disk_bytes() {
            None => Part::WHOLE,
            Some(bytes) => {
                base += bytes;
                self.share.part(base - bytes, bytes, self.disk_bytes)
            }
        };
        self.sources.iter().map(part).collect()
    }

    /// Size of the text in the rank's parts, as far as it is known.
    fn text_bytes(&self, parts: &[Part]) -> u64 {
        let plain = self.sources.iter().zip(parts);
        let plain = plain.filter(|(source, _)| !source.is_compressed());
        plain.map(|(_, part)| part.bytes()).sum()
    }

    /// The vocabulary given, else the one that lies beside each of the files, which must agree.
    pub(super) fn names(&self, given: Option<Names>) -> Result<Option<Names>> {
        let mut found: Option<Names> = given;
        if found.is_some() {
            return Ok(found);
        }
        for path in self
            .sources
            .iter()
            .filter_map(|source| vocabulary::beside(source.path()))
        {
            match &found {
                Some(names) if names.path == path => {}
                Some(names) => {
                    let other = Names::read(&path, self.options.piece_bytes)?;
                    let first = (names.path.as_path(), &names.vocabulary);
                    vocabulary::require_same(first, (&path, &other.vocabulary))?;
                }
                None => found = Some(Names::read(&path, self.options.piece_bytes)?),
            }
        }
        Ok(found)
    }

    fn load_docword(&mut self, given: Option<Names>) -> Result<Corpus> {
        let names = self.names(given)?;
        let named = names.as_ref().map(|names| names.vocabulary.len());
        let (parts, effort) = (self.parts(), self.effort());
        let headers = self
            .sources
            .iter_mut()
            .map(read_header)
            .collect::<Result<Vec<Header>>>()?;
        let mut rows = Rows::new(self.text_bytes(&parts));
        let mut checks = Vec::new();
        for ((source, part), header) in self.sources.iter_mut().zip(&parts).zip(&headers) {
            let first = rows.entries();
            if !part.is_empty() {
                let docword = Docword::new(header, named);
                let mut done = None;
                let mut sink = |block| {
                    done = Some(rows.append_numbered(&block, done));
                    docword.spare.give(block);
                };
                let before = read_lines(source, header.end, part, &docword, effort, &mut sink)?;
                if part.reaches_end() {
                    let done = done.or(before.map(|before| before as u32)).unwrap_or(0);
                    rows.append_empty(header.documents.saturating_sub(done));
                }
            }
            checks.push(Check {
                path: source.path().to_path_buf(),
                line: ENTRIES_LINE,
                stated: header.entries,
                seen: (rows.entries() - first) as u64,
            });
        }
        let words = headers
            .iter()
            .map(|header| header.words as usize)
            .max()
            .unwrap_or(0);
        Ok(corpus(rows, words, checks, names))
    }

    fn load_pairs(&mut self, lead: Lead, given: Option<Names>) -> Result<Corpus> {
        let names = self.names(given)?;
        let pairs = Pairs::new(lead, names.as_ref().map(|names| names.vocabulary.len()));
        let (parts, effort) = (self.parts(), self.effort());
        let mut rows = Rows::new(self.text_bytes(&parts));
        for (source, part) in self
            .sources
            .iter_mut()
            .zip(&parts)
            .filter(|(_, part)| !part.is_empty())
        {
            let start = text::start(&source.head()?);
            let mut sink = |block| {
                rows.append(&block);
                pairs.spare.give(block);
            };
            read_lines(source, start, part, &pairs, effort, &mut sink)?;
        }
        let words = rows.words_end as usize;
        Ok(corpus(rows, words, Vec::new(), names))
    }

    fn load_text(&mut self, given: Option<Names>) -> Result<Corpus> {
        let (stop_words, stop_file) = self.stop_words()?;
        let reads_all = given.is_none();
        let (parts, effort) = (self.parts(), self.effort());
        let format = Text::new(reads_all);
        let mut rows = Rows::new(self.text_bytes(&parts));
        let mut runs = Vec::new();
        for (source, part) in self.sources.iter_mut().zip(&parts) {
            if !part.is_empty() || reads_all {
                let start = text::start(&source.head()?);
                let mut sink = |block: TextBlock| {
                    rows.append(&block.documents);
                    runs.push((block.documents.ends.len(), block.interner));
                    format.spare.give(block.documents);
                };
                read_lines(source, start, part, &format, effort, &mut sink)?;
            }
        }
        let interners = format.finish();
        let path = self.sources[0].path().to_path_buf();
        let (names, ids) = match given {
            Some(names) => {
                let ids = text::look_up(&interners, &names.vocabulary, &stop_words, &names.path)?;
                (names, ids)
            }
            None => {
                let min_count = self.options.min_count;
                let (vocabulary, ids) =
                    text::choose_vocabulary(&interners, &stop_words, min_count, &path)?;
                let file = None;
                (
                    Names {
                        vocabulary,
                        path,
                        file,
                    },
                    ids,
                )
            }
        };
        let words = names.vocabulary.len();
        text::number_words(&mut rows, &runs, &ids, words, effort.threads);
        let mut corpus = corpus(rows, 0, Vec::new(), Some(names));
        corpus.sources.extend(stop_file);
        Ok(corpus)
    }

    /// The stop words, if the user gave any.
    fn stop_words(&self) -> Result<(StopWords, Option<SourceFile>)> {
        let Some(path) = &self.options.stop_words else {
            return Ok((StopWords::default(), None));
        };
        let mut source = Source::at(path, self.options.piece_bytes)?;
        Ok((text::read_stop_words(&mut source)?, SourceFile::of(&source)))
    }

    fn load_cache(&mut self, given: Option<Names>) -> Result<Corpus> {
        if let Some(other) = self.sources.get(1) {
            let message = "expected one cache alone; convert the sources of all into one";
            return Err(Error::data(other.path(), 0, 0, message));
        }
        let Effort { threads, .. } = self.effort();
        let mut corpus = cache::load(&mut self.sources[0], self.share, threads)?;
        if let Some(names) = given {
            if names.vocabulary.len() != corpus.words {
                let message = format!(
                    "expected {} words for {}, saw {}",
                    corpus.words,
                    self.sources[0].path().display(),
                    names.vocabulary.len()
                );
                return Err(Error::data(&names.path, 0, 0, message));
            }
            corpus.vocabulary = Some(names.vocabulary);
        }
        self.settle(corpus)
    }
}

/// The corpus of `rows`: words are what the vocabulary says, else `words`.
fn corpus(rows: Rows, words: usize, checks: Vec<Check>, names: Option<Names>) -> Corpus {
    let (vocabulary, file) = match names {
        Some(names) => (Some(names.vocabulary), names.file),
        None => (None, None),
    };
    Corpus {
        words: vocabulary.as_ref().map_or(words, Vocabulary::len),
        tokens: rows.tokens,
        store: Store::Owned(rows.finish()),
        first_document: 0,
        totals: Totals::default(),
        checks,
        sources: file.into_iter().collect(),
        vocabulary,
    }
}

/// Text that a pipe may hold, as far as the number of documents must be plausible for it.
const PIPE_BYTES: u64 = 1 << 28;

/// The header of a docword file.
pub(super) fn read_header(source: &mut Source) -> Result<Header> {
    // Lines of numbers pack less than a hundredfold. Of a pipe nothing is known.
    let expansion = if source.is_compressed() { 100 } else { 1 };
    let disk_bytes = source.disk_bytes().unwrap_or(PIPE_BYTES);
    let bytes = disk_bytes.saturating_mul(expansion);
    let head = source.head()?;
    Header::read(&head, bytes).map_err(|fault| fault.locate(source.path(), &head, 1))
}

/// The error of files of several formats.
fn mixed(source: &Source, first: Format, format: Format) -> Error {
    let message = format!(
        "expected {first} like the files before, this one looks like {format}; \
         name files of one format or say which with `--format {}`",
        names()
    );
    Error::data(source.path(), 0, 0, message)
}
